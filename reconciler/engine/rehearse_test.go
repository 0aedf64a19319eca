package engine_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	gosync "sync"
	"testing"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
	. "camfleet.dev/reconciler/engine/enginetest"
)

// stage is a cluster that can say whether it would take a Pod.
type stage struct {
	*Memory
	refuse map[object.ID]error

	mu    gosync.Mutex
	steps []string
}

func (s *stage) note(what string, step engine.Step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps = append(s.steps, what+" "+step.ID().String())
}

func (s *stage) Rehearse(_ context.Context, step engine.Step) error {
	s.note("rehearsed", step)
	return s.refuse[step.ID()]
}

func (s *stage) Apply(ctx context.Context, step engine.Step) error {
	what := string(step.Action)
	if step.Rehearsed {
		what += " as rehearsed"
	}
	s.note(what, step)
	return s.Memory.Apply(ctx, step)
}

// TestRehearsedBeforeItsConfiguration: a Pod that is refused keeps what it runs with.
func TestRehearsedBeforeItsConfiguration(t *testing.T) {
	t.Parallel()
	policy := func(r *object.Result, cameras []Camera) *object.Result {
		for _, c := range cameras {
			o := object.Object{
				ID:   object.ID{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy", Namespace: "camfleet-gate", Name: "camera-" + c.Name},
				Site: "gate", Camera: c.Name, Role: object.RoleCamera,
			}
			o.Body = Body(o, map[string]any{"spec": c.Restart})
			r.Objects = append(r.Objects, o)
		}
		return r
	}
	cameras := Cameras("gate", 3)
	s := &stage{Memory: running(t, policy(Result(cameras), cameras)), refuse: map[object.ID]error{podID("gate", "c0"): errors.New("no such runtime class")}}
	next := Cameras("gate", 3)
	next[0].Restart, next[1].Restart, next[2].Settings = "x", "x", "y"
	var done []string
	a := engine.Applier{Cluster: s, Done: func(c engine.Change) { done = append(done, c.ID.String()) }}
	set := a.Apply(t.Context(), plan(t, s.Memory, policy(Result(next), next), engine.Options{AtOnce: 1}))
	want := []string{
		"configured camfleet-gate/ConfigMap/camera-c2", // only another setting
		"rehearsed camfleet-gate/Pod/camera-c0", "rehearsed camfleet-gate/Pod/camera-c1",
		"configured camfleet-gate/ConfigMap/camera-c1", "configured camfleet-gate/NetworkPolicy/camera-c1",
		"replaced as rehearsed camfleet-gate/Pod/camera-c1",
	}
	if !slices.Equal(s.steps, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(s.steps, "\n"), strings.Join(want, "\n"))
	}
	if c := find(t, set, podID("gate", "c0").String()); c.Action != engine.Failed || c.Tried != engine.Replaced || c.Reason != "no such runtime class" {
		t.Error(c)
	}
	for _, kind := range []string{"ConfigMap", "NetworkPolicy"} {
		c := find(t, set, "camfleet-gate/"+kind+"/camera-c0")
		if c.Action != engine.Waiting || c.Tried != engine.Configured || c.Reason != "it waits, as its Pod was refused: no such runtime class" {
			t.Error(c)
		}
	}
	slices.Sort(done)
	if len(done) != 7 || len(slices.Compact(done)) != 7 {
		t.Errorf("told of %s", done)
	}
}

// TestRehearsedOnlyWithConfiguration: a Pod that alone is replaced is rehearsed by
// who replaces it, as is one that has ended: it runs with nothing.
func TestRehearsedOnlyWithConfiguration(t *testing.T) {
	t.Parallel()
	cameras := Cameras("gate", 2)
	s := &stage{Memory: running(t, Result(cameras))}
	s.Edit(podID("gate", "c1"), func(l *engine.Live) { l.Pod.Phase, l.Pod.Ready = "Failed", false })
	next := Cameras("gate", 2)
	next[0].CPU, next[1].Restart = "100m", "x"
	r := Result(next)
	for i := range r.Objects {
		if o := &r.Objects[i]; o.ID == podID("gate", "c0") {
			o.Hash = "other"
		}
	}
	engine.Applier{Cluster: s}.Apply(t.Context(), plan(t, s.Memory, r, engine.Options{AtOnce: 1}))
	want := []string{
		"configured camfleet-gate/ConfigMap/camera-c1",
		"replaced camfleet-gate/Pod/camera-c0", "replaced camfleet-gate/Pod/camera-c1",
	}
	if !slices.Equal(s.steps, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(s.steps, "\n"), strings.Join(want, "\n"))
	}
}

// TestRehearsalInterrupted: what was not asked any more is not done.
func TestRehearsalInterrupted(t *testing.T) {
	t.Parallel()
	cameras := Cameras("gate", 2)
	s := &stage{Memory: running(t, Result(cameras))}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	set := engine.Applier{Cluster: s}.Apply(ctx, plan(t, s.Memory, restarted(cameras), engine.Options{}))
	if len(s.steps) != 0 || len(set.Of(engine.Failed)) != 2 {
		t.Errorf("%s\n%s", s.steps, set)
	}
}
