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
	informers map[name]cache.SharedIndexInformer
	nodes     *nodes
	stop      context.CancelFunc
	running   sync.WaitGroup
	changed   func() // may be nil

	mu      sync.Mutex
	written map[object.ID]written // and not shown by an informer yet
	settled map[object.ID]settled
	moved   chan struct{}      // closed, and made anew, whenever something changes
	trouble map[string]trouble // by resource: why it cannot be watched
}

// name names a kind.
type name struct{ apiVersion, kind string }

func newWatch(client dynamic.Interface, kinds []Kind, fleet string, log *slog.Logger, changed func()) (*watch, error) {
	ctx, cancel := context.WithCancel(context.Background()) // until close
	w := &watch{
		fleet: fleet, log: log, changed: changed, stop: cancel, informers: map[name]cache.SharedIndexInformer{},
		written: map[object.ID]written{}, settled: map[object.ID]settled{}, moved: make(chan struct{}), trouble: map[string]trouble{},
	}
	for _, k := range kinds {
		informer := dynamicinformer.NewFilteredDynamicInformer(client, k.resource(), metav1.NamespaceAll, 0, cache.Indexers{},
			func(o *metav1.ListOptions) { o.LabelSelector = selector(fleet) }).Informer()
		if err := w.prepare(k, informer); err != nil {
			cancel()
			return nil, fmt.Errorf("watching %s: %w", k.Resource, err)
		}
		w.informers[name{k.APIVersion, k.Kind}] = informer
	}
	var err error
	if w.nodes, err = newNodes(client, log, changed); err != nil {
		cancel()
		return nil, err
	}
	for _, informer := range w.informers {
		w.running.Go(func() { informer.RunWithContext(ctx) })
	}
	w.running.Go(func() { w.nodes.informer.RunWithContext(ctx) })
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
		w.trouble[k.Resource] = trouble{err, time.Now()}
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

// synced waits until every informer has shown all there is. It does not wait
// for nodes: who may not read them does without.
func (w *watch) synced(ctx context.Context, kinds []Kind) error {
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
	for _, k := range kinds {
		if !w.informers[name{k.APIVersion, k.Kind}].HasSynced() {
			why := "no answer yet"
			if err := w.trouble[k.Resource].err; err != nil {
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
	before, _ := old.(*entry)
	w.mu.Lock()
	if p, ok := w.written[e.live.ID]; ok {
		if !gone && p.entry.UID == e.UID && (before == nil || p.entry.newer(before)) {
			before = p.entry // what we know already
		}
		if gone && p.entry.UID == e.UID || !gone && !p.entry.newer(e) {
			delete(w.written, e.live.ID)
		}
	}
	if gone {
		delete(w.settled, e.live.ID)
	}
	w.move()
	w.mu.Unlock()
	if w.changed != nil && (gone || before == nil || !before.same(e)) {
		w.changed()
	}
}
