package engine_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
	. "camfleet.dev/reconciler/engine/enginetest"
)

func sync(t *testing.T, m *Memory, r *object.Result, o engine.Options) engine.ChangeSet {
	t.Helper()
	live, err := m.List(context.Background(), r.Fleet.UID)
	if err != nil {
		t.Fatal(err)
	}
	return engine.Applier{Cluster: m}.Apply(context.Background(), engine.Plan(r, live, o))
}

// find is the change of an object, written as in ID.String.
func find(t *testing.T, set engine.ChangeSet, id string) engine.Change {
	t.Helper()
	for _, c := range set.Changes {
		if c.ID.String() == id {
			return c
		}
	}
	t.Fatalf("no change for %s in\n%s", id, set)
	return engine.Change{}
}

func TestPlanDecides(t *testing.T) {
	t.Parallel()
	const pod, config = "camfleet-gate/Pod/camera-c0", "camfleet-gate/ConfigMap/camera-c0"
	base := Camera{Site: "gate", Name: "c0", Restart: "r", Settings: "s", Line: 10}
	for _, c := range []struct {
		name    string
		change  func(*Camera)
		summary string
		id      string
		action  engine.Action
		reason  string
	}{
		{"nothing", func(*Camera) {}, "6 unchanged", pod, engine.Unchanged, ""},
		{"the camera moved down in its file", func(c *Camera) { c.Line = 99 }, "6 unchanged", pod, engine.Unchanged, ""},
		{"a setting", func(c *Camera) { c.Settings = "t" }, "1 configured, 5 unchanged",
			config, engine.Configured, "data[camera.json].settings changed"},
		{"what needs a restart", func(c *Camera) { c.Restart = "x" }, "1 configured, 1 replaced, 4 unchanged",
			pod, engine.Replaced, "it needs a restart: data[camera.json].url changed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := &Memory{}
			if got := sync(t, m, Result([]Camera{base}), engine.Options{}).Summary(); got != "6 created" {
				t.Fatalf("first sync: %s", got)
			}
			next := base
			c.change(&next)
			set := sync(t, m, Result([]Camera{next}), engine.Options{})
			if got := set.Summary(); got != c.summary {
				t.Errorf("summary %q, want %q\n%s", got, c.summary, set)
			}
			if got := find(t, set, c.id); got.Action != c.action || got.Reason != c.reason {
				t.Errorf("%s: %q, want %s: %q", got.Action, got.Reason, c.action, c.reason)
			}
			if got := sync(t, m, Result([]Camera{next}), engine.Options{}).Summary(); got != "6 unchanged" {
				t.Errorf("once more: %s", got)
			}
		})
	}
}

// Provenance moves with a file's name. It is written, and restarts nothing.
func TestProvenanceRestartsNothing(t *testing.T) {
	t.Parallel()
	m := &Memory{}
	r := Result(Cameras("gate", 1))
	sync(t, m, r, engine.Options{})
	for i := range r.Objects {
		r.Objects[i].Source.File = "sites/gate/north.cue"
		r.Objects[i].Body = json.RawMessage(strings.ReplaceAll(string(r.Objects[i].Body), "cameras.cue", "north.cue"))
	}
	set := sync(t, m, r, engine.Options{})
	if n := set.Counts(); n[engine.Replaced] != 0 || n[engine.Configured] != 3 {
		t.Errorf("%s", set)
	}
}

func TestBrokenKeepsEverything(t *testing.T) {
	t.Parallel()
	cameras := append(Cameras("gate", 3), Cameras("yard", 3)...)
	m := &Memory{}
	sync(t, m, Result(cameras), engine.Options{})

	r := Result(append(Cameras("yard", 3), Camera{Site: "yard", Name: "new"}), "gate")
	r.Sites[0].Broken = true
	r.Objects = slices.DeleteFunc(r.Objects, func(o object.Object) bool { return o.Site == "gate" })
	set := sync(t, m, r, engine.Options{Commit: "c1"})
	if got, want := set.Summary(), "3 created, 24 unchanged"; got != want {
		t.Errorf("a broken site: %s, want %s\n%s", got, want, set)
	}
	if c := find(t, set, "camfleet-gate/Pod/camera-c0"); !strings.Contains(c.Reason, "errors") {
		t.Errorf("%+v", c)
	}
	for name, r := range map[string]*object.Result{
		"the fleet is broken":              {Broken: true},
		"broken, and objects all the same": {Broken: true, Fleet: r.Fleet, Objects: Result(Cameras("x", 2)).Objects},
	} {
		r.Fleet.UID = Fleet
		if got, want := sync(t, m, r, engine.Options{}).Summary(), "27 unchanged"; got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestForeignObjectsAreNotTouched(t *testing.T) {
	t.Parallel()
	m := &Memory{}
	r := Result(Cameras("gate", 1))
	i := slices.IndexFunc(r.Objects, func(o object.Object) bool { return o.Kind == "Pod" })
	foreign := r.Objects[i]
	foreign.Body = json.RawMessage(`{"theirs":true}`)
	m.Put(foreign, "another fleet")
	set := sync(t, m, r, engine.Options{})
	if got := set.Summary(); got != "5 created, 1 failed" {
		t.Errorf("%s", set)
	}
	if c := find(t, set, foreign.ID.String()); c.Action != engine.Failed || c.Tried != engine.Created || c.Source == nil {
		t.Errorf("%+v", c)
	}
	sync(t, m, Result(nil, "gate"), engine.Options{})
	if !m.Has(foreign.ID) {
		t.Error("the other fleet's Pod was deleted")
	}
}

func TestObjectsThatWouldNotBeOurs(t *testing.T) {
	t.Parallel()
	m := &Memory{}
	r := Result(Cameras("gate", 1))
	for i := range r.Objects {
		r.Objects[i].Body = json.RawMessage(strings.Replace(string(r.Objects[i].Body), Fleet, "other", 1))
	}
	r.Objects = append(r.Objects, r.Objects[0])
	r.Objects[1].Body = json.RawMessage(`{`)
	set := sync(t, m, r, engine.Options{})
	if got := set.Summary(); got != "7 failed" {
		t.Errorf("%s", set)
	}
	if !strings.Contains(set.String(), object.LabelFleet) || !strings.Contains(set.String(), "two objects of this name") {
		t.Errorf("%s", set)
	}
	if len(m.Steps) != 0 {
		t.Errorf("something was applied: %s", m.Steps)
	}
}

func TestRestartWithoutAField(t *testing.T) {
	t.Parallel()
	m := &Memory{}
	r := Result(Cameras("gate", 1))
	sync(t, m, r, engine.Options{})
	for i := range r.Objects {
		if o := &r.Objects[i]; o.Kind == "Pod" {
			o.Hash = "other"
			o.Body = Body(*o, map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"name": "camera"}}}})
		}
	}
	set := sync(t, m, r, engine.Options{})
	if c := find(t, set, "camfleet-gate/Pod/camera-c0"); c.Action != engine.Replaced || c.Reason != "it needs a restart: spec changed" {
		t.Errorf("%+v", c)
	}
	for i := range r.Objects {
		if o := &r.Objects[i]; o.Kind == "Pod" {
			o.Hash = "third"
			o.Body = json.RawMessage(strings.ReplaceAll(string(o.Body), "other", "third"))
		}
	}
	set = sync(t, m, r, engine.Options{})
	if c := find(t, set, "camfleet-gate/Pod/camera-c0"); c.Reason != "it needs a restart: camfleet.dev/hash changed" {
		t.Errorf("%+v", c)
	}
}
