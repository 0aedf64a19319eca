package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"camfleet.dev/compiler/object"
)

// selector chooses the objects of one fleet.
func selector(fleet string) string {
	return object.LabelManagedBy + "=" + object.ManagedBy + "," + object.LabelFleet + "=" + fleet
}

// watch is what is known of one fleet's objects: what its watches show, and
// what we wrote since.
type watch struct {
	fleet   string
	log     *slog.Logger
	shelves map[name]*shelf[*entry]
	nodes   *nodes
	stop    context.CancelFunc
	running sync.WaitGroup
	changed func() // may be nil

	version atomic.Uint64 // goes up whenever something changes that Observe tells
	seen    observed

	mu      sync.Mutex
	written map[object.ID]written // and not shown by a watch yet
	settled map[object.ID]settled
	ended   map[types.UID]time.Time // what was shown to be gone lately, and when
	moved   chan struct{}           // closed, and made anew, whenever something changes
}

// name names a kind.
type name struct{ apiVersion, kind string }

func kindOf(id object.ID) name { return name{id.APIVersion, id.Kind} }

func newWatch(client dynamic.Interface, kinds []Kind, fleet string, log *slog.Logger, changed func()) *watch {
	ctx, cancel := context.WithCancel(context.Background()) // until close
	w := emptyWatch(kinds, fleet, log, changed)
	w.stop = cancel
	for _, k := range kinds {
		s := w.shelves[name{k.APIVersion, k.Kind}]
		w.running.Go(func() { s.run(ctx, client.Resource(k.resource()), client, selector(fleet)) })
	}
	w.running.Go(func() { w.nodes.run(ctx, client.Resource(nodeKind.resource()), client, "") })
	return w
}

// emptyWatch is one that has not begun.
func emptyWatch(kinds []Kind, fleet string, log *slog.Logger, changed func()) *watch {
	w := &watch{
		fleet: fleet, log: log, changed: changed, stop: func() {}, shelves: map[name]*shelf[*entry]{}, nodes: newNodes(log, changed),
		written: map[object.ID]written{}, settled: map[object.ID]settled{}, ended: map[types.UID]time.Time{}, moved: make(chan struct{}),
	}
	w.nodes.version = &w.version
	for _, k := range kinds {
		w.shelves[name{k.APIVersion, k.Kind}] = &shelf[*entry]{
			resource: k.Resource, log: log, strip: stripper(log), shown: w.shown, version: &w.version, entries: map[place]*entry{}, full: make(chan struct{}),
		}
	}
	return w
}

var nodeKind = Kind{APIVersion: "v1", Kind: "Node", Resource: "nodes", ClusterWide: true}

// closing is how long the end is waited for. Client-go sleeps between two tries
// to reach an API server, and nothing wakes it; what is left then does nothing
// any more but to end.
const closing = 2 * time.Second

// close ends the watching, and waits for its end.
func (w *watch) close() {
	w.stop()
	ended := make(chan struct{})
	go func() {
		w.running.Wait()
		close(ended)
	}()
	timer := time.NewTimer(closing)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
		w.log.Debug("a watch sleeps; it ends when it wakes up")
	}
}

// known tells whether every watch has shown all there is. Nodes do not count,
// see synced.
func (w *watch) known() bool {
	for _, s := range w.shelves {
		if !s.synced() {
			return false
		}
	}
	return true
}

// clusterRole has the reconciler's rights, see manifests/rbac/reconciler.yaml.
const clusterRole = "camfleet-reconciler"

// synced waits until every watch has shown all there is. It does not wait for
// nodes: who may not read them does without.
func (w *watch) synced(ctx context.Context) error {
	var missing, forbidden []string
	for _, s := range w.shelves {
		select {
		case <-s.full:
			continue
		default:
		}
		select {
		case <-s.full:
		case <-ctx.Done():
			why := "no answer yet"
			if err := s.troubled(); err != nil {
				why = err.Error()
				if apierrors.IsForbidden(err) {
					forbidden = append(forbidden, s.resource)
				}
			}
			missing = append(missing, s.resource+" ("+why+")")
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	if len(forbidden) == len(missing) {
		slices.Sort(forbidden)
		return fmt.Errorf("the reconciler has no right to list and watch %s, and until it has, nothing is changed and nothing is healed: "+
			"give it to it, in the ClusterRole %s: %s", strings.Join(forbidden, ", "), clusterRole, strings.Join(missing, ", "))
	}
	return fmt.Errorf("waiting to see %s: %w", strings.Join(missing, ", "), context.Cause(ctx))
}

// shown takes up what a watch shows.
func (w *watch) shown(before, e *entry, gone bool) {
	w.mu.Lock()
	if p, ok := w.written[e.live.ID]; ok {
		if !gone && p.entry.UID == e.UID && (before == nil || p.entry.newer(before)) {
			before = p.entry // what we know already
		}
		if gone && p.entry.UID == e.UID || !gone && !p.entry.newer(e) {
			delete(w.written, e.live.ID)
			w.version.Add(1)
		}
	}
	if gone {
		delete(w.settled, e.live.ID)
		w.end(e.UID, time.Now())
	} else {
		delete(w.ended, e.UID) // its labels were another's for a while
	}
	w.move()
	w.mu.Unlock()
	if w.changed != nil && (gone || before == nil || !before.same(e)) {
		w.changed()
	}
}
