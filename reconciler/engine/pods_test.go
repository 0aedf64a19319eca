package engine_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
	. "camfleet.dev/reconciler/engine/enginetest"
)

// epoch is when the tests with Pods begin.
func epoch() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

func podID(site, camera string) object.ID {
	return object.ID{APIVersion: "v1", Kind: "Pod", Namespace: "camfleet-" + site, Name: "camera-" + camera}
}

// running is a cluster that runs these cameras, all of them recording since an hour ago.
func running(t *testing.T, r *object.Result) *Memory {
	t.Helper()
	m := &Memory{Clock: func() time.Time { return epoch().Add(-time.Hour) }}
	sync(t, m, r, engine.Options{})
	m.Clock = epoch
	for _, o := range r.Objects {
		if o.Kind == "Pod" {
			record(m, o.ID, "n1")
		}
	}
	return m
}

// record lets a Pod run and record, on a node.
func record(m *Memory, id object.ID, node string) {
	m.Edit(id, func(l *engine.Live) { l.Pod.Phase, l.Pod.Ready, l.Pod.Node = "Running", true, node })
}

func plan(t *testing.T, m *Memory, r *object.Result, o engine.Options) engine.ChangeSet {
	t.Helper()
	live, err := m.List(context.Background(), Fleet)
	if err != nil {
		t.Fatal(err)
	}
	if o.Now.IsZero() {
		o.Now = epoch()
	}
	return engine.Plan(r, live, o)
}

// TestAilingPods: what is decided about a Pod that is not well.
func TestAilingPods(t *testing.T) {
	t.Parallel()
	ago := func(d time.Duration) time.Time { return epoch().Add(-d) }
	for _, c := range []struct {
		name   string
		node   string // that the camera is pinned to
		commit string // what its hash covers; "r" is what runs
		edit   func(*engine.Pod)
		action engine.Action
		reason string // the beginning of it
		fenced bool
		again  time.Duration
	}{
		{name: "well", edit: func(*engine.Pod) {}, action: engine.Unchanged},
		{name: "not ready", edit: func(p *engine.Pod) { p.Ready = false }, action: engine.Unchanged},
		{name: "evicted", edit: func(p *engine.Pod) {
			*p = engine.Pod{Phase: "Failed", Reason: "Evicted", Message: "The node was low on\nresource: memory.", Node: "n1"}
		}, action: engine.Replaced, reason: "it was evicted: The node was low on resource: memory."},
		{name: "refused by its node", edit: func(p *engine.Pod) {
			*p = engine.Pod{Phase: "Failed", Reason: "NodeAffinity", Node: "n1"}
		}, action: engine.Replaced, reason: "it failed: NodeAffinity"},
		{name: "ended", edit: func(p *engine.Pod) { p.Phase, p.Ready = "Succeeded", false }, action: engine.Replaced, reason: "it ended, which a camera never does"},
		{name: "failed, and there is a new commit", commit: "x", edit: func(p *engine.Pod) { p.Phase, p.Ready = "Failed", false },
			action: engine.Replaced, reason: "it needs a restart: data[camera.json].url changed"},
		{name: "ending", edit: func(p *engine.Pod) { p.Ending = epoch().Add(20 * time.Second) }, action: engine.Waiting, reason: "it is ending"},
		{name: "failed and ending", edit: func(p *engine.Pod) { p.Phase, p.Ready, p.Ending = "Failed", false, epoch() }, action: engine.Waiting, reason: "it is ending"},
		{name: "its node has just gone", edit: func(p *engine.Pod) { p.Ready, p.NodeGone = false, ago(time.Second) },
			action: engine.Unchanged, reason: "its node n1 has not answered since 2026-11-23 11:59:59 UTC"},
		{name: "its node is gone, it may move soon", edit: func(p *engine.Pod) { p.Ready, p.NodeGone, p.Ending = false, ago(2*time.Minute), ago(time.Minute) },
			action: engine.Waiting, reason: "its node n1 has not answered since 2026-11-23 11:58:00 UTC; the camera moves at 2026-11-23 12:01:00 UTC", again: time.Minute},
		{name: "its node is gone", edit: func(p *engine.Pod) { p.Ready, p.NodeGone, p.Ending = false, ago(3*time.Minute), ago(time.Minute) },
			action: engine.Replaced, fenced: true, reason: "its node n1 has not answered since 2026-11-23 11:57:00 UTC: the camera moves"},
		{name: "its edge is gone", node: "n1", edit: func(p *engine.Pod) { p.Ready, p.NodeGone, p.Ending = false, ago(time.Hour), ago(time.Hour) },
			action: engine.Waiting, reason: "its edge is offline: node n1 has not answered since 2026-11-23 11:00:00 UTC"},
		{name: "its edge is gone, and there is a new commit", node: "n1", commit: "x", edit: func(p *engine.Pod) { p.Ready, p.NodeGone = false, ago(time.Second) },
			action: engine.Waiting, reason: "its edge is offline"},
		{name: "its node has just gone, and there is a new commit", commit: "x", edit: func(p *engine.Pod) { p.Ready, p.NodeGone = false, ago(time.Second) },
			action: engine.Waiting, reason: "its node n1 has not answered since 2026-11-23 11:59:59 UTC; it waits until Kubernetes gives the node up"},
		{name: "it failed on a node that is gone by now", edit: func(p *engine.Pod) { p.Ready, p.Phase, p.NodeGone = false, "Failed", ago(time.Second) },
			action: engine.Replaced, reason: "it failed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			camera := Camera{Site: "gate", Name: "c0", Restart: "r", Node: c.node}
			m := running(t, Result([]Camera{camera}))
			id := podID("gate", "c0")
			m.Edit(id, func(l *engine.Live) { c.edit(l.Pod) })
			if c.commit != "" {
				camera.Restart = c.commit
			}
			set := plan(t, m, Result([]Camera{camera}), engine.Options{})
			got := find(t, set, id.String())
			if got.Action != c.action || !strings.HasPrefix(got.Reason, c.reason) || c.reason == "" && got.Reason != "" {
				t.Errorf("%s: %q, want %s: %q", got.Action, got.Reason, c.action, c.reason)
			}
			if step, _ := got.Step(); step.Fenced != c.fenced {
				t.Errorf("fenced: %v", step.Fenced)
			}
			if got.Action == engine.Waiting && got.Tried != engine.Replaced {
				t.Errorf("it waits to be %q", got.Tried)
			}
			var again time.Time
			if c.again > 0 {
				again = epoch().Add(c.again)
			}
			if !set.Again.Equal(again) {
				t.Errorf("again at %s, want %s", set.Again, again)
			}
		})
	}
}

// TestPodsOfOverlays: what a site brings itself may end as it likes.
func TestPodsOfOverlays(t *testing.T) {
	t.Parallel()
	r := Result(Cameras("gate", 1))
	own := object.Object{ID: object.ID{APIVersion: "v1", Kind: "Pod", Namespace: "camfleet-gate", Name: "once"}, Site: "gate"}
	own.Body = Body(own, nil)
	r.Objects = append(r.Objects, own)
	m := running(t, r)
	m.Edit(own.ID, func(l *engine.Live) { l.Pod.Phase, l.Pod.Ready = "Succeeded", false })
	if set := plan(t, m, r, engine.Options{}); set.Counts()[engine.Unchanged] != len(set.Changes) {
		t.Error(set)
	}
}

// TestMissingPods: a Pod that was deleted is made again; after too many times, later.
func TestMissingPods(t *testing.T) {
	t.Parallel()
	r := Result(Cameras("gate", 2))
	m := running(t, r)
	id := podID("gate", "c0")
	m.Remove(id)
	if c := find(t, plan(t, m, r, engine.Options{}), id.String()); c.Action != engine.Created || c.Reason != "it is missing" {
		t.Error(c)
	}
	until := epoch().Add(40 * time.Second)
	set := plan(t, m, r, engine.Options{NotBefore: map[object.ID]time.Time{id: until}, Heals: map[object.ID]int{id: 7}})
	c := find(t, set, id.String())
	if c.Action != engine.Waiting || c.Tried != engine.Created || c.Reason != "it is missing; it was made anew 7 times, the next try is at 2026-11-23 12:00:40 UTC" {
		t.Error(c)
	}
	if !set.Again.Equal(until) {
		t.Errorf("again at %s", set.Again)
	}
	if _, ok := c.Step(); ok {
		t.Error("it has a step, and waits")
	}
	if set := plan(t, m, r, engine.Options{Now: until, NotBefore: map[object.ID]time.Time{id: until}}); set.Summary() != "1 created, 8 unchanged" {
		t.Error(set)
	}
}

// TestPinned: which Pods may run on one node only.
func TestPinned(t *testing.T) {
	t.Parallel()
	for spec, pinned := range map[string]bool{
		`{}`:                              false,
		`{"nodeName":"n1"}`:               true,
		`{"nodeSelector":{"disk":"ssd"}}`: false,
		`{"nodeSelector":{"kubernetes.io/hostname":"n1"}}`:                                                        true,
		`{"affinity":{"podAffinity":{}}}`:                                                                         false,
		`{"affinity":{"nodeAffinity":` + required(`"matchFields":[{"key":"metadata.name"}]`) + `}}`:               true,
		`{"affinity":{"nodeAffinity":` + required(`"matchExpressions":[{"key":"kubernetes.io/hostname"}]`) + `}}`: true,
		`{"affinity":{"nodeAffinity":` + required(`"matchExpressions":[{"key":"kubernetes.io/arch"}]`) + `}}`:     false,
	} {
		r := Result(Cameras("gate", 1))
		for i := range r.Objects {
			if o := &r.Objects[i]; o.Kind == "Pod" {
				o.Body = Body(*o, map[string]any{"spec": json.RawMessage(spec)})
			}
		}
		m := running(t, r)
		m.Edit(podID("gate", "c0"), func(l *engine.Live) {
			l.Pod.Ready, l.Pod.NodeGone, l.Pod.Ending = false, epoch().Add(-time.Hour), epoch().Add(-time.Hour)
		})
		want := engine.Replaced
		if pinned {
			want = engine.Waiting
		}
		if c := find(t, plan(t, m, r, engine.Options{}), podID("gate", "c0").String()); c.Action != want {
			t.Errorf("%s: %s", spec, c)
		}
	}
}

func required(term string) string {
	return fmt.Sprintf(`{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{%s}]}}`, term)
}

// TestResize: other resources are given to the Pod that runs.
func TestResize(t *testing.T) {
	t.Parallel()
	camera := Camera{Site: "gate", Name: "c0", CPU: "100m"}
	m := running(t, Result([]Camera{camera}))
	for cpu, want := range map[string]string{
		"0.1":  "6 unchanged",
		"200m": "1 configured, 5 unchanged",
	} {
		camera.CPU = cpu
		set := plan(t, m, Result([]Camera{camera}), engine.Options{})
		if set.Summary() != want {
			t.Errorf("%s: %s", cpu, set)
		}
		c := find(t, set, podID("gate", "c0").String())
		if c.Action == engine.Configured && c.Reason != "resized in place: spec.containers[rtsp2hls].resources.requests.cpu changed" {
			t.Error(c)
		}
	}
}

// TestBrokenSitesHeal: a site whose commit is broken is kept as it last was right.
func TestBrokenSitesHeal(t *testing.T) {
	t.Parallel()
	good := Result(Cameras("gate", 4), "yard")
	m := running(t, good)
	m.Remove(podID("gate", "c0"))
	m.Edit(podID("gate", "c1"), func(l *engine.Live) { *l.Pod = engine.Pod{Phase: "Failed", Reason: "Evicted", Message: "disk"} })
	config := object.ID{APIVersion: "v1", Kind: "ConfigMap", Namespace: "camfleet-gate", Name: "camera-c2"}
	m.Edit(config, func(l *engine.Live) { l.Body = json.RawMessage(`{}`) })
	extra := CameraObjects(Camera{Site: "gate", Name: "extra"})[0]
	m.Put(extra, Fleet)

	bad := Result(nil, "gate", "yard")
	bad.Sites[0].Broken = true
	bad.Objects = Result(nil, "yard").Objects
	of := map[string][]object.Object{"gate": {}, "yard": good.Objects, "": good.Objects}
	for _, o := range good.Objects {
		if o.Site == "gate" {
			of["gate"] = append(of["gate"], o)
		}
	}
	fleet := &object.Result{Broken: true, Fleet: good.Fleet}
	for name, r := range map[string]*object.Result{"the site is broken": bad, "the fleet is broken": fleet} {
		set := plan(t, m, r, engine.Options{Good: of})
		if got, want := set.Summary(), "1 created, 1 configured, 1 replaced, 16 unchanged"; got != want {
			t.Errorf("%s: %s, want %s\n%s", name, got, want, set)
		}
		if c := find(t, set, extra.ID.String()); c.Action != engine.Unchanged {
			t.Errorf("%s: %s", name, c)
		}
		set = plan(t, m, r, engine.Options{})
		if set.Counts()[engine.Unchanged] != len(set.Changes) {
			t.Errorf("%s, and nothing is known: %s", name, set)
		}
		want := "the commit has errors here: it stays as it is, although it was evicted: disk; it is made anew when the commit is right again"
		if c := find(t, set, podID("gate", "c1").String()); c.Reason != want {
			t.Errorf("%s: %s", name, c)
		}
	}
}

// TestKeep: what somebody has annotated is not pruned, nor what it needs.
func TestKeep(t *testing.T) {
	t.Parallel()
	const all = "9 unchanged"
	const needed = "it is no longer in Git, and stays: its camera's Pod is kept, and needs it"
	const whole = "it is no longer in Git, and stays: its camera's ConfigMap is kept, and with it the camera"
	byConfig := map[string]string{"Pod": whole, "CronJob": whole}
	config := object.ID{APIVersion: "v1", Kind: "ConfigMap", Namespace: "camfleet-gate", Name: "camera-c1"}
	for _, c := range []struct {
		name string
		edit func(*Memory)
		want string            // of a commit without the camera c1
		site string            // of a commit without the site
		why  map[string]string // by kind, if it is not the annotation
	}{
		{"nothing", func(*Memory) {}, "3 deleted, 6 unchanged", "7 held, 2 unchanged", nil},
		{"the Pod", func(m *Memory) { m.Edit(podID("gate", "c1"), func(l *engine.Live) { l.Keep = true }) }, all, "4 held, 5 unchanged",
			map[string]string{"ConfigMap": needed, "CronJob": needed}},
		{"the configuration", func(m *Memory) { m.Edit(config, func(l *engine.Live) { l.Keep = true }) }, all, "4 held, 5 unchanged", byConfig},
		{"never applied", func(m *Memory) { m.Edit(config, func(l *engine.Live) { l.Unapplied = true }) }, "2 deleted, 7 unchanged", "6 held, 3 unchanged",
			map[string]string{"ConfigMap": "it is not in Git, and stays: it has the labels of this fleet, but camfleet has never applied it; " +
				"whoever does not need it deletes it"}},
		{"never applied, but annotated", func(m *Memory) {
			m.Edit(config, func(l *engine.Live) { l.Unapplied, l.Keep = true, true })
		}, "2 deleted, 7 unchanged", "6 held, 3 unchanged", nil},
		{"by an overlay", func(m *Memory) {
			m.Edit(config, func(l *engine.Live) {
				l.Body = json.RawMessage(strings.Replace(string(l.Body), `"annotations":{`, `"annotations":{"camfleet.dev/prune":"disabled",`, 1))
			})
		}, all, "4 held, 5 unchanged", byConfig},
		{"the Pod and the configuration, and the Pod was evicted since", func(m *Memory) {
			m.Edit(config, func(l *engine.Live) { l.Keep = true })
			m.Edit(podID("gate", "c1"), func(l *engine.Live) { l.Pod.Phase, l.Pod.Ready, l.Keep = "Failed", false, true })
		}, all, "4 held, 5 unchanged", map[string]string{"CronJob": whole}},
		{"the day files alone", func(m *Memory) {
			m.Edit(object.ID{APIVersion: "batch/v1", Kind: "CronJob", Namespace: "camfleet-gate", Name: "days-c1"}, func(l *engine.Live) { l.Keep = true })
		}, "2 deleted, 7 unchanged", "6 held, 3 unchanged", nil},
		{"by an overlay, not meant", func(m *Memory) {
			m.Edit(config, func(l *engine.Live) {
				l.Body = json.RawMessage(strings.Replace(string(l.Body), `"annotations":{`, `"annotations":{"camfleet.dev/prune":"enabled",`, 1))
			})
		}, "3 deleted, 6 unchanged", "7 held, 2 unchanged", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := running(t, Result(Cameras("gate", 2)))
			c.edit(m)
			set := plan(t, m, Result(Cameras("gate", 1)), engine.Options{})
			if set.Summary() != c.want {
				t.Errorf("without the camera: want %s\n%s", c.want, set)
			}
			for _, change := range set.Changes {
				if change.Site != "gate" || change.Camera != "c1" || change.Action != engine.Unchanged {
					continue
				}
				if why := cmp.Or(c.why[change.Kind], "it is no longer in Git, and stays: it is annotated camfleet.dev/prune: disabled"); change.Reason != why {
					t.Errorf("%s\nwant %s", change, why)
				}
			}
			if set := plan(t, m, Result(nil), engine.Options{}); set.Summary() != c.site {
				t.Errorf("without the site: want %s\n%s", c.site, set)
			}
		})
	}
}
