package engine_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
	. "camfleet.dev/reconciler/engine/enginetest"
)

func configID(site, camera string) object.ID {
	return object.ID{APIVersion: "v1", Kind: "ConfigMap", Namespace: "camfleet-" + site, Name: "camera-" + camera}
}

// failed is a step that failed, and that may be tried again so much later.
func failed(id object.ID, back bool, in time.Duration) map[engine.Try]engine.PutOff {
	return map[engine.Try]engine.PutOff{{ID: id, Back: back}: {Until: epoch().Add(in), Failed: true}}
}

// TestWhoIsPutOffTakesNoTurn: what failed does not keep the others back.
func TestWhoIsPutOffTakesNoTurn(t *testing.T) {
	t.Parallel()
	const min = time.Minute
	for _, c := range []struct {
		name    string
		putOff  map[engine.Try]engine.PutOff
		now     string // which of three is replaced
		reasons map[object.ID]string
	}{
		{name: "nothing", now: "c0"},
		{name: "a Pod", putOff: failed(podID("gate", "c0"), false, min), now: "c1", reasons: map[object.ID]string{
			podID("gate", "c0"):    "it failed; the next try is at 2026-11-23 12:01:00 UTC",
			configID("gate", "c0"): "its Pod waits: it failed; the next try is at 2026-11-23 12:01:00 UTC",
			podID("gate", "c2"):    "1 of 3 cameras of site gate is being replaced; its turn comes",
			configID("gate", "c2"): "1 of 3 cameras of site gate is being replaced; its turn comes",
		}},
		{name: "its configuration", putOff: failed(configID("gate", "c0"), false, min), now: "c1", reasons: map[object.ID]string{
			podID("gate", "c0"):    "its configuration waits: it failed; the next try is at 2026-11-23 12:01:00 UTC",
			configID("gate", "c0"): "it failed; the next try is at 2026-11-23 12:01:00 UTC",
		}},
		{name: "a Pod whose time has come: the others come first", putOff: failed(podID("gate", "c0"), false, -min), now: "c1", reasons: map[object.ID]string{
			podID("gate", "c0"): "1 of 3 cameras of site gate is being replaced; its turn comes",
		}},
		{name: "all, and the first of them comes first", putOff: map[engine.Try]engine.PutOff{
			{ID: podID("gate", "c0")}: {Until: epoch().Add(-min)}, {ID: podID("gate", "c1")}: {Until: epoch().Add(-3 * min)}, {ID: podID("gate", "c2")}: {Until: epoch().Add(-2 * min)},
		}, now: "c1"},
		{name: "another step of the same Pod", putOff: failed(podID("gate", "c0"), true, min), now: "c0"},
		{name: "put back too often", putOff: map[engine.Try]engine.PutOff{{ID: podID("gate", "c0")}: {Until: epoch().Add(min)}}, now: "c1", reasons: map[object.ID]string{
			podID("gate", "c0"): "it needs a restart: data[camera.json].url changed; it was put back again and again, the next time is at 2026-11-23 12:01:00 UTC",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cameras := Cameras("gate", 3)
			set := plan(t, running(t, Result(cameras)), restarted(cameras), engine.Options{PutOff: c.putOff})
			now := set.Of(engine.Replaced)
			if len(now) != 1 || now[0].Camera != c.now {
				t.Errorf("replaced is not %s alone:\n%s", c.now, set)
			}
			if config := find(t, set, configID("gate", c.now).String()); config.Action != engine.Configured {
				t.Error(config)
			}
			for id, why := range c.reasons {
				if got := find(t, set, id.String()); got.Action != engine.Waiting || got.Reason != why {
					t.Errorf("%s\nwant %q", got, why)
				}
			}
		})
	}
}

// TestRefusedEverywhere: who is put off, in however many sites, takes none of the fleet's turns.
func TestRefusedEverywhere(t *testing.T) {
	t.Parallel()
	var cameras []Camera
	put := map[engine.Try]engine.PutOff{}
	for i := range 6 {
		site := fmt.Sprint("s", i)
		cameras = append(cameras, Cameras(site, 2)...)
		put[engine.Try{ID: podID(site, "c0")}] = engine.PutOff{Until: epoch().Add(time.Minute), Failed: true}
	}
	m := running(t, Result(cameras))
	for _, c := range cameras {
		record(m, podID(c.Site, c.Name), "edge-"+c.Site)
	}
	set := plan(t, m, restarted(cameras), engine.Options{PutOff: put})
	now := set.Of(engine.Replaced)
	if len(now) != 2 || now[0].Camera != "c1" || now[1].Camera != "c1" {
		t.Errorf("%d are replaced\n%s", len(now), set)
	}
}

// TestUnappliedConfigurationTakesNoTurn: a Pod whose configuration is not ours
// to write fails as before, and the others go on.
func TestUnappliedConfigurationTakesNoTurn(t *testing.T) {
	t.Parallel()
	cameras := Cameras("gate", 3)
	m, next := running(t, Result(cameras)), restarted(cameras)
	for i := range next.Objects {
		if o := &next.Objects[i]; o.ID == configID("gate", "c0") {
			o.Body = json.RawMessage(strings.Replace(string(o.Body), Fleet, "other", 1))
		}
	}
	set := plan(t, m, next, engine.Options{})
	if c := find(t, set, podID("gate", "c0").String()); c.Action != engine.Failed || c.Tried != engine.Replaced ||
		!strings.HasPrefix(c.Reason, "not tried: its configuration could not be applied: its label camfleet.dev/fleet must be") {
		t.Error(c)
	}
	if now := set.Of(engine.Replaced); len(now) != 1 || now[0].Camera != "c1" {
		t.Error(set)
	}
}

// TestTries: what brings a camera back is another try than what changes it.
func TestTries(t *testing.T) {
	t.Parallel()
	id := podID("gate", "c0")
	for _, c := range []struct {
		name string
		edit func(*Memory)
		back bool
	}{
		{"it records", func(*Memory) {}, false},
		{"it does not record", func(m *Memory) { m.Edit(id, func(l *engine.Live) { l.Pod.Ready = false }) }, true},
		{"it has ended", func(m *Memory) { m.Edit(id, func(l *engine.Live) { l.Pod.Phase = "Failed" }) }, true},
		{"it is missing", func(m *Memory) { m.Remove(id) }, true},
	} {
		cameras := Cameras("gate", 1)
		m := running(t, Result(cameras))
		c.edit(m)
		for _, put := range []bool{false, true} { // for the one, and for the other
			set := plan(t, m, restarted(cameras), engine.Options{PutOff: failed(id, put, time.Minute)})
			change := find(t, set, id.String())
			if change.Try() != (engine.Try{ID: id, Back: c.back}) {
				t.Errorf("%s: %v", c.name, change.Try())
			}
			if waits := change.Action == engine.Waiting; waits != (put == c.back) {
				t.Errorf("%s, and what failed is back=%v: %s", c.name, put, change)
			}
		}
	}
	gone := engine.Plan(Result(nil, "gate"), []engine.Live{{ID: id, Site: "gate"}}, engine.Options{})
	if c := find(t, gone, id.String()); c.Try().Back {
		t.Error("a deletion brings something back")
	}
}

// TestStrayedHash: who only changes what a Pod says of itself restarts nothing.
func TestStrayedHash(t *testing.T) {
	t.Parallel()
	without := func(body json.RawMessage) json.RawMessage {
		return json.RawMessage(strings.Replace(string(body), `"camfleet.dev/hash":"hr",`, "", 1))
	}
	strip := func(l *engine.Live) { l.Hash, l.Body = "", without(l.Body) }
	for _, c := range []struct {
		name string
		edit func(*engine.Live)
		next func(*Camera)
		want string
	}{
		{"taken away", strip, func(*Camera) {}, "1 configured, 5 unchanged"},
		{"changed", func(l *engine.Live) { l.Hash, l.Body = "theirs", without(l.Body) }, func(*Camera) {}, "1 configured, 5 unchanged"},
		{"taken away, with a label", func(l *engine.Live) {
			strip(l)
			l.Body = json.RawMessage(strings.Replace(string(l.Body), `"camfleet.dev/role":"camera",`, "", 1))
		}, func(*Camera) {}, "1 configured, 5 unchanged"},
		{"taken away, and there is another URL", strip, func(c *Camera) { c.Restart = "x" }, "1 configured, 1 replaced, 4 unchanged; 1 camera replaced, ≈ 4 s of recording lost"},
		{"taken away, and there is another spec", strip, func(c *Camera) { c.CPU = "100m" }, "1 replaced, 5 unchanged; 1 camera replaced, ≈ 4 s of recording lost"},
		{"of a commit before this one", func(l *engine.Live) {
			l.Hash, l.Body = "hold", json.RawMessage(strings.Replace(string(l.Body), `"hr"`, `"hold"`, 1))
		}, func(*Camera) {}, "1 replaced, 5 unchanged; 1 camera replaced, ≈ 4 s of recording lost"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			camera := Cameras("gate", 1)[0]
			m := running(t, Result([]Camera{camera}))
			if !m.Edit(podID("gate", "c0"), c.edit) {
				t.Fatal("there is no such Pod")
			}
			c.next(&camera)
			set := plan(t, m, Result([]Camera{camera}), engine.Options{})
			if set.Summary() != c.want {
				t.Errorf("want %s\n%s", c.want, set)
			}
			const why = "somebody has changed its camfleet.dev/hash, and nothing else: it goes on"
			if pod := find(t, set, podID("gate", "c0").String()); pod.Action == engine.Configured && pod.Reason != why {
				t.Error(pod)
			}
		})
	}
}

// TestRestartsBackOff: whoever makes us replace a Pod again and again for the
// same commit, does so less and less often.
func TestRestartsBackOff(t *testing.T) {
	t.Parallel()
	r := Result(Cameras("gate", 2))
	m := running(t, r)
	ro, now, times := &engine.Rollout{}, epoch(), 0
	for range 600 { // ten minutes
		now = now.Add(time.Second)
		m.Edit(podID("gate", "c0"), func(l *engine.Live) {
			l.Hash, l.Pod.Ready, l.Pod.Phase = "theirs", true, "Running"
			l.Body = json.RawMessage(strings.Replace(string(l.Body), `"hr"`, `"theirs"`, 1))
		})
		set := round(t, m, r, ro, "a", now)
		times += len(set.Of(engine.Replaced))
		if w := set.Of(engine.Waiting); len(w) > 0 && !strings.Contains(w[0].Reason, "made anew") {
			t.Fatal(w[0])
		}
	}
	if times < 4 || times > 10 {
		t.Errorf("replaced %d times in ten minutes", times)
	}
}

// TestFinalizers: a Pod that is held says by what, once it should have ended.
func TestFinalizers(t *testing.T) {
	t.Parallel()
	r := Result(Cameras("gate", 1))
	m := running(t, r)
	id := podID("gate", "c0")
	m.Edit(id, func(l *engine.Live) { l.Pod.Ending, l.Pod.Finalizers = epoch(), []string{"example.com/backup", "b"} })
	soon := plan(t, m, r, engine.Options{})
	if c := find(t, soon, id.String()); c.Reason != "it is ending; a new one comes when it is gone" || !soon.Again.Equal(epoch().Add(time.Minute)) {
		t.Errorf("%s, again at %s", c, soon.Again)
	}
	const why = "it should have ended at 2026-11-23 12:00:00 UTC, and is held by its finalizer example.com/backup, b: "
	if c := find(t, plan(t, m, r, engine.Options{Now: soon.Again}), id.String()); c.Action != engine.Waiting || !strings.HasPrefix(c.Reason, why) {
		t.Error(c)
	}
}

// TestSiteOfAnotherCluster: a site that has moved is not lost.
func TestSiteOfAnotherCluster(t *testing.T) {
	t.Parallel()
	m := running(t, Result(append(Cameras("gate", 2), Cameras("yard", 2)...)))
	r := Result(Cameras("yard", 2))
	r.Elsewhere = map[string]string{"gate": "busan"}
	set := plan(t, m, r, engine.Options{Commit: "abc"})
	const held = "the whole site gate (2 cameras) is of cluster busan now: if that is meant, type: camfleet approve abc"
	if c := find(t, set, podID("gate", "c0").String()); c.Action != engine.Held || c.Reason != held {
		t.Error(c)
	}
	set = plan(t, m, r, engine.Options{Commit: "abc", Approved: "abc"})
	for id, why := range map[string]string{
		podID("gate", "c0").String():                  "its site is of cluster busan now",
		"camfleet-gate/PersistentVolumeClaim/archive": "its site is of cluster busan now, and stays: recordings are deleted by nobody but you",
	} {
		if c := find(t, set, id); c.Reason != why {
			t.Errorf("%s, want %s", c, why)
		}
	}
}
