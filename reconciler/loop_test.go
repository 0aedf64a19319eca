package reconciler_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
	. "camfleet.dev/reconciler/engine/enginetest"
	"camfleet.dev/reconciler/status"
)

func pod(site, camera string) object.ID {
	return object.ID{APIVersion: "v1", Kind: "Pod", Namespace: "camfleet-" + site, Name: "camera-" + camera}
}

// A source that hangs delays neither healing nor an approval nor a suspension.
func TestHangingFetchDelaysNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push(commitA, Result(append(Cameras("gate", 20), Cameras("yard", 1)...)))
	w.run()
	w.push(commitB, Result(Cameras("gate", 20)))
	w.poll()
	g := newGate()
	w.note(func() { w.onFetch = g.wait })
	w.Wake()
	w.at(g)
	w.cluster.Remove(pod("gate", "c3"))
	w.Changed()
	w.clock.Advance(200 * time.Millisecond)
	w.settled(func(status.Status) bool { return w.cluster.Has(pod("gate", "c3")) })
	if n, err := w.Approve(commitB); n != 4 || err != nil {
		t.Fatalf("%d %v", n, err)
	}
	w.settled(func(s status.Status) bool { return s.State == status.Synced })
	if err := w.Suspend("the network is being repaired"); err != nil {
		t.Fatal(err)
	}
	if err := w.Alive(t.Context()); err != nil {
		t.Error(err)
	}
	w.settled(func(s status.Status) bool { return s.State == status.Suspended })
	close(g.open)
	w.rest()
}

// A Wake during a fetch may be about what that fetch was too early for.
func TestWakeDuringAFetch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	g := newGate()
	w.note(func() { w.onFetch = g.wait })
	w.Wake()
	w.at(g)
	w.Wake()
	w.Wake()
	if err := w.Alive(t.Context()); err != nil { // the loop has taken the calls up
		t.Fatal(err)
	}
	before := w.clock.Now()
	close(g.open)
	w.rest()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fetches < 3 || w.fetches > 4 || !w.clock.Now().Equal(before) {
		t.Errorf("%d fetches, want the first, the one that hung, and one or two for the calls during it", w.fetches)
	}
}

// A commit that is compiled interrupts the sync of the one before at once.
func TestNewerCommitInterrupts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push(commitA, Result(Cameras("gate", 3)))
	w.run()
	g := newGate()
	w.note(func() {
		w.onApply = func(ctx context.Context, step engine.Step) error {
			if step.ID().Name == "camera-stuck" && step.ID().Kind == "Pod" {
				return g.wait(ctx, "stuck")
			}
			return nil
		}
	})
	w.push(commitB, Result(append(Cameras("gate", 3), Camera{Site: "gate", Name: "stuck"})))
	w.Wake()
	w.at(g)
	w.push(commitC, Result(append(Cameras("gate", 4), Camera{Site: "yard", Name: "c9"})))
	w.Wake()
	s := w.settled(func(s status.Status) bool { return s.Commit == commitC })
	if s.State != status.Synced || !w.cluster.Has(pod("yard", "c9")) || w.cluster.Has(pod("gate", "stuck")) {
		t.Errorf("%+v", s)
	}
	for _, c := range w.records {
		if c.Action == engine.Failed {
			t.Errorf("an interrupted step is no failure: %v", c)
		}
	}
}

// A commit that cannot be compiled interrupts nothing, and healing goes on.
func TestUncompilableCommitInterruptsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push(commitA, Result(Cameras("gate", 3)))
	w.run()
	w.push(commitB, nil)
	w.Wake()
	w.settled(func(s status.Status) bool { return s.CompileError != "" })
	w.rest()
	w.cluster.Remove(pod("gate", "c1"))
	w.clock.Advance(time.Millisecond)
	w.Changed()
	w.clock.Advance(time.Second)
	w.rest()
	if s := w.Status(); !w.cluster.Has(pod("gate", "c1")) || s.Commit != commitA || s.State != status.Failing {
		t.Errorf("%+v", s)
	}
	if len(w.records) != 1 || w.records[0].ID != pod("gate", "c1") || w.records[0].Action != engine.Created {
		t.Errorf("recorded %v, want what was healed", w.records)
	}
}

// A newer commit stops the compilation of an older one; but of two in a row one
// is left to end.
func TestNewerCommitStopsCompiling(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	g := newGate()
	stopped := make(chan string, 10)
	w.note(func() {
		w.onCompile = func(ctx context.Context, hash string) error {
			err := g.wait(ctx, hash)
			if err != nil {
				stopped <- hash
			}
			return err
		}
	})
	for _, hash := range []string{commitA, commitB, commitC} {
		w.push(hash, Result(Cameras("gate", 1)))
		w.Wake()
		if hash == commitC {
			break // it has to wait for commitB
		}
		if got := w.at(g); got != hash {
			t.Fatalf("%s is compiled, want %s", got, hash)
		}
	}
	if got := <-stopped; got != commitA {
		t.Errorf("stopped %s", got)
	}
	w.settled(func(status.Status) bool { w.mu.Lock(); defer w.mu.Unlock(); return w.fetches >= 4 })
	close(g.open)
	w.settled(func(s status.Status) bool { return s.Commit == commitC })
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(w.compiled, []string{commitB, commitC}) || len(stopped) > 0 {
		t.Errorf("compiled %s", w.compiled)
	}
}

// A storm of changes makes one sync per pause, and none is lost.
func TestChangesAreGathered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push(commitA, Result(Cameras("gate", 2)))
	w.run()
	w.clock.Advance(time.Millisecond)
	calls := w.cluster.Calls()
	for range 1000 {
		w.Changed()
	}
	if err := w.Alive(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d, ok := w.clock.Next(); !ok || d > 200*time.Millisecond {
		t.Errorf("the next sync is in %v", d)
	}
	w.clock.Advance(200 * time.Millisecond)
	w.rest()
	if n := w.cluster.Calls() - calls; n != 1 {
		t.Errorf("%d calls of the cluster, want 1", n)
	}
	w.clock.Advance(300 * time.Millisecond)
	w.Changed()
	w.rest()
	if n := w.cluster.Calls() - calls; n != 2 {
		t.Errorf("%d calls of the cluster: a change after a quiet time is taken up at once", n)
	}
	if w.fetches != 1 {
		t.Errorf("%d fetches: what happens to the target is no reason to ask the source", w.fetches)
	}
}

// While a Pod's end is waited for, another Pod is healed beside it; nothing is
// done twice, and nothing more is taken away.
func TestHealingBesideALongSync(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cluster.Clock = w.clock.Now
	w.push(commitA, Result(append(Cameras("gate", 3), Cameras("yard", 3)...)))
	w.run()
	for _, site := range []string{"gate", "yard"} {
		for _, c := range []string{"c0", "c1", "c2"} {
			w.cluster.Edit(pod(site, c), func(l *engine.Live) { l.Pod.Ready, l.Pod.Phase = true, "Running" })
		}
	}
	g := newGate()
	w.note(func() {
		w.onApply = func(ctx context.Context, step engine.Step) error {
			if step.Action == engine.Replaced {
				return g.wait(ctx, step.ID().Name)
			}
			return nil
		}
	})
	next := Result(append(Cameras("gate", 3), Cameras("yard", 3)...))
	for i := range next.Objects {
		if o := &next.Objects[i]; o.Kind == "Pod" && o.Site == "gate" {
			o.Hash = "h2"
			o.Body = []byte(strings.ReplaceAll(string(o.Body), `"hr"`, `"h2"`))
		}
	}
	w.push(commitB, next)
	w.Wake()
	first := w.at(g)
	w.cluster.Remove(pod("yard", "c2"))
	w.Changed()
	if err := w.Alive(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(800 * time.Millisecond)
	w.settled(func(status.Status) bool { return w.cluster.Has(pod("yard", "c2")) })
	if s := w.Status(); s.Commit != commitA || s.State != status.Waiting || s.Pending == nil || s.Pending.Commit != commitB {
		t.Errorf("commit B is on its way, and nothing else: %+v", s)
	}
	if len(g.reached) > 0 {
		t.Errorf("besides %s, %s is replaced", first, <-g.reached)
	}
	close(g.open)
	w.rest()
	if s := w.Status(); s.Commit != commitB || len(s.Failed) > 0 {
		t.Errorf("%+v", s)
	}
	if n := count(w.cluster.Steps, "created camfleet-yard/Pod/camera-c2"); n != 2 { // at first, and healed
		t.Errorf("made %d times: %s", n, w.cluster.Steps)
	}
}

func count(all []string, one string) (n int) {
	for _, s := range all {
		if s == one {
			n++
		}
	}
	return n
}

// Shutting down waits for all that runs.
func TestStopsWhateverRuns(t *testing.T) {
	t.Parallel()
	for name, hook := range map[string]func(*world, *gate){
		"fetch":   func(w *world, g *gate) { w.onFetch = g.wait },
		"compile": func(w *world, g *gate) { w.onCompile = g.wait },
		"apply": func(w *world, g *gate) {
			w.onApply = func(ctx context.Context, s engine.Step) error { return g.wait(ctx, s.ID().Name) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			g := newGate()
			hook(w, g)
			w.push(commitA, Result(Cameras("gate", 2)))
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- w.Run(ctx) }()
			w.at(g)
			cancel()
			select {
			case err := <-done:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(20 * time.Second):
				t.Fatal("it does not stop")
			}
		})
	}
}
