package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	gosync "sync"
	"sync/atomic"
	"testing"
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
	. "camfleet.dev/reconciler/engine/enginetest"
)

// stepper is a Cluster that only takes steps.
type stepper func(context.Context, engine.Step) error

func (stepper) List(context.Context, string) ([]engine.Live, error) { return nil, nil }
func (s stepper) Apply(ctx context.Context, step engine.Step) error { return s(ctx, step) }

// TestWhatNeedsAFailedObject: a Pod is not started with an old configuration,
// and nothing is asked for in a namespace that is not there.
func TestWhatNeedsAFailedObject(t *testing.T) {
	t.Parallel()
	refused := errors.New("refused")
	for _, c := range []struct {
		name  string
		had   []Camera
		fails string // an ID
		want  map[string]string
		calls int
	}{
		{
			name: "a new configuration", fails: "camfleet-gate/ConfigMap/camera-c0", calls: 8,
			want: map[string]string{
				"camfleet-gate/ConfigMap/camera-c0": "refused",
				"camfleet-gate/Pod/camera-c0":       "not tried: its configuration could not be applied: refused",
			},
		},
		{
			name: "a changed configuration", had: []Camera{{Site: "gate", Name: "c0"}, {Site: "gate", Name: "c1"}},
			fails: "camfleet-gate/ConfigMap/camera-c0", calls: 3,
			want: map[string]string{
				"camfleet-gate/ConfigMap/camera-c0": "refused",
				"camfleet-gate/Pod/camera-c0":       "not tried: its configuration could not be applied: refused",
			},
		},
		{
			name: "a namespace", fails: "Namespace/camfleet-gate", calls: 1,
			want: map[string]string{
				"Namespace/camfleet-gate": "refused",
				"camfleet-gate/":          "not tried: its namespace camfleet-gate could not be applied: refused",
			},
		},
		{name: "a claim", fails: "camfleet-gate/PersistentVolumeClaim/archive", calls: 9, want: map[string]string{
			"camfleet-gate/PersistentVolumeClaim/archive": "refused",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := &Memory{}
			if c.had != nil {
				sync(t, m, Result(c.had), engine.Options{})
			}
			calls := 0
			a := engine.Applier{Cluster: stepper(func(ctx context.Context, s engine.Step) error {
				if calls++; s.ID().String() == c.fails {
					return refused
				}
				return m.Apply(ctx, s)
			})}
			set := a.Apply(t.Context(), plan(t, m, Result(Cameras("gate", 2)), engine.Options{}))
			if calls != c.calls {
				t.Errorf("%d calls, want %d", calls, c.calls)
			}
			for _, change := range set.Of(engine.Failed) {
				if why, ok := c.want[change.ID.String()]; ok && why == change.Reason {
					continue
				}
				if why := c.want[change.Namespace+"/"]; why == "" || why != change.Reason {
					t.Errorf("%s", change)
				}
			}
			if n := len(set.Of(engine.Failed)); n < len(c.want) {
				t.Errorf("%d failed\n%s", n, set)
			}
		})
	}
}

// TestNamespaceThatExists: that a namespace cannot be changed stops nothing in it.
func TestNamespaceThatExists(t *testing.T) {
	t.Parallel()
	m := &Memory{}
	sync(t, m, Result(nil, "gate"), engine.Options{})
	r := Result(Cameras("gate", 1))
	for i := range r.Objects {
		if o := &r.Objects[i]; o.Kind == "Namespace" {
			o.Body = Body(*o, map[string]any{"spec": "other"})
		}
	}
	a := engine.Applier{Cluster: stepper(func(ctx context.Context, s engine.Step) error {
		if s.ID().Kind == "Namespace" {
			return errors.New("forbidden")
		}
		return m.Apply(ctx, s)
	})}
	if got := a.Apply(t.Context(), plan(t, m, r, engine.Options{})).Summary(); got != "3 created, 1 failed, 2 unchanged" {
		t.Error(got)
	}
}

// TestSlowSites: sites whose steps hang do not keep the others waiting.
func TestSlowSites(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ slow, parallel int }{{1, 2}, {1, 8}, {2, 8}, {3, 8}, {4, 32}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			t.Parallel()
			var cameras []Camera
			for i := range c.slow {
				cameras = append(cameras, Cameras(fmt.Sprintf("a-slow%d", i), 30)...)
			}
			for i := range 10 {
				cameras = append(cameras, Cameras(fmt.Sprintf("b%d", i), 3)...)
			}
			quick := 10 * (3 + 3*3)
			left, release := make(chan struct{}), make(chan struct{})
			var done atomic.Int64
			a := engine.Applier{Parallel: c.parallel, Cluster: stepper(func(_ context.Context, s engine.Step) error {
				if strings.Contains(s.ID().Namespace, "slow") {
					<-release
				}
				return nil
			}), Done: func(c engine.Change) {
				if strings.HasPrefix(c.Site, "b") && done.Add(1) == int64(quick) {
					close(left)
				}
			}}
			finished := make(chan engine.ChangeSet)
			go func() { finished <- a.Apply(context.Background(), engine.Plan(Result(cameras), nil, engine.Options{})) }()
			select {
			case <-left:
			case <-time.After(20 * time.Second):
				t.Errorf("the other sites did %d of %d", done.Load(), quick)
			}
			close(release)
			if set := <-finished; len(set.Of(engine.Created)) != len(set.Changes) {
				t.Error(set.Summary())
			}
		})
	}
}

// TestSlots: never more steps run at once than may, and one site alone gets them all.
func TestSlots(t *testing.T) {
	t.Parallel()
	const parallel = 6
	for _, sites := range []int{1, 2, 9} {
		var cameras []Camera
		for i := range sites {
			cameras = append(cameras, Cameras(fmt.Sprintf("s%d", i), 40)...)
		}
		var now, most atomic.Int64
		var once gosync.Once
		full := make(chan struct{})
		a := engine.Applier{Parallel: parallel, Cluster: stepper(func(_ context.Context, s engine.Step) error {
			n := now.Add(1)
			defer now.Add(-1)
			for {
				old := most.Load()
				if n <= old || most.CompareAndSwap(old, n) {
					break
				}
			}
			if sites == 1 && s.ID().Kind == "ConfigMap" { // all slots come to be taken at once
				if n == parallel {
					once.Do(func() { close(full) })
				}
				select {
				case <-full:
				case <-time.After(10 * time.Second):
				}
			}
			return nil
		})}
		a.Apply(t.Context(), engine.Plan(Result(cameras), nil, engine.Options{}))
		if got := most.Load(); got > parallel || sites == 1 && got < parallel {
			t.Errorf("%d sites: %d at once", sites, got)
		}
	}
}

// TestReplacementsDoNotBlock: while Pods end, other sites are created.
func TestReplacementsDoNotBlock(t *testing.T) {
	t.Parallel()
	cameras := Cameras("gate", 8)
	m := running(t, Result(cameras))
	next := restarted(append(cameras, Cameras("yard", 5)...))
	release, created := make(chan struct{}), make(chan struct{})
	var n atomic.Int64
	a := engine.Applier{Parallel: 2, Cluster: stepper(func(ctx context.Context, s engine.Step) error {
		if s.Action == engine.Replaced {
			<-release
		}
		return m.Apply(ctx, s)
	}), Done: func(c engine.Change) {
		if c.Site == "yard" && n.Add(1) == 18 {
			close(created)
		}
	}}
	finished := make(chan engine.ChangeSet)
	go func() { finished <- a.Apply(context.Background(), plan(t, m, next, engine.Options{AtOnce: 1})) }()
	<-created
	close(release)
	if set := <-finished; len(set.Of(engine.Failed)) != 0 || len(set.Of(engine.Replaced)) != 8 {
		t.Error(set)
	}
}

// TestSitesGoAheadAlone: a Pod waits for the configuration of its own site only.
func TestSitesGoAheadAlone(t *testing.T) {
	t.Parallel()
	order := map[string][]string{}
	var all []object.ID
	a := engine.Applier{Cluster: stepper(func(_ context.Context, s engine.Step) error {
		order[s.Want.Site] = append(order[s.Want.Site], s.Want.Kind)
		all = append(all, s.ID())
		return nil
	})}
	a.Apply(t.Context(), engine.Plan(Result(append(Cameras("gate", 1), Cameras("yard", 20)...)), nil, engine.Options{}))
	if want := []string{"Namespace", "ConfigMap", "PersistentVolumeClaim", "CronJob", "Deployment", "Pod"}; !slices.Equal(order["gate"], want) {
		t.Error(order["gate"])
	}
	if i := slices.Index(all, podID("gate", "c0")); i < 0 || i > 12 {
		t.Errorf("the Pod was step %d of %d", i, len(all))
	}
}

// TestWhatNeedsAWaitingObject: a Pod is not made while its configuration waits,
// whoever has put that off.
func TestWhatNeedsAWaitingObject(t *testing.T) {
	t.Parallel()
	m := &Memory{}
	set := plan(t, m, Result(Cameras("gate", 2)), engine.Options{})
	for i := range set.Changes {
		if c := &set.Changes[i]; c.Kind == "ConfigMap" && c.Camera == "c0" {
			c.Action, c.Tried, c.Reason = engine.Waiting, engine.Created, "it failed; later"
		}
	}
	got := engine.Applier{Cluster: m}.Apply(t.Context(), set)
	c := find(t, got, podID("gate", "c0").String())
	if c.Action != engine.Waiting || c.Tried != engine.Created || c.Reason != "its configuration waits: it failed; later" {
		t.Error(c)
	}
	if s := got.Summary(); s != "7 created, 2 waiting" {
		t.Error(s)
	}
}
