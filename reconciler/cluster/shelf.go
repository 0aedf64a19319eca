package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// shelf holds the entries of one kind, and keeps them up to date by a watch.
// It is a client-go reflector's store, without the queue and the listeners of a
// shared informer, and with a back-off that has an API server that was
// restarted seen within seconds, not within a minute.
type shelf[E metav1.Object] struct {
	resource string
	log      *slog.Logger
	// strip turns what comes in into an entry, dropping what nobody reads.
	strip func(*unstructured.Unstructured) E
	// shown is told of each change after it was taken up, in order. old is nil
	// for what is new, now is what was there when it is gone.
	shown func(old, now E, gone bool)
	// version, if set, goes up with each change, before anybody is told.
	version *atomic.Uint64

	mu      sync.RWMutex
	entries map[place]E
	full    chan struct{} // closed when all that there is was seen
	trouble error         // why it cannot be watched
}

// place is where an object is.
type place struct{ namespace, name string }

func placeOf(o metav1.Object) place { return place{o.GetNamespace(), o.GetName()} }

// The waits between two tries to reach an API server.
const (
	firstDelay   = 200 * time.Millisecond
	longestDelay = 5 * time.Second
)

// run watches until ctx ends.
func (s *shelf[E]) run(ctx context.Context, client dynamic.NamespaceableResourceInterface, all dynamic.Interface, selector string) {
	ctx = klog.NewContext(ctx, klog.Logger{}) // what is worth saying, trouble says
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.LabelSelector = selector
			list, err := client.List(ctx, o)
			if err != nil {
				s.note(ctx, err)
			}
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (apiwatch.Interface, error) {
			o.LabelSelector = selector
			w, err := client.Watch(ctx, o)
			s.note(ctx, err)
			return w, err
		},
	}
	reflector := cache.NewReflectorWithOptions(cache.ToListWatcherWithWatchListSemantics(lw, all), &unstructured.Unstructured{}, s,
		cache.ReflectorOptions{
			Name: s.resource, TypeDescription: s.resource,
			Backoff: &wait.Backoff{Duration: firstDelay, Cap: longestDelay, Steps: 10, Factor: 2, Jitter: 0.5},
		})
	for ctx.Err() == nil {
		pause := firstDelay
		if err := reflector.ListAndWatchWithContext(ctx); err != nil {
			s.note(ctx, err)
			pause = longestDelay / 5
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// note takes note of whether a watch works, and says so when that changes.
func (s *shelf[E]) note(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	before := s.trouble
	s.trouble = err
	s.mu.Unlock()
	if (err == nil) != (before == nil) || err != nil && err.Error() != before.Error() {
		s.moved()
	}
	switch {
	case err != nil && (before == nil || before.Error() != err.Error()):
		s.log.Warn("cannot watch; it is tried again", "resource", s.resource, "error", err)
	case err == nil && before != nil:
		s.log.Info("it is watched again", "resource", s.resource)
	}
}

// troubled says why the watch does not work now; nil when it does.
func (s *shelf[E]) troubled() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.trouble
}

// synced tells whether all that there is was seen once.
func (s *shelf[E]) synced() bool {
	select {
	case <-s.full:
		return true
	default:
		return false
	}
}

// get is the entry of that name, if there is one.
func (s *shelf[E]) get(at place) (E, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	e, ok := s.entries[at]
	return e, ok
}

// each passes all entries, in no order.
func (s *shelf[E]) each(f func(E)) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, e := range s.entries {
		f(e)
	}
}

// entry is what the watch brought, stripped.
func (s *shelf[E]) entry(obj any) (E, error) {
	switch obj := obj.(type) {
	case E:
		return obj, nil
	case *unstructured.Unstructured:
		return s.strip(obj), nil
	}
	var none E
	return none, fmt.Errorf("a watch of %s brought a %T", s.resource, obj)
}

// moved notes that something is not as it was.
func (s *shelf[E]) moved() {
	if s.version != nil {
		s.version.Add(1)
	}
}

// Add implements cache.ReflectorStore.
func (s *shelf[E]) Add(obj any) error { return s.Update(obj) }

// Update implements cache.ReflectorStore.
func (s *shelf[E]) Update(obj any) error {
	e, err := s.entry(obj)
	if err != nil {
		return err
	}
	s.mu.Lock()
	old := s.entries[placeOf(e)]
	s.entries[placeOf(e)] = e
	s.mu.Unlock()
	s.moved()
	s.shown(old, e, false)
	return nil
}

// Delete implements cache.ReflectorStore.
func (s *shelf[E]) Delete(obj any) error {
	e, err := s.entry(obj)
	if err != nil {
		return err
	}
	s.mu.Lock()
	delete(s.entries, placeOf(e))
	s.mu.Unlock()
	s.moved()
	var none E
	s.shown(none, e, true)
	return nil
}

// Replace implements cache.ReflectorStore: list is all that there is.
func (s *shelf[E]) Replace(list []any, _ string) error {
	entries := make(map[place]E, len(list))
	for _, obj := range list {
		e, err := s.entry(obj)
		if err != nil {
			return err
		}
		entries[placeOf(e)] = e
	}
	s.mu.Lock()
	before := s.entries
	s.entries = entries
	s.mu.Unlock()
	s.moved()
	var none E
	for at, e := range before {
		if _, still := entries[at]; !still {
			s.shown(none, e, true)
		}
	}
	for _, e := range entries {
		s.shown(before[placeOf(e)], e, false)
	}
	if !s.synced() {
		close(s.full)
		s.moved() // what is known now was not before
	}
	return nil
}

// Resync implements cache.ReflectorStore.
func (s *shelf[E]) Resync() error { return nil }

// Transformer implements cache.TransformingStore: what a first list brings is
// stripped as it comes, not when all of it is here.
func (s *shelf[E]) Transformer() cache.TransformFunc {
	return func(obj any) (any, error) { return s.entry(obj) }
}
