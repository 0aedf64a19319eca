package reconciler_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
	. "camfleet.dev/reconciler/engine/enginetest"
	"camfleet.dev/reconciler/source"
	"camfleet.dev/reconciler/status"
)

// logged is a log that is read while it is written.
type logged struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

// take returns what was written since the last time.
func (l *logged) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.all.Reset()
	return l.all.String()
}

// logs gives a world a log, of what is said without --verbose.
func (w *world) logs() *logged {
	l := &logged{}
	w.Log = slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	return l
}

// What changes is said once, what does not change is not said at all.
func TestSteadyStateIsSilent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	log := w.logs()
	w.push(commitA, Result(Cameras("gate", 3)))
	w.run()
	if got := log.take(); !strings.Contains(got, `msg=applied commit=aaaaaaaaaaaa summary="12 created"`) {
		t.Errorf("%s", got)
	}
	look := func() string {
		for range 5 {
			w.Changed()
			w.step(time.Second)
		}
		return log.take()
	}
	if got := look(); got != "" {
		t.Errorf("nothing happens, and is said:\n%s", got)
	}
	for range 2 { // the same again is news
		w.cluster.Remove(pod("gate", "c1"))
		want := "level=INFO msg=\"put back\" object=camfleet-gate/Pod/camera-c1 site=gate camera=c1 action=created reason=\"it is missing\"\n" +
			"level=INFO msg=applied commit=aaaaaaaaaaaa summary=\"1 created, 11 unchanged\"\n"
		if got := look(); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
	w.stop()
	<-w.done
	w.reset()
	log = w.logs()
	w.run()
	if got := log.take() + look(); strings.Count(got, "all is as the commit says") != 1 || strings.Contains(got, "applied") {
		t.Errorf("after a restart:\n%s", got)
	}
}

// When nothing works, the log says so and does not name thousands of objects
// every few seconds.
func TestOutageInTheLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	log := w.logs()
	w.onApply = func(context.Context, engine.Step) error { return errors.New("no route to host") }
	w.push(commitA, Result(Cameras("gate", 100)))
	w.run()
	got := log.take()
	if n := strings.Count(got, "\n"); n > 30 || !strings.Contains(got, "others were not applied either") || !strings.Contains(got, "nothing can be applied now") {
		t.Errorf("%d lines:\n%.2000s", n, got)
	}
}

// A repository that answers with a commit that is refused is asked as often as
// ever: the next commit may be better. What is wrong has a place.
func TestRefusedCommitIsNoOutage(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		&source.RefusedError{Commit: commitB, Files: []source.Refusal{{Why: "it holds no files"}}},
		&source.UnverifiedError{Commit: commitB, Why: "it is not signed"},
	} {
		w := newWorld(t)
		log := w.logs()
		w.push(commitA, Result(Cameras("gate", 2)))
		w.run()
		log.take()
		w.fetchFails(fmt.Errorf("repository: %w", err))
		before := w.clock.Now()
		var s status.Status
		for range 10 {
			s = w.poll()
		}
		if d := w.clock.Now().Sub(before); d > 10*time.Second || !s.Fetched.Equal(w.clock.Now()) {
			t.Errorf("%T: ten looks took %s, the last is said to be of %s", err, d, s.Fetched)
		}
		if got := log.take(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "the newest commit is not taken") {
			t.Errorf("%s", got)
		}
		for _, p := range s.Problems {
			if got := p.Error(); got != "commit bbbbbbbbbbbb: it holds no files" {
				t.Errorf("%q", got)
			}
		}
	}
}

// A camera whose Pod is left out for now keeps what the Pod runs with: the
// worker would connect to a new URL as soon as it reads it.
func TestLeftOutCameraKeepsItsConfiguration(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cluster.Clock = w.clock.Now
	cameras := append(Cameras("gate", 1), Cameras("yard", 1)...)
	w.push(commitA, Result(cameras))
	w.run()
	on := func(site, node string) {
		w.cluster.Edit(pod(site, "c0"), func(l *engine.Live) { l.Pod.Ready, l.Pod.Phase, l.Pod.Node = true, "Running", node })
	}
	on("gate", "n1")
	on("yard", "n1")
	g := newGate()
	w.note(func() {
		w.onApply = func(ctx context.Context, step engine.Step) error {
			if step.Action == engine.Replaced {
				return g.wait(ctx, step.ID().Namespace)
			}
			return nil
		}
	})
	for i := range cameras {
		cameras[i].Restart = "other"
	}
	w.push(commitB, Result(cameras))
	w.Wake()
	if first := w.at(g); first != "camfleet-gate" {
		t.Fatalf("%s is first", first)
	}
	on("yard", "n2") // it could have a turn now, in another sync
	page := object.ID{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "camfleet-yard", Name: "page"}
	w.cluster.Remove(page)
	w.Changed()
	if err := w.Alive(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(800 * time.Millisecond)
	w.settled(func(status.Status) bool { return w.cluster.Has(page) })
	if n := count(w.cluster.Steps, "configured camfleet-yard/ConfigMap/camera-c0"); n != 0 {
		t.Error("its configuration comes before its Pod's turn")
	}
	close(g.open)
	w.rest()
	if n := count(w.cluster.Steps, "replaced camfleet-yard/Pod/camera-c0"); n > 1 {
		t.Errorf("%s", w.cluster.Steps)
	}
}

// What the target warns of is logged once, and in the status as long as it is so.
func TestTargetsWarnings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	log := w.logs()
	says := []string{"nodes may not be read"}
	w.Warnings = func() []string { w.mu.Lock(); defer w.mu.Unlock(); return says }
	w.push(commitA, Result(Cameras("gate", 1)))
	w.run()
	for range 5 {
		w.Changed()
		w.step(time.Second)
	}
	if got := log.take(); strings.Count(got, `level=WARN msg="a warning of the target" warning="nodes may not be read"`) != 1 {
		t.Errorf("%s", got)
	}
	w.note(func() { says = nil })
	w.Changed()
	if s := w.step(time.Second); len(s.Warnings) != 0 {
		t.Errorf("%q", s.Warnings)
	}
	w.note(func() { says = []string{"nodes may not be read"} })
	w.Changed()
	w.step(time.Second)
	if got := log.take(); strings.Count(got, "nodes may not be read") != 1 {
		t.Errorf("%s", got)
	}
}
