package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
	. "camfleet.dev/reconciler/engine/enginetest"
	"camfleet.dev/schema"
)

// restarted is the same cameras with another URL.
func restarted(cameras []Camera) *object.Result {
	out := make([]Camera, len(cameras))
	for i, c := range cameras {
		c.Restart = "next"
		out[i] = c
	}
	return Result(out)
}

// TestPace: how many Pods are replaced at once.
func TestPace(t *testing.T) {
	t.Parallel()
	each := func(m *Memory, n int, edit func(i int, p *engine.Pod)) {
		for i := range n {
			m.Edit(podID("gate", fmt.Sprintf("c%02d", i)), func(l *engine.Live) { edit(i, l.Pod) })
		}
	}
	young := func(p *engine.Pod, age time.Duration) { p.Ready, p.Created = false, epoch().Add(-age) }
	for _, c := range []struct {
		name     string
		cameras  int
		edit     func(*Memory)
		options  engine.Options
		policy   float64
		replaced int
		waiting  string // the reason of those that wait
		again    time.Duration
	}{
		{name: "one camera", cameras: 1, replaced: 1},
		{name: "two cameras", cameras: 2, replaced: 1, waiting: "1 of 2 cameras of site gate is being replaced; its turn comes", again: time.Minute},
		{name: "ten percent", cameras: 20, replaced: 2, waiting: "2 of 20 cameras of site gate are being replaced; its turn comes", again: time.Minute},
		{name: "rounded down", cameras: 29, replaced: 2, waiting: "2 of 29", again: time.Minute},
		{name: "thirty", cameras: 30, replaced: 3, waiting: "3 of 30", again: time.Minute},
		{name: "as the fleet says", cameras: 20, policy: 0.29, replaced: 5, waiting: "5 of 20", again: time.Minute},
		{name: "an option comes first", cameras: 20, policy: 0.29, options: engine.Options{AtOnce: 0.05}, replaced: 1, waiting: "1 of 20", again: time.Minute},
		{name: "all", cameras: 20, options: engine.Options{AtOnce: 1}, replaced: 20},
		{name: "too few percent", cameras: 20, options: engine.Options{AtOnce: 0.001}, replaced: 1, waiting: "1 of 20", again: time.Minute},
		{name: "who is not ready loses nothing", cameras: 20, edit: func(m *Memory) {
			each(m, 15, func(_ int, p *engine.Pod) { p.Ready = false })
		}, replaced: 17, waiting: "2 of 20", again: time.Minute},
		{name: "who is young takes a turn", cameras: 20, edit: func(m *Memory) {
			each(m, 1, func(_ int, p *engine.Pod) { young(p, 20*time.Second) })
		}, replaced: 2, waiting: "2 of 20", again: 40 * time.Second},
		{name: "who is not so young takes none", cameras: 20, edit: func(m *Memory) {
			each(m, 1, func(_ int, p *engine.Pod) { young(p, time.Minute) })
		}, replaced: 3, waiting: "2 of 20", again: time.Minute},
		{name: "who is being taken away takes a turn", cameras: 20, edit: func(m *Memory) {
			each(m, 1, func(_ int, p *engine.Pod) { p.Ending = epoch().Add(10 * time.Second) })
		}, replaced: 1, waiting: "2 of 20", again: time.Minute},
		{name: "but not for ever", cameras: 20, edit: func(m *Memory) {
			each(m, 1, func(_ int, p *engine.Pod) { p.Ending = epoch().Add(-time.Minute) })
		}, replaced: 2, waiting: "2 of 20", again: time.Minute},
		{name: "who is missing takes a turn", cameras: 20, edit: func(m *Memory) { m.Remove(podID("gate", "c00")) },
			replaced: 1, waiting: "2 of 20", again: time.Minute},
		{name: "a node with few cameras", cameras: 20, edit: func(m *Memory) {
			each(m, 3, func(_ int, p *engine.Pod) { p.Node = "n2" })
		}, options: engine.Options{AtOnce: 0.5}, replaced: 9, waiting: "1 of 3 cameras on node n2 is being replaced; its turn comes", again: time.Minute},
		{name: "replaced while it was not ready", cameras: 20, edit: func(m *Memory) {
			each(m, 1, func(_ int, p *engine.Pod) { young(p, 20*time.Second) })
		}, options: engine.Options{Turns: map[object.ID]engine.Turn{podID("gate", "c00"): {Began: epoch(), Free: true}}}, replaced: 3, waiting: "2 of 20", again: time.Minute},
		{name: "replaced by our clock, which is ahead", cameras: 20, edit: func(m *Memory) {
			each(m, 1, func(_ int, p *engine.Pod) { young(p, time.Hour) })
		}, options: engine.Options{Turns: map[object.ID]engine.Turn{podID("gate", "c00"): {Began: epoch().Add(-time.Second)}}}, replaced: 2, waiting: "2 of 20", again: 59 * time.Second},
		{name: "made in the near future", cameras: 20, edit: func(m *Memory) {
			each(m, 1, func(_ int, p *engine.Pod) { young(p, -30*time.Second) })
		}, replaced: 2, waiting: "2 of 20", again: time.Minute},
		{name: "made in the future: a clock was set back by hours", cameras: 20, edit: func(m *Memory) {
			each(m, 1, func(_ int, p *engine.Pod) { young(p, -5*time.Hour) })
		}, replaced: 3, waiting: "2 of 20", again: time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var cameras []Camera
			for i := range c.cameras {
				cameras = append(cameras, Camera{Site: "gate", Name: fmt.Sprintf("c%02d", i)})
			}
			m := running(t, Result(cameras))
			if c.edit != nil {
				c.edit(m)
			}
			next := restarted(cameras)
			next.Fleet.Policy = &schema.Policy{ReplaceAtOnce: c.policy}
			set := plan(t, m, next, c.options)
			if got := len(set.Of(engine.Replaced)); got != c.replaced {
				t.Errorf("%d replaced, want %d\n%s", got, c.replaced, set)
			}
			said := false
			for _, w := range set.Of(engine.Waiting) {
				said = said || strings.HasPrefix(w.Reason, c.waiting)
			}
			if said != (c.waiting != "") {
				t.Errorf("none says %q\n%s", c.waiting, set)
			}
			if c.waiting != "" && !set.Again.Equal(epoch().Add(c.again)) {
				t.Errorf("again at %s", set.Again)
			}
		})
	}
}

// TestHostHasNoPace: without a state of Pods, all are replaced at once.
func TestHostHasNoPace(t *testing.T) {
	t.Parallel()
	m := &Memory{}
	sync(t, m, Result(Cameras("gate", 20)), engine.Options{})
	if set := plan(t, m, restarted(Cameras("gate", 20)), engine.Options{}); len(set.Of(engine.Replaced)) != 20 || set.Price().Cameras != 0 {
		t.Error(set)
	}
}

// TestBreaker: a commit whose cameras do not come back is stopped, site by site.
func TestBreaker(t *testing.T) {
	t.Parallel()
	cameras := append(Cameras("gate", 5), Cameras("yard", 5)...)
	m := running(t, Result(cameras))
	for i := range 5 {
		record(m, podID("yard", fmt.Sprintf("c%d", i)), "n2")
	}
	o := engine.Options{Commit: "bad1", Lost: map[object.ID]bool{podID("gate", "c3"): true, podID("attic", "x"): true}}
	if set := plan(t, m, restarted(cameras), o); len(set.Of(engine.Replaced)) != 2 {
		t.Errorf("one of five is lost:\n%s", set)
	}
	o.Lost[podID("gate", "c1")] = true
	set := plan(t, m, restarted(cameras), o)
	const why = "2 cameras of site gate that this commit has replaced did not come back (c1, c3), so no more are replaced: fix the commit, or, if that is meant, type: camfleet approve bad1"
	for _, c := range set.Of(engine.Held) {
		pod := c.Kind == "Pod" && c.Tried == engine.Replaced && c.Reason == why
		config := c.Kind == "ConfigMap" && c.Tried == engine.Configured && c.Reason == why
		if c.Site != "gate" || !pod && !config {
			t.Error(c)
		}
	}
	if n := set.Counts(); n[engine.Held] != 10 || n[engine.Replaced] != 1 {
		t.Errorf("two of five are lost:\n%s", set)
	}
	if !strings.Contains(set.String(), "held: "+why) {
		t.Error(set)
	}
	m.Edit(podID("gate", "c0"), func(l *engine.Live) { l.Pod.Ready = false })
	if set := plan(t, m, restarted(cameras), o); len(set.Of(engine.Held)) != 8 {
		t.Errorf("who does not record has nothing to lose:\n%s", set)
	}
	o.Approved = "bad1"
	if n := plan(t, m, restarted(cameras), o).Counts(); n[engine.Held] != 0 || n[engine.Replaced] != 3 {
		t.Errorf("approved: %v", n)
	}
	for i := range 5 {
		o.Lost[podID("gate", fmt.Sprintf("c%d", i))] = true
	}
	o.Approved = "another"
	if set := plan(t, m, restarted(cameras), o); !strings.Contains(set.String(), "(c0, c1, c2, c3 and 1 more)") {
		t.Error(set)
	}
}

// TestManySmallSites: no share of one camera is a camera, so all of them count together.
func TestManySmallSites(t *testing.T) {
	t.Parallel()
	var cameras []Camera
	for i := range 40 {
		cameras = append(cameras, Camera{Site: fmt.Sprintf("s%02d", i), Name: "c"})
	}
	m := running(t, Result(cameras))
	for _, c := range cameras {
		record(m, podID(c.Site, c.Name), "edge-"+c.Site)
	}
	set := plan(t, m, restarted(cameras), engine.Options{})
	if n := len(set.Of(engine.Replaced)); n != 4 || !strings.Contains(set.String(), "4 of 40 cameras of the fleet are being replaced; its turn comes") {
		t.Errorf("%d replaced\n%s", n, set)
	}
	o := engine.Options{Commit: "bad", Lost: map[object.ID]bool{}}
	for i := range 5 {
		o.Lost[podID(cameras[i].Site, "c")] = true
	}
	set = plan(t, m, restarted(cameras), o)
	if n := set.Counts(); n[engine.Held] != 80 || !strings.Contains(set.String(), "5 cameras of the fleet that this commit has replaced did not come back") {
		t.Errorf("%v\n%s", n, set)
	}
}

// TestPrice: what a commit costs is said before and after.
func TestPrice(t *testing.T) {
	t.Parallel()
	cameras := Cameras("gate", 20)
	m := running(t, Result(cameras))
	m.Edit(podID("gate", "c3"), func(l *engine.Live) { l.Pod.Ready = false })
	set := plan(t, m, restarted(cameras), engine.Options{})
	const want = "3 configured, 3 replaced, 34 waiting, 23 unchanged; 19 cameras replaced (17 of them later), each ≈ 4 s of recording lost"
	if got := set.Summary(); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if !strings.Contains(set.String(), "waiting     camfleet-gate/Pod/camera-c9         sites/gate/cameras.cue:19:2  to be replaced: 2 of 20 cameras") {
		t.Error(set)
	}
	if got := plan(t, m, Result(cameras), engine.Options{}).Price().String(); got != "" {
		t.Error(got)
	}
	one := Result(append([]Camera{{Site: "gate", Name: "c0", Restart: "x", Settings: "s"}}, cameras[1:]...))
	if got := plan(t, m, one, engine.Options{}).Price().String(); got != "1 camera replaced, ≈ 4 s of recording lost" {
		t.Error(got)
	}
}

// TestConfigurationWaitsWithItsPod: a worker connects to a new URL as soon as it
// reads it, so the URL has the same turn. What it may read at once, it may.
func TestConfigurationWaitsWithItsPod(t *testing.T) {
	t.Parallel()
	with := func(cameras []Camera, policy string) *object.Result {
		r := Result(cameras)
		for _, c := range cameras {
			o := object.Object{
				ID:   object.ID{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy", Namespace: "camfleet-gate", Name: "camera-" + c.Name},
				Site: "gate", Camera: c.Name, Role: object.RoleCamera,
			}
			o.Body = Body(o, map[string]any{"spec": policy})
			r.Objects = append(r.Objects, o)
		}
		return r
	}
	cameras := Cameras("gate", 3)
	m := running(t, with(cameras, "10.0.0.1"))
	count := func(set engine.ChangeSet, kind string) (configured, waiting int) {
		for _, c := range set.Changes {
			configured += one(c.Kind == kind && c.Action == engine.Configured)
			waiting += one(c.Kind == kind && c.Action == engine.Waiting && c.Tried == engine.Configured)
		}
		return configured, waiting
	}
	next := with(cameras, "10.0.0.2")
	for i := range next.Objects {
		if o := &next.Objects[i]; o.Kind == "ConfigMap" {
			o.Body = Body(*o, map[string]any{"data": map[string]any{"camera.json": `{"settings":"s","url":"new"}`}})
		} else if o.Kind == "Pod" {
			o.Hash = "new"
			o.Body = Body(*o, nil)
		}
	}
	set := plan(t, m, next, engine.Options{})
	for _, kind := range []string{"ConfigMap", "NetworkPolicy"} {
		if now, later := count(set, kind); now != 1 || later != 2 {
			t.Errorf("%s: %d now, %d later\n%s", kind, now, later, set)
		}
	}
	for i := range next.Objects {
		if o := &next.Objects[i]; o.Kind == "ConfigMap" {
			o.Body = Body(*o, map[string]any{"data": map[string]any{"camera.json": `{"settings":"other","url":"r"}`}})
		}
	}
	set = plan(t, m, next, engine.Options{})
	if now, later := count(set, "ConfigMap"); now != 3 || later != 0 {
		t.Errorf("other settings: %d now, %d later\n%s", now, later, set)
	}
}
