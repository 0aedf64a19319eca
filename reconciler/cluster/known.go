package cluster

import (
	"context"
	"maps"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"camfleet.dev/compiler/object"
)

// lag is how long a watch may be behind what we wrote, before we believe
// the watch.
const lag = 30 * time.Second

type written struct {
	entry *entry
	until time.Time
}

// settled is what an API server made of a body that we applied, when it is not
// the same: a default inside an atomic list, another spelling. As long as the
// fields stand like this, the object is as it is wanted.
type settled struct{ want, made string }

// move wakes whoever waits. The caller holds mu.
func (w *watch) move() {
	close(w.moved)
	w.moved = make(chan struct{})
}

// wrote takes up the answer to a write, so that who reads next reads it,
// however far behind the watch is.
func (w *watch) wrote(want *object.Object, e *entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if string(e.live.Body) != string(want.Body) {
		w.settled[want.ID] = settled{want: string(want.Body), made: string(e.live.Body)}
	} else {
		delete(w.settled, want.ID)
	}
	if _, gone := w.ended[e.UID]; gone {
		return // it was shown to be gone before its answer was here
	}
	if cached := w.cached(want.ID); cached == nil || e.newer(cached) {
		w.written[want.ID] = written{entry: e, until: time.Now().Add(lag)}
		w.version.Add(1)
	}
	w.move()
}

// manyEnded is how many objects that are gone are remembered before old ones are forgotten.
const manyEnded = 1000

// end takes note that an object is gone. The caller holds mu.
func (w *watch) end(uid types.UID, now time.Time) {
	if len(w.ended) >= manyEnded {
		maps.DeleteFunc(w.ended, func(_ types.UID, at time.Time) bool { return now.Sub(at) > requestTimeout })
	}
	w.ended[uid] = now
}

// cached is what a watch shows, or nil.
func (w *watch) cached(id object.ID) *entry {
	s := w.shelves[kindOf(id)]
	if s == nil {
		return nil
	}
	e, _ := s.get(place{id.Namespace, id.Name})
	return e
}

// get is the newest that is known of an object, or nil when it does not exist.
func (w *watch) get(id object.ID) *entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.newest(id, w.cached(id))
}

// namespace is a namespace of the fleet, or nil when there is none. watched is
// false when nobody knows.
func (w *watch) namespace(name string) (e *entry, watched bool) {
	id := object.ID{APIVersion: "v1", Kind: "Namespace", Name: name}
	if w.shelves[kindOf(id)] == nil || name == "" {
		return nil, false
	}
	return w.get(id), true
}

// newest chooses between what a watch shows and what we wrote. The caller holds mu.
func (w *watch) newest(id object.ID, cached *entry) *entry {
	p, ok := w.written[id]
	switch {
	case !ok:
		return cached
	case time.Now().After(p.until):
		delete(w.written, id)
		return cached
	case cached != nil && !p.entry.newer(cached):
		return cached
	}
	return p.entry
}

// believed is until when all is believed that we wrote; zero when that does not end.
func (w *watch) believed() (first time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.written {
		if first.IsZero() || p.until.Before(first) {
			first = p.until
		}
	}
	return first
}

// gone waits until the object with this UID does not exist any more.
func (w *watch) gone(ctx context.Context, id object.ID, uid string) error {
	for {
		w.mu.Lock()
		moved := w.moved
		e := w.newest(id, w.cached(id))
		w.mu.Unlock()
		if e == nil || string(e.UID) != uid {
			return nil
		}
		timer := time.NewTimer(lag)
		select {
		case <-moved:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
		timer.Stop()
	}
}

// all is everything that is known, in no order.
func (w *watch) all() []*entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []*entry
	both := map[object.ID]bool{} // shown, and written
	for _, s := range w.shelves {
		s.each(func(e *entry) {
			if _, ok := w.written[e.live.ID]; ok {
				both[e.live.ID] = true
				e = w.newest(e.live.ID, e)
			}
			out = append(out, e)
		})
	}
	// Not by looking into the shelves again: they go on meanwhile.
	for id := range w.written {
		if e := w.newest(id, nil); e != nil && !both[id] {
			out = append(out, e)
		}
	}
	return out
}
