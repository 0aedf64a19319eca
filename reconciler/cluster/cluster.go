// Package cluster is the engine's Cluster on a Kubernetes API.
//
//	watches (our labels only, stripped) ─► List    no request at all
//	Apply(Step) ─► server-side apply, create, delete    one request for most steps
//
// It holds no policy: what happens to which object, and in which order, the
// engine decides. What it does hold are the rules of a Kubernetes API: fields
// have managers, Pods cannot be changed, names may be taken.
package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"camfleet.dev/reconciler/engine"
)

// Cluster is an engine.Cluster. Its exported fields are set before its first
// use, and not changed afterwards. Close ends it.
type Cluster struct {
	Client dynamic.Interface
	// Kinds that are watched and applied; nil means Kinds().
	Kinds []Kind
	// Changed, if set, is called whenever an object of the fleet changes, from
	// the goroutines of the watches: it must not block.
	Changed func()
	// Patience is how long a step waits for a Pod to be gone; 0 means 90 s.
	Patience time.Duration
	// Sync is how long List waits to see the cluster at first; 0 means 30 s.
	Sync time.Duration
	Log  *slog.Logger

	mu      sync.Mutex
	watched *watch
	events  *recorder
	closed  bool
}

var _ engine.Cluster = (*Cluster)(nil)

const (
	defaultPatience = 90 * time.Second
	defaultSync     = 30 * time.Second
)

// Client makes a client of a configuration, without the limit of five requests
// per second that client-go sets by default: the API server's own priority and
// fairness decides how fast we may be.
func Client(config *rest.Config) (dynamic.Interface, error) {
	config = rest.CopyConfig(config)
	if config.QPS == 0 {
		config.QPS = -1
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client for %s: %w", config.Host, err)
	}
	return client, nil
}

// List implements engine.Cluster, from what its watches have shown. The first
// call for a fleet starts them, and waits until they have seen everything.
func (c *Cluster) List(ctx context.Context, fleet string) ([]engine.Live, error) {
	w := c.watch(fleet)
	ctx, cancel := context.WithTimeoutCause(ctx, orElse(c.Sync, defaultSync), fmt.Errorf("the API server took too long"))
	defer cancel()
	if err := w.synced(ctx); err != nil {
		return nil, err
	}
	return w.list(), nil
}

// watch is the watch of a fleet, begun if need be.
func (c *Cluster) watch(fleet string) *watch {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.watched != nil && c.watched.fleet == fleet {
		return c.watched
	}
	if c.watched != nil {
		c.watched.close() // the fleet's uid was changed
	}
	c.watched = newWatch(c.Client, c.kinds(), fleet, c.Log, c.Changed)
	return c.watched
}

func (c *Cluster) kinds() []Kind {
	if c.Kinds != nil {
		return c.Kinds
	}
	return Kinds()
}

func (c *Cluster) current() *watch {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.watched
}

// Close stops watching, and waits until nothing of it runs any more, but not
// for ever: see closing.
func (c *Cluster) Close() {
	c.mu.Lock()
	w, r := c.watched, c.events
	c.watched, c.events, c.closed = nil, nil, true
	c.mu.Unlock()
	if w != nil {
		w.close()
	}
	if r != nil {
		r.close()
	}
}

func orElse(d, other time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return other
}
