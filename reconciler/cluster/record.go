package cluster

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
)

// Events are told once, as well as it goes: nothing waits for them, and nothing
// fails because of them. The log has all of it, too.
const (
	eventQueue  = 1000                  // more than that at once are dropped
	eventPause  = 50 * time.Millisecond // between two of them
	eventRepeat = 10 * time.Minute      // the same one is not told again before
	eventDrain  = 2 * time.Second       // for the rest, at the end
	maxNote     = 1000                  // bytes that the message of an Event may have
)

// happening is what an Event is made of.
type happening struct {
	id              object.ID
	uid             string
	warning         bool
	reason, message string
}

// recorder writes Events, one after the other.
type recorder struct {
	queue   chan happening
	stop    context.CancelFunc
	running sync.WaitGroup

	mu     sync.Mutex
	told   map[happening]time.Time
	swept  time.Time          // when old ones were last forgotten
	failed map[object.ID]bool // its last Event was a failure
}

// Record tells of a change as an Event of its object. It never waits; what was
// told a short while ago is not told again.
func (c *Cluster) Record(_ context.Context, change engine.Change) {
	h := happening{id: change.ID, message: change.Reason}
	switch change.Action {
	case engine.Failed:
		h.reason, h.warning = "ApplyFailed", true
		if change.Tried != "" {
			h.message = fmt.Sprintf("not %s: %s", change.Tried, change.Reason)
		}
	case engine.Held:
		tried := cmp.Or(change.Tried, engine.Deleted)
		h.reason, h.warning = "PruneHeld", true
		if tried != engine.Deleted {
			h.reason = "ChangeHeld"
		}
		h.message = fmt.Sprintf("not %s: %s", tried, change.Reason)
	case engine.Replaced:
		h.reason = "Replaced"
	case engine.Created, engine.Configured:
		h.reason = "Recovered" // if it had failed
		h.message = fmt.Sprintf("%s now: %s", change.Action, change.Reason)
	default:
		return
	}
	c.tell(h)
}

// tell queues an Event, if it is news, and if there is a place for it: somebody
// else's namespace is none.
func (c *Cluster) tell(h happening) {
	w := c.current()
	if w != nil {
		if ns, watched := w.namespace(h.id.Namespace); watched && ns == nil {
			return
		}
	}
	r := c.recorder()
	if r == nil || !r.news(h, time.Now()) {
		return
	}
	if w != nil && h.uid == "" {
		if e := w.get(h.id); e != nil {
			h.uid = string(e.UID)
		}
	}
	select {
	case r.queue <- h:
	default:
		c.Log.Debug("there are too many Events to write: one is left out", "object", h.id, "reason", h.reason)
	}
}

// news tells whether to tell h now, and takes note of it.
func (r *recorder) news(h happening, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if h.reason == "Recovered" && !r.failed[h.id] {
		return false
	}
	if now.Sub(r.swept) > eventRepeat/10 || now.Before(r.swept) {
		r.swept = now
		for old, at := range r.told {
			if now.Sub(at) > eventRepeat {
				delete(r.told, old)
			}
		}
	}
	if at, ok := r.told[h]; ok && now.Sub(at) < eventRepeat || len(r.told) > 10*eventQueue {
		return false
	}
	r.told[h] = now
	if h.reason == "ApplyFailed" {
		r.failed[h.id] = true
	} else {
		delete(r.failed, h.id)
	}
	return true
}

// recorder is what writes Events, begun if need be; nil after Close.
func (c *Cluster) recorder() *recorder {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.events == nil && !c.closed {
		ctx, cancel := context.WithCancel(context.Background()) // until close
		r := &recorder{
			queue: make(chan happening, eventQueue), stop: cancel,
			told: map[happening]time.Time{}, failed: map[object.ID]bool{},
		}
		r.running.Go(func() { c.write(ctx, r) })
		c.events = r
	}
	return c.events
}

// write writes what is queued, until ctx ends; then, for a moment, the rest.
func (c *Cluster) write(ctx context.Context, r *recorder) {
	last, cancel := outlive(ctx, eventDrain)
	defer cancel()
	for {
		select {
		case h := <-r.queue:
			c.post(last, h)
		case <-ctx.Done():
			for len(r.queue) > 0 && last.Err() == nil {
				c.post(last, <-r.queue)
			}
			return
		}
		pause := time.NewTimer(eventPause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
		}
	}
}

// post writes one Event.
func (c *Cluster) post(ctx context.Context, h happening) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	namespace := h.id.Namespace
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	severity := "Normal"
	if h.warning {
		severity = "Warning"
	}
	message := h.message
	if len(message) > maxNote {
		message = strings.ToValidUTF8(message[:maxNote], "") + " …"
	}
	now := time.Now().UTC().Format(time.RFC3339)
	e := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Event",
		"metadata": map[string]any{"generateName": h.id.Name + ".", "namespace": namespace},
		"involvedObject": map[string]any{
			"apiVersion": h.id.APIVersion, "kind": h.id.Kind, "namespace": h.id.Namespace, "name": h.id.Name, "uid": h.uid,
		},
		"type": severity, "reason": h.reason, "message": message,
		"source": map[string]any{"component": manager}, "reportingComponent": manager,
		"firstTimestamp": now, "lastTimestamp": now, "count": int64(1),
	}}
	_, err := c.Client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "events"}).Namespace(namespace).
		Create(ctx, e, metav1.CreateOptions{FieldManager: manager})
	if err != nil {
		c.Log.Warn("an Event could not be written", "object", h.id, "reason", h.reason, "error", err)
	}
}

// close tells the rest, as far as that is quick, and ends.
func (r *recorder) close() {
	r.stop()
	r.running.Wait()
}
