package control

import (
	"context"
	"testing"
	"time"

	"camfleet.dev/reconciler/engine"
	"camfleet.dev/reconciler/status"
)

// slow is a desk that writes how cameras are once in a minute only.
func (w *world) slow(every time.Duration) *Desk {
	w.Helper()
	d := &Desk{Client: w.client, Namespace: w.namespace, Name: DefaultName, Orders: (&fake{}).orders(), Every: every, Log: w.log()}
	if err := d.Open(w.Context()); err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	w.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.Error(err)
		}
	})
	return d
}

// TestWhatMattersIsToldSoon: another commit, a refusal, what is held is written
// long before cameras alone are.
func TestWhatMattersIsToldSoon(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.slow(5 * time.Second)
	began := time.Now()
	d.Publish(at(commitA))
	w.until("the first is written", func() bool { return w.status().Commit == commitA })
	cameras := at(commitA)
	cameras.Cameras[0].State = "stale"
	d.Publish(cameras)
	w.until("cameras are written", func() bool { return w.status().Cameras[0].State == "stale" })
	if took := time.Since(began); took < 4*time.Second {
		t.Errorf("cameras alone were written after %s", took)
	}
	for _, next := range []status.Status{
		at(commitB),
		{State: status.Failing, Commit: commitB, FetchError: "refused", Refused: &status.Refused{Commit: "c"}},
		{State: status.Held, Commit: commitB, Unverified: "not signed"},
	} {
		began = time.Now()
		d.Publish(next)
		w.until("it is written", func() bool { s := w.status(); return s.State == next.State && s.Commit == next.Commit })
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("%s was written after %s", next.State, took)
		}
	}
}

// TestStartingSaysNothing: a new leader that knows nothing yet does not take
// away what is known.
func TestStartingSaysNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d, stop := w.desk(w.client, &fake{})
	d.Publish(status.Status{State: status.Starting})
	w.until("the first of all is written", func() bool { return w.status().State == status.Starting })
	d.Publish(at(commitA))
	w.until("a commit is written", func() bool { return w.status().Commit == commitA })
	stop()
	again, _ := w.desk(w.client, &fake{})
	again.Publish(status.Status{State: status.Starting, Pending: &status.Pending{Commit: commitA, Summary: "36 unchanged"}})
	w.until("it is taken up", func() bool { return len(again.offered) == 0 })
	failing := status.Status{State: status.Failing, FetchError: "no route to host"}
	again.Publish(failing)
	w.until("an outage is written", func() bool {
		s := w.status()
		if s.State == status.Starting {
			t.Error("who starts wrote over what was known")
		}
		return s.State == status.Failing
	})
	again.Publish(status.Status{State: status.Starting, Pending: &status.Pending{Commit: commitB, Changes: []engine.Change{{Action: engine.Created}}}})
	w.until("what is being applied is written", func() bool { return w.status().Pending != nil })
}
