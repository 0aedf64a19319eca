package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"

	"camfleet.dev/compiler/object"
)

// selector chooses the objects of one fleet.
func selector(fleet string) string {
	return object.LabelManagedBy + "=" + object.ManagedBy + "," + object.LabelFleet + "=" + fleet
}

// watch is what is known of one fleet's objects: what its informers show, and
// what we wrote since.
type watch struct {
	fleet     string
	log       *slog.Logger
	informers map[Kind]cache.SharedIndexInformer
	stop      context.CancelFunc
	running   sync.WaitGroup
	changed   func() // may be nil

	mu      sync.Mutex
	written map[object.ID]written // and not shown by an informer yet
	settled map[object.ID]settled
	moved   chan struct{}    // closed, and made anew, whenever something changes
	trouble map[string]error // by resource: why it cannot be watched
}

type written struct {
	entry *entry
	until time.Time
}

// settled is what an API server made of a body that we applied, when it is not
// the same: a default inside an atomic list, another spelling. As long as the
// fields stand like this, the object is as it is wanted.
type settled struct{ want, made string }

// lag is how long an informer may be behind what we wrote, before we believe
// the informer.
const lag = 10 * time.Second

func newWatch(client dynamic.Interface, kinds []Kind, fleet string, log *slog.Logger, changed func()) (*watch, error) {
	ctx, cancel := context.WithCancel(context.Background()) // until close
	w := &watch{
		fleet: fleet, log: log, changed: changed, stop: cancel, informers: map[Kind]cache.SharedIndexInformer{},
		written: map[object.ID]written{}, settled: map[object.ID]settled{}, moved: make(chan struct{}), trouble: map[string]error{},
	}
	for _, k := range kinds {
		informer := dynamicinformer.NewFilteredDynamicInformer(client, k.resource(), metav1.NamespaceAll, 0, cache.Indexers{},
			func(o *metav1.ListOptions) { o.LabelSelector = selector(fleet) }).Informer()
		if err := w.prepare(k, informer); err != nil {
			cancel()
			return nil, fmt.Errorf("watching %s: %w", k.Resource, err)
		}
		w.informers[k] = informer
	}
	for _, informer := range w.informers {
		w.running.Go(func() { informer.RunWithContext(ctx) })
	}
	return w, nil
}

func (w *watch) prepare(k Kind, informer cache.SharedIndexInformer) error {
	if err := informer.SetTransform(stripper(w.log)); err != nil {
		return err
	}
	err := informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) {
		w.log.Warn("cannot watch; it is tried again", "resource", k.Resource, "error", err)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.trouble[k.Resource] = err
	})
	if err != nil {
		return err
	}
	_, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { w.shown(nil, obj, false) },
		UpdateFunc: func(old, obj any) { w.shown(old, obj, false) },
		DeleteFunc: func(obj any) { w.shown(nil, obj, true) },
	})
	return err
}

// close ends the watching, and waits for its end.
func (w *watch) close() {
	w.stop()
	w.running.Wait()
}

// synced waits until every informer has shown all there is.
func (w *watch) synced(ctx context.Context) error {
	var all []cache.InformerSynced
	for _, informer := range w.informers {
		all = append(all, informer.HasSynced)
	}
	if cache.WaitForCacheSync(ctx.Done(), all...) {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var missing []string
	for k, informer := range w.informers {
		if !informer.HasSynced() {
			why := "no answer yet"
			if err := w.trouble[k.Resource]; err != nil {
				why = err.Error()
			}
			missing = append(missing, k.Resource+" ("+why+")")
		}
	}
	slices.Sort(missing)
	return fmt.Errorf("waiting to see %s: %w", strings.Join(missing, ", "), context.Cause(ctx))
}

// shown takes up an event of an informer.
func (w *watch) shown(old, obj any, gone bool) {
	if d, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = d.Obj
	}
	e, ok := obj.(*entry)
	if !ok {
		return
	}
	w.mu.Lock()
	if p, ok := w.written[e.live.ID]; ok && (gone && p.entry.UID == e.UID || !gone && !p.entry.newer(e)) {
		delete(w.written, e.live.ID)
	}
	if gone {
		delete(w.settled, e.live.ID)
	}
	w.move()
	w.mu.Unlock()
	if before, ok := old.(*entry); w.changed != nil && !(ok && before.same(e)) {
		w.changed()
	}
}

// move wakes whoever waits. The caller holds mu.
func (w *watch) move() {
	close(w.moved)
	w.moved = make(chan struct{})
}

// wrote takes up the answer to a write, so that who reads next reads it,
// however far behind the informer is.
func (w *watch) wrote(want *object.Object, e *entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if string(e.live.Body) != string(want.Body) {
		w.settled[want.ID] = settled{want: string(want.Body), made: string(e.live.Body)}
	} else {
		delete(w.settled, want.ID)
	}
	if cached := w.cached(want.ID); cached == nil || e.newer(cached) {
		w.written[want.ID] = written{entry: e, until: time.Now().Add(lag)}
	}
	w.move()
}

// cached is what the informer shows, or nil.
func (w *watch) cached(id object.ID) *entry {
	for k, informer := range w.informers {
		if k.Kind != id.Kind || k.APIVersion != id.APIVersion {
			continue
		}
		key := id.Name
		if id.Namespace != "" {
			key = id.Namespace + "/" + id.Name
		}
		if obj, ok, err := informer.GetStore().GetByKey(key); ok && err == nil {
			e, _ := obj.(*entry)
			return e
		}
	}
	return nil
}

// get is the newest that is known of an object, or nil when it does not exist.
func (w *watch) get(id object.ID) *entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.newest(id, w.cached(id))
}

// newest chooses between what an informer shows and what we wrote. The caller holds mu.
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
	seen := map[object.ID]bool{}
	for _, informer := range w.informers {
		for _, obj := range informer.GetStore().List() {
			if e, ok := obj.(*entry); ok {
				seen[e.live.ID] = true
				out = append(out, w.newest(e.live.ID, e))
			}
		}
	}
	for id := range w.written {
		if e := w.newest(id, nil); e != nil && !seen[id] {
			out = append(out, e)
		}
	}
	return out
}
