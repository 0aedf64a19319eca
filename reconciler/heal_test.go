package reconciler_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
	. "camfleet.dev/reconciler/engine/enginetest"
	"camfleet.dev/reconciler/source"
	"camfleet.dev/reconciler/status"
)

// step moves the clock, and waits until the loop has done what was due.
func (w *world) step(d time.Duration) status.Status {
	w.t.Helper()
	w.clock.Advance(d)
	w.rest()
	return w.Status()
}

// One object that cannot be applied is put off alone: what comes meanwhile is
// applied at once, and the failure stays to be seen.
func TestOneFailureDelaysNobodyElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tries := 0
	refuses := true
	w.onApply = func(_ context.Context, step engine.Step) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if refuses && step.ID() == pod("gate", "c1") {
			tries++
			return errors.New("the quota is used up")
		}
		return nil
	}
	w.push(commitA, Result(Cameras("gate", 3)))
	w.run()
	for range 60 { // ten minutes
		w.step(10 * time.Second)
		w.Changed()
	}
	s := w.Status()
	if s.State != status.Failing || len(s.Failed) != 1 || s.Failed[0].ID != pod("gate", "c1") || s.Failed[0].Reason != "the quota is used up" {
		t.Fatalf("%+v", s.Failed)
	}
	w.mu.Lock()
	if tries < 8 || tries > 12 {
		t.Errorf("%d tries in ten minutes, want about ten: 1 s, 2 s, 4 s … 5 min", tries)
	}
	w.mu.Unlock()
	w.cluster.Remove(pod("gate", "c2"))
	w.Changed()
	w.step(time.Second)
	if !w.cluster.Has(pod("gate", "c2")) {
		t.Error("another Pod is not healed at once")
	}
	w.note(func() { refuses = false })
	if s := w.step(6 * time.Minute); s.State != status.Synced || len(s.Failed) != 0 {
		t.Errorf("%+v", s)
	}
}

// A target that did not work at all for an hour is tried again within seconds.
func TestOutage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	down := true
	w.onApply = func(context.Context, engine.Step) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if down {
			return errors.New("no route to host")
		}
		return nil
	}
	w.push(commitA, Result(Cameras("gate", 5)))
	w.run()
	for range 360 {
		w.step(10 * time.Second)
	}
	if s := w.Status(); s.State != status.Failing || len(s.Failed) != 18 {
		t.Fatalf("%s %d", s.State, len(s.Failed))
	}
	w.note(func() { down = false })
	w.step(18 * time.Second)
	if s := w.Status(); s.State != status.Synced {
		t.Errorf("%s %v", s.State, s.Failed)
	}
}

// A new commit begins with a clean record.
func TestNewCommitForgivesFailures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	fails := true
	w.onApply = func(_ context.Context, step engine.Step) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if fails && step.ID() == pod("gate", "c1") {
			return errors.New("no")
		}
		return nil
	}
	w.push(commitA, Result(Cameras("gate", 2)))
	w.run()
	for range 9 {
		w.step(time.Minute)
	}
	w.note(func() { fails = false })
	w.push(commitB, Result(Cameras("gate", 3)))
	w.Wake()
	w.rest()
	if s := w.Status(); s.State != status.Synced || !w.cluster.Has(pod("gate", "c1")) {
		t.Errorf("%+v", s)
	}
}

// A field that somebody changes again and again is put back less and less
// often, at least every five minutes, and at once again after a calm time.
func TestFightOverAField(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push(commitA, Result(Cameras("gate", 2)))
	w.run()
	config := object.ID{APIVersion: "v1", Kind: "ConfigMap", Namespace: "camfleet-gate", Name: "camera-c0"}
	meddle := func() bool {
		return w.cluster.Edit(config, func(l *engine.Live) {
			l.Body = []byte(strings.Replace(string(l.Body), `"data"`, `"dato"`, 1))
		})
	}
	puts := func() int { return count(w.cluster.Steps, "configured camfleet-gate/ConfigMap/camera-c0") }
	for range 1200 { // twenty minutes
		meddle()
		w.Changed()
		w.step(time.Second)
	}
	if n := puts(); n < 10 || n > 20 {
		t.Errorf("put back %d times in twenty minutes", n)
	}
	if s := w.Status(); len(s.Waiting) != 1 || s.State != status.Waiting || !strings.Contains(s.Waiting[0].Reason, "again and again") {
		t.Errorf("%s %v", s.State, s.Waiting)
	}
	w.step(6 * time.Minute)
	w.step(20 * time.Minute)
	n := puts()
	meddle()
	w.Changed()
	w.step(time.Second)
	if puts() != n+1 {
		t.Error("after a calm time it is not put back at once")
	}
	if healed := slices.IndexFunc(w.records, func(c engine.Change) bool { return c.ID == config && c.Action == engine.Configured }); healed < 0 {
		t.Error("nobody was told that it was healed")
	}
}

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
	w.settled(func(s status.Status) bool { return s.Pending != nil })
	if len(w.cluster.Steps) > 0 || len(w.Status().Failed) > 0 {
		t.Errorf("%s %v", w.cluster.Steps, w.Status().Failed)
	}
}

// broken is a result in which gate has problems.
func broken(yard int) *object.Result {
	r := Result(Cameras("yard", yard), "gate")
	r.Sites[0].Broken = true
	r.Objects = slices.DeleteFunc(r.Objects, func(o object.Object) bool { return o.Site == "gate" })
	r.Problems = []object.Problem{{Site: "gate", Position: object.Position{File: "sites/gate/site.cue"}, Message: "no"}}
	return r
}

// archive is a world whose source has old commits, too.
type archive struct {
	*world
	lost bool
}

func (a archive) FetchCommit(_ context.Context, hash string) (*source.Commit, error) {
	if a.lost {
		return nil, errors.New("it was rewritten")
	}
	return commitOf(hash), nil
}

// A broken site is healed as it last was, after a restart, too.
func TestBrokenSiteIsHealed(t *testing.T) {
	t.Parallel()
	for name, next := range map[string]*object.Result{
		"site":  broken(2),
		"fleet": {Broken: true, Problems: []object.Problem{{Position: object.Position{File: "fleet.cue"}, Message: "no"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.Source = archive{world: w}
			w.push(commitA, Result(append(Cameras("gate", 2), Cameras("yard", 2)...)))
			w.run()
			w.push(commitB, next)
			if s := w.poll(); s.State != status.Broken || s.Commit != commitB {
				t.Fatalf("%+v", s)
			}
			heal := func() {
				t.Helper()
				w.cluster.Remove(pod("gate", "c1"))
				w.Changed()
				if w.step(time.Second); !w.cluster.Has(pod("gate", "c1")) {
					t.Fatalf("it is not healed: %+v", w.Status())
				}
			}
			heal()
			for _, lost := range []bool{false, true} {
				w.stop()
				<-w.done
				w.reset()
				w.Source = archive{w, lost}
				w.run()
				if !lost {
					heal()
					continue
				}
				s := w.Status()
				if !strings.Contains(strings.Join(s.Warnings, " "), "not healed: gate") {
					t.Errorf("%+v", s)
				}
				w.cluster.Remove(pod("gate", "c1"))
				w.Changed()
				for range 20 {
					w.step(5 * time.Minute)
				}
				if w.cluster.Has(pod("gate", "c1")) || !w.cluster.Has(pod("gate", "c0")) {
					t.Error("what is not known is kept, and not healed")
				}
			}
			w.push(commitC, Result(append(Cameras("gate", 2), Cameras("yard", 2)...)))
			w.Wake()
			w.rest()
			if s := w.Status(); s.State != status.Synced || !w.cluster.Has(pod("gate", "c1")) || string(w.notes) != "{}" {
				t.Errorf("%+v, notes %s", s, w.notes)
			}
		})
	}
}

// What is held is told once, however often it is planned; a result that is
// compiled only to look back is no target.
func TestTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Source = archive{world: w}
	var targets []*object.Result
	w.Targeted = func(r *object.Result) { w.note(func() { targets = append(targets, r) }) }
	w.push(commitA, Result(append(Cameras("gate", 9), Cameras("yard", 2)...)))
	w.run()
	w.push(commitB, Result(append(Cameras("gate", 1), Cameras("yard", 2)...)))
	w.poll()
	for range 20 {
		w.Changed()
		w.step(time.Second)
	}
	if len(w.records) != 24 || w.records[0].Action != engine.Held {
		t.Errorf("told %d times of 24 changes", len(w.records))
	}
	w.push(commitC, broken(2))
	w.Wake()
	w.rest()
	w.stop()
	<-w.done
	before := len(targets)
	w.reset()
	w.Source = archive{world: w}
	w.Targeted = func(r *object.Result) { w.note(func() { targets = append(targets, r) }) }
	w.run()
	if len(targets) != before+1 || targets[before] != w.results[commitC] {
		t.Errorf("%d targets after %d", len(targets), before)
	}
}

// The status is told when it changes, and a steady state is told once.
func TestPublished(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push(commitA, Result(Cameras("gate", 2)))
	w.run()
	w.rest()
	n := len(w.told)
	if n == 0 || w.told[n-1].Commit != commitA || w.told[n-1].State != status.Synced {
		t.Fatalf("%+v", w.told)
	}
	for range 20 {
		w.poll()
		w.Changed()
	}
	w.step(time.Second)
	if len(w.told) != n {
		t.Errorf("told %d times of nothing: %+v", len(w.told)-n, w.told[len(w.told)-1])
	}
}
