package reconciler_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
	. "camfleet.dev/reconciler/engine/enginetest"
	"camfleet.dev/reconciler/status"
)

// recording is a world whose cameras record, and in which some steps are refused.
func recording(t *testing.T, cameras []Camera, refuse func(engine.Step) bool) *world {
	t.Helper()
	w := newWorld(t)
	w.cluster.Clock = w.clock.Now
	w.push(commitA, Result(cameras))
	w.run()
	w.record(cameras)
	w.onApply = func(_ context.Context, step engine.Step) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if refuse(step) {
			return errors.New("the old Pod stays: the new one would be refused")
		}
		return nil
	}
	return w
}

// record lets the Pods of cameras record, each on a node of its site.
func (w *world) record(cameras []Camera) {
	for _, c := range cameras {
		w.cluster.Edit(pod(c.Site, c.Name), func(l *engine.Live) {
			l.Pod.Ready, l.Pod.Phase, l.Pod.Node = l.Pod.Ending.IsZero(), "Running", "node-"+c.Site
		})
	}
}

// restarted are cameras with another URL.
func restarted(cameras []Camera) []Camera {
	out := slices.Clone(cameras)
	for i := range out {
		out[i].Restart = "rtsp://next"
	}
	return out
}

// A replacement that is refused, again and again, delays nobody: not its own
// site, and, however many there are, not the fleet.
func TestRefusedReplacementsDelayNobody(t *testing.T) {
	t.Parallel()
	for name, sites := range map[string]int{"one site": 1, "six sites": 6} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var cameras []Camera
			for i := range sites {
				cameras = append(cameras, Cameras(fmt.Sprint("site", i), 3)...)
			}
			w := recording(t, cameras, func(s engine.Step) bool { return s.Action == engine.Replaced && s.Live.Camera == "c0" })
			w.push(commitB, Result(restarted(cameras)))
			w.Wake()
			for range 20 * sites {
				w.step(2 * time.Second)
				w.record(cameras)
				w.Changed()
			}
			for _, c := range cameras {
				if done := count(w.cluster.Steps, "replaced "+pod(c.Site, c.Name).String()); done != map[bool]int{true: 0, false: 1}[c.Name == "c0"] {
					t.Errorf("%s/%s was replaced %d times", c.Site, c.Name, done)
				}
			}
			s := w.Status()
			if s.State != status.Failing || len(s.Failed) != sites || s.Failed[0].Camera != "c0" || !strings.Contains(s.Failed[0].Reason, "would be refused") {
				t.Errorf("%s %+v", s.State, s.Failed)
			}
		})
	}
}

// The turn of who was refused is free at once: nobody waits for a minute, or for
// something to happen.
func TestRefusedReplacementFreesItsTurn(t *testing.T) {
	t.Parallel()
	cameras := Cameras("gate", 3)
	w := recording(t, cameras, func(s engine.Step) bool { return s.Action == engine.Replaced && s.Live.Camera == "c0" })
	w.push(commitB, Result(restarted(cameras)))
	w.Wake()
	w.rest()
	if n := count(w.cluster.Steps, "replaced camfleet-gate/Pod/camera-c1"); n != 1 {
		t.Errorf("c1 waits: %+v", w.Status().Waiting)
	}
}

// Whoever applies once gets all that can be had: the turns of the others come,
// although one was refused.
func TestOnceGoesOnAfterARefusal(t *testing.T) {
	t.Parallel()
	cameras := Cameras("gate", 4)
	w := recording(t, cameras, func(s engine.Step) bool { return s.Action == engine.Replaced && s.Live.Camera == "c1" })
	w.stop()
	<-w.done
	w.reset()
	w.push(commitB, Result(restarted(cameras)))
	done := make(chan error)
	go func() {
		_, err := w.Once(t.Context())
		done <- err
	}()
	for range 1000 {
		select {
		case err := <-done:
			if w.replaced() != 3 || err == nil || !strings.Contains(err.Error(), "could not be applied") {
				t.Errorf("%d were replaced, error %v", w.replaced(), err)
			}
			return
		default:
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if w.clock.Waiting(ctx, 1) == nil {
			w.record(cameras)
			w.clock.Advance(5 * time.Second)
			w.Changed()
		}
		cancel()
	}
	t.Error("it does not end")
}

// That a Pod cannot be replaced does not keep one from being made when somebody
// deletes it. A Pod that cannot be made is put off as ever.
func TestDeletedAfterRefusals(t *testing.T) {
	t.Parallel()
	cameras := Cameras("gate", 1)
	full, creations := false, 0
	w := recording(t, cameras, func(s engine.Step) bool {
		if s.Action == engine.Created && s.ID() == pod("gate", "c0") && full {
			creations++
		}
		return s.Action == engine.Replaced || s.Action == engine.Created && full
	})
	w.push(commitB, Result(restarted(cameras)))
	w.Wake()
	w.minutes(10)
	if n := len(w.Status().Failed); n != 1 {
		t.Fatalf("%d failed", n)
	}
	w.note(func() { full = true })
	w.cluster.Remove(pod("gate", "c0"))
	w.Changed()
	for range 60 { // ten minutes
		w.step(10 * time.Second)
		w.Changed()
	}
	w.mu.Lock()
	if creations < 8 || creations > 12 {
		t.Errorf("tried %d times in ten minutes: at once, then after 1 s, 2 s, 4 s … 5 min", creations)
	}
	full = false
	w.mu.Unlock()
	w.step(6 * time.Minute)
	for range 2 { // each time at once
		w.cluster.Remove(pod("gate", "c0"))
		w.Changed()
		if w.step(time.Second); !w.cluster.Has(pod("gate", "c0")) {
			t.Fatalf("it stays away: %+v", w.Status())
		}
	}
}

// Who takes the hash off a Pod, or writes another, restarts nothing, and is
// answered less and less often.
func TestStrayedHash(t *testing.T) {
	t.Parallel()
	cameras := Cameras("gate", 2)
	w := recording(t, cameras, func(engine.Step) bool { return false })
	id, uid := pod("gate", "c0"), ""
	w.cluster.Edit(id, func(l *engine.Live) { uid = l.UID })
	for range 1200 { // twenty minutes
		w.cluster.Edit(id, func(l *engine.Live) {
			l.Hash, l.Body = "", []byte(strings.Replace(string(l.Body), `"camfleet.dev/hash":"hr",`, "", 1))
		})
		w.Changed()
		w.step(time.Second)
	}
	if n := count(w.cluster.Steps, "configured "+id.String()); n < 10 || n > 20 || w.replaced() > 0 {
		t.Errorf("put back %d times in twenty minutes, replaced %d times", n, w.replaced())
	}
	w.cluster.Edit(id, func(l *engine.Live) {
		if l.UID != uid {
			t.Error("it is another Pod")
		}
	})
}

// rehearsing is a cluster that refuses Pods before anything is done.
type rehearsing struct {
	gated
	refuse func() bool
}

func (r rehearsing) Rehearse(context.Context, engine.Step) error {
	if r.refuse() {
		return errors.New("the old Pod stays: the new one would be refused")
	}
	return nil
}

// A Pod that is refused stays as it was, and so does what it runs with: its worker
// would connect to the new URL by itself.
func TestRefusedPodKeepsItsConfiguration(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cluster.Clock = w.clock.Now
	refuse := true
	w.Cluster = rehearsing{gated{w}, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return refuse
	}}
	cameras := Cameras("gate", 2)
	w.push(commitA, Result(cameras))
	w.run()
	w.record(cameras)
	next := restarted(cameras)
	next[1].Restart, next[1].Settings = cameras[1].Restart, "other"
	w.push(commitB, Result(next))
	w.Wake()
	w.minutes(10)
	config := func(camera string) string {
		id := object.ID{APIVersion: "v1", Kind: "ConfigMap", Namespace: "camfleet-gate", Name: "camera-" + camera}
		body := ""
		w.cluster.Edit(id, func(l *engine.Live) { body = string(l.Body) })
		return body
	}
	if strings.Contains(config("c0"), "rtsp://next") || !strings.Contains(config("c1"), "other") {
		t.Errorf("c0 has %s, c1 has %s", config("c0"), config("c1"))
	}
	s := w.Status()
	if len(s.Failed) != 1 || s.Failed[0].Kind != "Pod" || len(s.Waiting) == 0 || !strings.Contains(s.Waiting[0].Reason, "its Pod w") {
		t.Errorf("%+v, waiting %+v", s.Failed, s.Waiting)
	}
	w.note(func() { refuse = false })
	w.step(6 * time.Minute)
	w.record(cameras)
	w.Changed()
	if s := w.step(time.Second); s.State != status.Synced || !strings.Contains(config("c0"), "rtsp://next") || w.replaced() != 1 {
		t.Errorf("%s, %s", s.State, config("c0"))
	}
}
