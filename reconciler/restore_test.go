package reconciler_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler"
	"camfleet.dev/reconciler/engine"
	. "camfleet.dev/reconciler/engine/enginetest"
	"camfleet.dev/reconciler/source"
	"camfleet.dev/reconciler/status"
)

// old is a source's answer to who asks for an old commit.
type old struct {
	*world
	err error
}

func (o old) FetchCommit(_ context.Context, hash string) (*source.Commit, error) {
	if o.err != nil {
		return nil, o.err
	}
	return commitOf(hash), nil
}

// unsteady is a world whose target follows commitA, and whose newest commit then gives err.
func unsteady(t *testing.T, err error) *world {
	w := newWorld(t)
	w.push(commitA, Result(Cameras("gate", 2)))
	w.run()
	w.fetchFails(err)
	w.poll()
	return w
}

func (w *world) again(s reconciler.Source) {
	w.stop()
	<-w.done
	w.Source = s
	w.run()
}

// heals tells whether a camera that is deleted comes back.
func (w *world) heals() bool {
	w.cluster.Remove(pod("gate", "c1"))
	w.Changed()
	w.step(time.Second)
	return w.cluster.Has(pod("gate", "c1"))
}

var (
	errRefused  = &source.RefusedError{Commit: commitB, Files: []source.Refusal{{File: "sites/x.cue", Why: "is a symbolic link"}}}
	errUnsigned = &source.UnverifiedError{Commit: commitB, Why: "it is not signed"}
	errAway     = errors.New("repository: no route to host")
)

// Whoever can push cannot end the healing: after a restart, too, it goes on
// with the commit of before, which the source verifies again.
func TestRefusedCommitOverARestart(t *testing.T) {
	t.Parallel()
	for name, refusal := range map[string]error{"refused": errRefused, "unsigned": errUnsigned, "away": errAway} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := unsteady(t, refusal)
			w.reset()
			w.again(old{world: w})
			if !w.heals() {
				t.Fatalf("it is not healed: %+v", w.Status())
			}
			s := w.Status()
			if s.Commit != commitA || s.State == status.Synced || s.FetchError+s.Unverified == "" || len(s.Problems) > 0 {
				t.Errorf("%+v", s)
			}
			w.fetchFails(nil)
			w.push(commitC, Result(Cameras("gate", 3)))
			for range 4 {
				w.poll()
			}
			if s := w.Status(); s.State != status.Synced || s.Commit != commitC || !w.cluster.Has(pod("gate", "c2")) {
				t.Errorf("%+v", s)
			}
		})
	}
}

// What cannot be read, or counts no more, is not healed, and the status says so.
func TestUnhealed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		head, old error
		same      bool // process
		heals     bool
	}{
		"rewritten":              {errRefused, errors.New("not there"), false, false},
		"away":                   {errAway, errAway, false, false},
		"away, the same process": {errAway, errAway, true, true},
		"its key was taken out":  {errUnsigned, &source.UnverifiedError{Commit: commitA, Why: "not listed"}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := unsteady(t, c.head)
			if !c.same {
				w.reset()
			}
			w.again(old{w, c.old})
			if got := w.heals(); got != c.heals {
				t.Fatalf("healed: %t, %+v", got, w.Status())
			}
			said := strings.Contains(strings.Join(w.Status().Warnings, " "), "nothing is healed until a commit can be read: commit aaaaaaaaaaaa")
			if said == c.heals {
				t.Errorf("%q", w.Status().Warnings)
			}
			for range 30 { // it is not asked for ever
				w.step(5 * time.Minute)
			}
			w.fetchFails(nil)
			w.Wake()
			w.rest()
			w.Changed()
			w.step(time.Second)
			if s := w.Status(); s.State != status.Synced || !w.cluster.Has(pod("gate", "c1")) || len(s.Warnings) > 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// A commit is noted before it is applied: after a crash in between, it is the
// one to go on with, not the one before.
func TestNotedBeforeItIsApplied(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push(commitA, Result(Cameras("gate", 2)))
	g := newGate()
	w.onApply = func(ctx context.Context, _ engine.Step) error { return g.wait(ctx, "") }
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.Run(ctx) }()
	w.at(g)
	if !strings.HasPrefix(string(w.notes), `{"last":"`+commitA+`"`) {
		t.Errorf("noted: %s", w.notes)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Nothing is said of cameras before a cluster was listed: all would be missing.
// What another run has shown is not shown again.
func TestCamerasBeforeTheFirstList(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Nodes = func() []status.Node { return nil }
	w.Cameras = func() []status.Camera { return []status.Camera{{Site: "gate", Name: "c0", State: "live"}} }
	w.push(commitA, Result(Cameras("gate", 1)))
	for run := range 2 {
		g := newGate()
		w.note(func() { w.told, w.onCompile = nil, g.wait })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.Run(ctx) }()
		w.at(g)
		if s := w.Status(); len(s.Cameras) != 0 || s.State != status.Starting {
			t.Errorf("run %d: %+v", run, s)
		}
		close(g.open)
		w.settled(func(s status.Status) bool { return s.State == status.Synced && len(s.Cameras) == 1 })
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		w.note(func() {
			for _, s := range w.told {
				if s.State == status.Synced && len(s.Cameras) != 1 {
					t.Errorf("run %d told %+v", run, s)
				}
			}
		})
	}
}

// Nothing is said of cameras after a run: its target is closed, and shows none.
// That holds for a status that is being made while the run ends, too.
func TestCamerasAfterTheRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var ends atomic.Bool
	w.Nodes = func() []status.Node { return nil }
	w.Cameras = func() []status.Camera {
		if !ends.Load() {
			return []status.Camera{{Site: "gate", Name: "c0", State: "live"}}
		}
		w.stop()
		<-w.done
		return []status.Camera{{Site: "gate", Name: "c0", State: "missing"}}
	}
	w.push(commitA, Result(Cameras("gate", 1)))
	w.run()
	if s := w.settled(func(s status.Status) bool { return s.State == status.Synced }); len(s.Cameras) != 1 {
		t.Fatalf("%+v", s)
	}
	ends.Store(true)
	for range 2 {
		if s := w.Status(); len(s.Cameras) != 0 || s.State != status.Starting || s.Commit != "" {
			t.Errorf("after the run: %+v", s)
		}
	}
}

// A folder that never was a site is nothing that could be healed.
func TestBrokenSiteThatNeverWas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := Result(Cameras("yard", 1))
	r.Sites = append(r.Sites, object.Site{Name: "notes", Broken: true})
	r.Problems = []object.Problem{{Site: "notes", Message: "no"}}
	w.push(commitA, r)
	w.run()
	if s := w.Status(); len(s.Warnings) > 0 || s.State != status.Broken {
		t.Errorf("%+v", s)
	}
}

// What is suspended and has nothing to change does not say that it would be applied.
func TestNothingPending(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push(commitA, Result(Cameras("gate", 1)))
	w.run()
	if err := w.Suspend("x"); err != nil {
		t.Fatal(err)
	}
	w.rest()
	if s := w.Status(); s.Pending != nil {
		t.Errorf("%+v", s.Pending)
	}
	w.reset()
	w.again(w)
	if s := w.Status(); s.Pending == nil || s.Pending.Summary != "nothing to change" {
		t.Errorf("%+v", s.Pending)
	}
}

// Somebody changes the uid in fleet.cue: the cause is said, and stays said
// over a restart, until it is put back.
func TestUIDChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := Result(Cameras("gate", 2))
	w.push(commitA, r)
	w.run()
	other := Result(Cameras("gate", 2))
	other.Fleet.UID = "another"
	w.push(commitB, other)
	w.note(func() {
		w.onApply = func(_ context.Context, step engine.Step) error {
			if w.results[commitB].Fleet.UID == "another" {
				return errors.New("somebody else's object has this name")
			}
			return nil
		}
	})
	w.poll()
	for range 2 {
		if s := w.Status(); s.State != status.Failing || len(s.Warnings) != 1 ||
			!strings.Contains(s.Warnings[0], "the uid in fleet.cue was changed from "+r.Fleet.UID+" to another: put it back") {
			t.Fatalf("%s %q", s.State, s.Warnings)
		}
		w.reset()
		w.again(w)
	}
	w.note(func() { w.onApply = nil })
	w.push(commitC, r)
	w.Wake()
	w.rest()
	if s := w.Status(); s.State != status.Synced || len(s.Warnings) > 0 {
		t.Errorf("%s %q", s.State, s.Warnings)
	}
}
