package engine_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
	. "camfleet.dev/reconciler/engine/enginetest"
)

// round plans with what a rollout knows, and applies.
func round(t *testing.T, m *Memory, r *object.Result, ro *engine.Rollout, commit string, now time.Time) engine.ChangeSet {
	t.Helper()
	m.Clock = func() time.Time { return now }
	live, err := m.List(t.Context(), Fleet)
	if err != nil {
		t.Fatal(err)
	}
	set := engine.Plan(r, live, ro.Options(engine.Options{Commit: commit, Now: now, AtOnce: 0.4}, live))
	set = engine.Applier{Cluster: m}.Apply(t.Context(), set)
	ro.Observe(set, now)
	return set
}

func lost(t *testing.T, m *Memory, ro *engine.Rollout, now time.Time) []string {
	t.Helper()
	live, err := m.List(t.Context(), Fleet)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, id := range slices.SortedFunc(maps.Keys(ro.Lost(live, now)), object.ID.Compare) {
		names = append(names, id.Name)
	}
	return names
}

func TestRolloutKnowsWhoIsLost(t *testing.T) {
	t.Parallel()
	cameras := Cameras("gate", 5) // two at once
	m := running(t, Result(cameras))
	m.Edit(podID("gate", "c4"), func(l *engine.Live) { l.Pod.Ready = false })
	ro, next := &engine.Rollout{}, restarted(cameras)
	if set := round(t, m, next, ro, "a", epoch()); len(set.Of(engine.Replaced)) != 3 {
		t.Fatal(set) // c0, c1, and c4, which has nothing to lose
	}
	at := epoch().Add(59 * time.Second)
	if got := lost(t, m, ro, at); got != nil {
		t.Errorf("lost before their turn is over: %s", got)
	}
	if set := round(t, m, next, ro, "a", at); len(set.Of(engine.Replaced)) != 0 || !set.Again.Equal(epoch().Add(time.Minute)) {
		t.Errorf("again at %s\n%s", set.Again, set)
	}
	record(m, podID("gate", "c0"), "n1")
	at = epoch().Add(time.Minute)
	if got := lost(t, m, ro, at); !slices.Equal(got, []string{"camera-c1"}) {
		t.Errorf("lost: %s", got)
	}
	m.Edit(podID("gate", "c0"), func(l *engine.Live) { l.Pod.Ready = false }) // it has been ready
	if got := lost(t, m, ro, at); !slices.Equal(got, []string{"camera-c1"}) {
		t.Errorf("lost: %s", got)
	}
	m.Edit(podID("gate", "c1"), func(l *engine.Live) { l.Pod.NodeGone = at })
	if got := lost(t, m, ro, at); got != nil {
		t.Errorf("lost with its node: %s", got)
	}
	m.Remove(podID("gate", "c1"))
	if got := lost(t, m, ro, at); !slices.Equal(got, []string{"camera-c1"}) {
		t.Errorf("lost: %s", got)
	}
	round(t, m, next, ro, "b", at)
	if got := lost(t, m, ro, at.Add(time.Second)); got != nil {
		t.Errorf("lost by the commit before: %s", got)
	}
}

func TestRolloutBacksOff(t *testing.T) {
	t.Parallel()
	r := Result(Cameras("gate", 1))
	m := running(t, r)
	ro, now := &engine.Rollout{}, epoch()
	var waits []time.Duration
	for range 10 {
		m.Edit(podID("gate", "c0"), func(l *engine.Live) { l.Pod.Phase, l.Pod.Ready = "Failed", false })
		began := now
		for {
			set := round(t, m, r, ro, "a", now)
			if len(set.Of(engine.Replaced)) == 1 {
				break
			}
			if len(set.Of(engine.Waiting)) != 1 || !set.Again.After(now) {
				t.Fatalf("%s, again at %s", set, set.Again)
			}
			now = set.Again
		}
		waits = append(waits, now.Sub(began))
	}
	const s = time.Second
	want := []time.Duration{0, 0, 0, 10 * s, 20 * s, 40 * s, 80 * s, 160 * s, 300 * s, 300 * s}
	if !slices.Equal(waits, want) {
		t.Errorf("waits %s, want %s", waits, want)
	}
	m.Edit(podID("gate", "c0"), func(l *engine.Live) { l.Pod.Phase = "Failed" })
	if set := round(t, m, r, ro, "a", now.Add(11*time.Minute)); len(set.Of(engine.Replaced)) != 1 {
		t.Errorf("after it was well for long:\n%s", set)
	}
	m.Edit(podID("gate", "c0"), func(l *engine.Live) { l.Pod.Phase = "Failed" })
	if set := round(t, m, r, ro, "another", now.Add(11*time.Minute)); len(set.Of(engine.Replaced)) != 1 {
		t.Errorf("with a new commit:\n%s", set)
	}
}

// TestClockOfTheRollout: a clock that is set back forgets, and waits for nothing.
func TestClockOfTheRollout(t *testing.T) {
	t.Parallel()
	cameras := Cameras("gate", 5)
	m := running(t, Result(cameras))
	ro := &engine.Rollout{}
	round(t, m, restarted(cameras), ro, "a", epoch())
	for i := range cameras {
		record(m, podID("gate", cameras[i].Name), "n1")
	}
	if set := round(t, m, restarted(cameras), ro, "a", epoch().Add(-time.Hour)); len(set.Of(engine.Replaced)) != 2 {
		t.Error(set)
	}
}
