package cluster

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
)

// TestNews: the same thing is told once in ten minutes.
func TestNews(t *testing.T) {
	t.Parallel()
	r := &recorder{told: map[happening]time.Time{}, failed: map[object.ID]bool{}}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	a := happening{id: object.ID{Kind: "Pod", Name: "a"}, reason: "ApplyFailed", message: "no"}
	b, well := a, a
	b.message = "still no"
	well.reason, well.message = "Recovered", "it is missing"
	for i, c := range []struct {
		h     happening
		after time.Duration
		want  bool
	}{
		{well, 0, false}, {a, 0, true}, {a, time.Minute, false}, {b, time.Minute, true}, {well, 2 * time.Minute, true},
		{well, 2 * time.Minute, false}, {a, 11 * time.Minute, true}, {well, 13 * time.Minute, true},
	} {
		if got := r.news(c.h, now.Add(c.after)); got != c.want {
			t.Errorf("%d: %v is news: %t, want %t", i, c.h, got, c.want)
		}
	}
	for i := range 50 * eventQueue {
		r.news(happening{message: fmt.Sprint(i)}, now.Add(14*time.Minute))
	}
	if n := len(r.told); n > 11*eventQueue {
		t.Errorf("it remembers %d", n)
	}
	if !r.news(a, now.Add(time.Hour)) {
		t.Error("it does not forget")
	}
}

// TestEvents: changes become Events of their objects, of the right kind.
func TestEvents(t *testing.T) {
	t.Parallel()
	w := newPendingWorld(t, "north")
	w.mustSync(w.compile())
	id := w.id("Pod", "camera-north")
	for _, c := range []engine.Change{
		{Action: engine.Unchanged, Reason: "nothing"}, {Action: engine.Waiting, Reason: "its turn comes"}, {Action: engine.Created, Reason: "it is new"},
		{Action: engine.Failed, Tried: engine.Replaced, Reason: "the API server said no"}, {Action: engine.Held, Reason: "too many"},
		{Action: engine.Held, Tried: engine.Replaced, Reason: "they did not come back"},
		{Action: engine.Replaced, Reason: "it failed: Evicted"}, {Action: engine.Failed, Tried: engine.Replaced, Reason: "the API server said no"},
		{Action: engine.Failed, Tried: engine.Configured, Reason: "once more"}, {Action: engine.Configured, Reason: "metadata changed"},
	} {
		c.ID = id
		w.Record(t.Context(), c)
	}
	w.Record(t.Context(), engine.Change{Action: engine.Failed, Tried: engine.Created, Reason: "no", ID: object.ID{APIVersion: "v1", Kind: "Namespace", Name: w.namespace()}})
	w.Close() // tells the rest
	got := w.events(id.Name)
	slices.Sort(got)
	want := []string{"configured now: metadata changed", "it failed: Evicted", "not configured: once more", "not deleted: too many", "not replaced: the API server said no", "not replaced: they did not come back"}
	if !slices.Equal(got, want) {
		t.Errorf("events\n%q\nwant\n%q", got, want)
	}
	w.Record(t.Context(), engine.Change{Action: engine.Held, ID: id, Reason: "after the end"})
	if len(w.events(id.Name)) != len(want) {
		t.Error("it tells after its end")
	}
}

// TestEventsNeverWait: with an API server that does not answer, nobody waits,
// and Close comes to an end.
func TestEventsNeverWait(t *testing.T) {
	t.Parallel()
	w := newPendingWorld(t, "north")
	w.mustSync(w.compile())
	w.traffic.hang.Store(true)
	began := time.Now()
	for i := range 3 * eventQueue {
		w.Record(t.Context(), engine.Change{Action: engine.Failed, ID: w.id("Pod", "camera-north"), Reason: fmt.Sprint(i)})
	}
	w.Close()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}
