package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
	. "camfleet.dev/reconciler/engine/enginetest"
)

// randomResult is some fleet of up to three sites, now and then broken.
func randomResult(rnd *rand.Rand) *object.Result {
	var cameras []Camera
	var sites []string
	for _, site := range []string{"gate", "yard", "attic"} {
		if rnd.IntN(4) == 0 {
			continue
		}
		sites = append(sites, site)
		for i := range rnd.IntN(8) {
			if rnd.IntN(5) > 0 {
				cameras = append(cameras, Camera{
					Site: site, Name: fmt.Sprintf("c%d", i), Restart: fmt.Sprint(rnd.IntN(3)), Settings: fmt.Sprint(rnd.IntN(3)),
				})
			}
		}
	}
	r := Result(cameras, sites...)
	for i := range r.Sites {
		if s := &r.Sites[i]; rnd.IntN(6) == 0 {
			s.Broken, s.Cameras = true, nil
			r.Objects = slices.DeleteFunc(r.Objects, func(o object.Object) bool { return o.Site == s.Name })
		}
	}
	r.Broken = rnd.IntN(10) == 0
	return r
}

// converge checks, for one random history of commits, what must always hold.
func converge(t *testing.T, seed uint64) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 1))
	m := &Memory{}
	o := engine.Options{}
	for commit := range 6 {
		r := randomResult(rnd)
		o.Commit, o.Approved = fmt.Sprint(commit), ""
		if rnd.IntN(2) == 0 {
			o.Approved = o.Commit
		}
		m.Fail = func(int) Fault { return None }
		before, _ := m.List(context.Background(), Fleet)
		if a, b := engine.Plan(r, before, o), engine.Plan(r, before, o); !reflect.DeepEqual(a, b) {
			t.Fatalf("seed %d: planning twice differs:\n%s\n%s", seed, a, b)
		}
		fails := rnd.IntN(3)
		m.Fail = func(int) Fault {
			if fails > 0 && rnd.IntN(4) == 0 {
				return Fault(1 + rnd.IntN(2))
			}
			return None
		}
		if live, err := m.List(context.Background(), Fleet); err == nil {
			plan := engine.Plan(r, live, o)
			o.Base = plan.Base
			got := engine.Applier{Cluster: m, Parallel: 1 + rnd.IntN(3)}.Apply(context.Background(), plan)
			if len(got.Changes) != len(plan.Changes) {
				t.Fatalf("seed %d: %d changes of %d", seed, len(got.Changes), len(plan.Changes))
			}
		}
		m.Fail = nil
		set := sync(t, m, r, o)
		o.Base = set.Base
		again := sync(t, m, r, o)
		if n := again.Counts(); n[engine.Unchanged]+n[engine.Held] != len(again.Changes) {
			t.Fatalf("seed %d: it does not settle:\n%s\nthen\n%s", seed, set, again)
		}
		checkKept(t, seed, r, before, m, o)
		if n := again.Counts(); n[engine.Held] == 0 {
			o.Base = 0
		}
	}
}

// checkKept checks that recordings, broken sites and unapproved sites are as they were.
func checkKept(t *testing.T, seed uint64, r *object.Result, before []engine.Live, m *Memory, o engine.Options) {
	t.Helper()
	state := map[string]bool{}
	for _, s := range r.Sites {
		state[s.Name] = s.Broken
	}
	for _, l := range before {
		broken, known := state[l.Site]
		permanent := l.Kind == "Namespace" || l.Kind == "PersistentVolumeClaim"
		unapproved := !known && o.Approved != o.Commit
		if (r.Broken || broken || permanent || unapproved) && !m.Has(l.ID) {
			t.Fatalf("seed %d: %s is gone", seed, l.ID)
		}
	}
	if r.Broken {
		return
	}
	for _, w := range r.Objects {
		if !m.Has(w.ID) {
			t.Fatalf("seed %d: %s is missing", seed, w.ID)
		}
	}
}

func TestConverges(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		converge(t, seed)
	}
}

func FuzzConverges(f *testing.F) {
	f.Add(uint64(0))
	f.Fuzz(converge)
}

// TestEveryCallFails fails each call of a rollout in turn, before and after its
// effect, and lets the next round finish the work.
func TestEveryCallFails(t *testing.T) {
	t.Parallel()
	first := Result(append(Cameras("gate", 3), Cameras("yard", 8)...))
	next := Result(append(Cameras("gate", 3), append(Cameras("yard", 7), Camera{Site: "yard", Name: "n"})...))
	for i := range next.Objects {
		if o := &next.Objects[i]; o.Kind == "Pod" && o.Camera == "c1" {
			o.Hash = "new"
			o.Body = Body(*o, nil)
		}
	}
	rollout := func(m *Memory, r *object.Result) engine.ChangeSet {
		live, err := m.List(context.Background(), Fleet)
		if err != nil {
			return engine.ChangeSet{}
		}
		return engine.Applier{Cluster: m}.Apply(context.Background(), engine.Plan(r, live, engine.Options{}))
	}
	clean := &Memory{}
	rollout(clean, first)
	start := clean.Calls()
	rollout(clean, next)
	for call := start; call < clean.Calls(); call++ {
		for _, fault := range []Fault{Before, After} {
			m := &Memory{Fail: func(n int) Fault {
				if n == call {
					return fault
				}
				return None
			}}
			rollout(m, first)
			set := rollout(m, next)
			failed := slices.DeleteFunc(set.Of(engine.Failed), func(c engine.Change) bool {
				return strings.HasPrefix(c.Reason, "not tried: its configuration")
			})
			if call > start && len(failed) != 1 {
				t.Errorf("call %d: %d failed:\n%s", call, len(failed), set)
			}
			rollout(m, next)
			if got := rollout(m, next).Summary(); got != fmt.Sprintf("%d unchanged", len(next.Objects)) {
				t.Errorf("call %d, fault %d: %s", call, fault, got)
			}
		}
	}
}

func TestApplyStopsWithItsContext(t *testing.T) {
	t.Parallel()
	m := &Memory{}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := 0
	a := engine.Applier{Cluster: m, Done: func(engine.Change) {
		if done++; done == 3 {
			cancel()
		}
	}}
	set := a.Apply(ctx, engine.Plan(Result(Cameras("gate", 2)), nil, engine.Options{}))
	if got := set.Summary(); got != "3 created, 6 failed" {
		t.Error(got)
	}
	if !strings.Contains(set.String(), "not done, as it was interrupted: context canceled") {
		t.Error(set)
	}
}

func TestChangeSetRenders(t *testing.T) {
	t.Parallel()
	m := &Memory{}
	sync(t, m, Result(append(Cameras("gate", 1), Cameras("yard", 1)...)), engine.Options{})
	set := sync(t, m, Result([]Camera{{Site: "gate", Name: "c0", Restart: "x", Line: 7}, {Site: "gate", Name: "new", Line: 9}}, "yard"), engine.Options{Commit: "abc"})
	want := `configured  camfleet-gate/ConfigMap/camera-c0   sites/gate/cameras.cue:7:2  data[camera.json].settings, data[camera.json].url changed
created     camfleet-gate/ConfigMap/camera-new  sites/gate/cameras.cue:9:2  it is new
created     camfleet-gate/CronJob/days-new      sites/gate/cameras.cue:9:2  it is new
replaced    camfleet-gate/Pod/camera-c0         sites/gate/cameras.cue:7:2  it needs a restart: data[camera.json].url changed
created     camfleet-gate/Pod/camera-new        sites/gate/cameras.cue:9:2  it is new
deleted     camfleet-yard/ConfigMap/camera-c0                               it is no longer in Git
deleted     camfleet-yard/CronJob/days-c0                                   it is no longer in Git
deleted     camfleet-yard/Pod/camera-c0                                     it is no longer in Git
3 created, 1 configured, 1 replaced, 3 deleted, 7 unchanged
`
	if got := set.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	var coloured strings.Builder
	if err := set.Table(&coloured, func(_ engine.Action, s string) string { return "<" + s + ">" }); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(coloured.String(), "<configured>  camfleet-gate/ConfigMap/camera-c0   sites") {
		t.Error(coloured.String())
	}
	raw, err := json.Marshal(set.Changed())
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"commit":"abc","changes":[{"action":"configured","apiVersion":"v1","kind":"ConfigMap","namespace":"camfleet-gate","name":"camera-c0","site":"gate","camera":"c0","reason":"data[camera.json].settings, data[camera.json].url changed","source":{"file":"sites/gate/cameras.cue","line":7,"column":2}},`; !strings.HasPrefix(string(raw), want) {
		t.Errorf("%s", raw)
	}
	if got := (engine.ChangeSet{}).Summary(); got != "nothing to do: no objects" {
		t.Error(got)
	}
}
