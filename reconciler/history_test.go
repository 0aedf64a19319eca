package reconciler_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
	. "camfleet.dev/reconciler/engine/enginetest"
	"camfleet.dev/reconciler/status"
)

// history is a world in which anything happens, in any order.
type history struct {
	*world
	rnd       *rand.Rand
	suspended bool
	commits   int
	newest    *object.Result // of the newest commit; nil when it cannot be compiled
	log       []string
}

func (h *history) do(what string, f func()) {
	h.log = append(h.log, what)
	f()
}

// commit pushes something: more or fewer cameras, a broken site or fleet, or
// what the compiler itself fails at.
func (h *history) commit() {
	h.commits++
	hash := fmt.Sprintf("%040x", h.commits)
	switch h.rnd.IntN(8) {
	case 0:
		h.newest = nil
	case 1:
		h.newest = broken(h.rnd.IntN(3) + 1)
	case 2:
		h.newest = &object.Result{Broken: true, Problems: []object.Problem{{Message: "no"}}}
	default:
		h.newest = Result(append(Cameras("gate", h.rnd.IntN(4)+1), Cameras("yard", h.rnd.IntN(4)+1)...))
	}
	h.push(hash, h.newest)
}

func (h *history) act() {
	switch h.rnd.IntN(10) {
	case 0, 1:
		h.do("commit", h.commit)
		h.Wake()
	case 2:
		id := pod([]string{"gate", "yard"}[h.rnd.IntN(2)], fmt.Sprintf("c%d", h.rnd.IntN(4)))
		h.do("remove "+id.String(), func() { h.cluster.Remove(id) })
		h.Changed()
	case 3:
		h.do("suspend", func() { h.suspended = h.Suspend("x") == nil || h.suspended })
	case 4:
		h.do("resume", func() { _ = h.Resume(); h.suspended = h.Status().Suspended != nil })
	case 5:
		h.do("approve", func() { _, _ = h.Approve(h.Status().Commit) })
	case 6:
		h.do("fetch fails", func() { h.fetchFails(errors.New("no")) })
	case 7:
		h.do("fetch works", func() { h.fetchFails(nil) })
	case 8:
		h.do("crash", func() { h.stop(); <-h.done; h.reset(); h.Source = archive{world: h.world}; h.run() })
	default:
		h.Changed()
	}
	h.step(time.Duration(h.rnd.IntN(3000)) * time.Millisecond)
}

// TestHistories: whatever happens in whatever order, nothing is applied while
// it is suspended, and once the world is quiet the target is as the newest
// commit says, as far as it can be.
func TestHistories(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			h := &history{world: newWorld(t), rnd: rand.New(rand.NewPCG(seed, 1))}
			h.Source = archive{world: h.world}
			faults := rand.New(rand.NewPCG(seed, 2))
			calm := false
			h.onApply = func(context.Context, engine.Step) error {
				h.mu.Lock()
				defer h.mu.Unlock()
				if !calm && faults.IntN(10) == 0 {
					return errors.New("injected")
				}
				return nil
			}
			h.run()
			for range 60 {
				was, steps := h.suspended, len(h.cluster.Steps)
				h.act()
				if was && h.suspended && len(h.cluster.Steps) > steps {
					t.Fatalf("suspended, and %s was done, after %s", h.cluster.Steps[steps:], h.log)
				}
			}
			h.note(func() { calm = true })
			h.fetchFails(nil)
			if err := h.Resume(); err != nil {
				t.Fatal(err)
			}
			h.Wake()
			h.step(0)
			for range 30 {
				h.step(time.Minute)
			}
			h.check(t)
		})
	}
}

func (h *history) check(t *testing.T) {
	t.Helper()
	s := h.Status()
	if h.newest == nil {
		if h.commits > 0 && s.CompileError == "" {
			t.Errorf("the compiler's failure is not shown: %+v", s)
		}
		return
	}
	if s.Commit != fmt.Sprintf("%040x", h.commits) || len(s.Failed) > 0 || s.Pending != nil {
		t.Fatalf("commit %s, failed %v, pending %v, after %s", s.Commit, s.Failed, s.Pending, h.log)
	}
	switch {
	case len(h.newest.Problems) > 0 && s.State != status.Broken && s.State != status.Held,
		len(h.newest.Problems) == 0 && s.State != status.Synced && s.State != status.Held:
		t.Errorf("state %s after %s", s.State, h.log)
	}
	live, err := h.cluster.List(t.Context(), Fleet)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range engine.Plan(h.newest, live, engine.Options{Commit: s.Commit, Now: h.clock.Now()}).Changes {
		if _, effect := c.Step(); effect {
			t.Errorf("left to do: %v, after %s", c, h.log)
		}
	}
}
