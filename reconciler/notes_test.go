package reconciler_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"camfleet.dev/reconciler/engine"
	. "camfleet.dev/reconciler/engine/enginetest"
	"camfleet.dev/reconciler/status"
)

func TestSuspend(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push(commitA, Result(Cameras("gate", 3)))
	w.run()
	if err := w.Suspend("the roof is repaired"); err != nil {
		t.Fatal(err)
	}
	w.push(commitB, Result(Cameras("gate", 4)))
	w.cluster.Remove(pod("gate", "c0"))
	steps := len(w.cluster.Steps)
	s := w.step(time.Second)
	check := func(s status.Status) {
		t.Helper()
		if s.State != status.Suspended || s.Suspended.Reason != "the roof is repaired" || !s.Suspended.Since.Equal(start) ||
			s.Pending == nil || s.Pending.Commit != commitB || s.Pending.Summary != "4 created, 11 unchanged" || len(s.Pending.Changes) != 4 {
			t.Fatalf("%+v %+v", s, s.Pending)
		}
		if len(w.cluster.Steps) != steps {
			t.Fatalf("something was done: %s", w.cluster.Steps[steps:])
		}
	}
	check(s)
	if s.Commit != commitA {
		t.Errorf("commit %s was never applied", s.Commit)
	}
	w.stop()
	<-w.done
	w.reset() // a crash
	w.run()
	check(w.Status())
	if err := w.Resume(); err != nil {
		t.Fatal(err)
	}
	if s := w.settled(func(s status.Status) bool { return s.Commit == commitB }); s.State != status.Synced || s.Suspended != nil || s.Pending != nil {
		t.Errorf("%+v", s)
	}
	w.note(func() { w.noteErr = errors.New("the disk is full") })
	if err := w.Suspend("x"); err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("%v", err)
	}
	if w.Status().Suspended != nil {
		t.Error("it is suspended, and would not be after a crash")
	}
}

// Notes that cannot be read may say that it is suspended. So it is, until they
// can be read, or somebody says to go on without them.
func TestUnreadableNotes(t *testing.T) {
	t.Parallel()
	for _, resumed := range []bool{false, true} {
		w := newWorld(t)
		w.push(commitA, Result(Cameras("gate", 2)))
		w.readErr, w.notes = errors.New("the API server does not answer"), []byte(`{"approved":"x"}`)
		w.run()
		s := w.Status()
		if s.State != status.Suspended || !strings.Contains(s.Suspended.Reason, "does not answer") || s.Pending == nil || len(w.cluster.Steps) > 0 {
			t.Fatalf("%+v", s)
		}
		if err := w.Suspend("x"); err == nil || string(w.notes) != `{"approved":"x"}` {
			t.Errorf("notes that cannot be read are overwritten: %v %s", err, w.notes)
		}
		if resumed {
			if err := w.Resume(); err != nil {
				t.Fatal(err)
			}
			w.rest()
		} else {
			w.note(func() { w.readErr = nil })
			w.step(time.Minute)
		}
		if s := w.Status(); s.State != status.Synced || s.Suspended != nil {
			t.Errorf("%+v", s)
		}
	}
}

// Suspending interrupts what is under way.
func TestSuspendInterrupts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := newGate()
	w.onApply = func(ctx context.Context, s engine.Step) error { return g.wait(ctx, s.ID().Name) }
	w.push(commitA, Result(Cameras("gate", 30)))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = w.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	w.at(g)
	if err := w.Suspend("stop"); err != nil {
		t.Fatal(err)
	}
	w.rest() // although the gate is shut
	if w.Status().Pending == nil || len(w.cluster.Steps) > 0 || len(w.Status().Failed) > 0 {
		t.Errorf("%s %v", w.cluster.Steps, w.Status().Failed)
	}
}
