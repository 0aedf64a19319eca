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
	down, tries := true, 0
	w.onApply = func(context.Context, engine.Step) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if tries++; down {
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
	w.mu.Lock()
	if tries < 150 || tries > 400 {
		t.Errorf("%d tries in an hour, want one every 16 s or 20 s", tries)
	}
	w.mu.Unlock()
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
			if s := w.Status(); s.State != status.Synced || !w.cluster.Has(pod("gate", "c1")) || !strings.HasPrefix(string(w.notes), `{"last":"`+commitC+`"`) {
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
