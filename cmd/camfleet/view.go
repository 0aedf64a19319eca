package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/cluster"
	"camfleet.dev/reconciler/control"
	"camfleet.dev/reconciler/health"
	"camfleet.dev/reconciler/status"
)

// view says how the cameras of a cluster are: what the newest commit wants,
// beside what is observed.
type view struct {
	target *cluster.Cluster
	asker  health.Asker
	wanted atomic.Pointer[[]health.Camera]
}

// compiled takes up what a commit wants.
func (v *view) compiled(result *object.Result) {
	wanted := health.Wanted(result.Objects)
	v.wanted.Store(&wanted)
}

func (v *view) want() []health.Camera {
	if w := v.wanted.Load(); w != nil {
		return *w
	}
	return nil
}

// Cameras, Nodes and Health are what a reconciler.Reconciler asks for.
func (v *view) Cameras() []status.Camera {
	return health.Cameras(v.want(), v.target.Observe(), v.asker.Answers())
}

func (v *view) Nodes() []status.Node { return health.Nodes(v.want(), v.target.Observe()) }

func (v *view) Health(now time.Time) []status.Health {
	return health.Check(v.target.Observe(), v.Cameras(), now)
}

// Warnings are what the cluster cannot tell, or leaves alone.
func (v *view) Warnings() []string { return v.target.Observe().Warnings }

// standby is what a replica that does not lead answers with: what the one that
// does has reported. However often it is asked, it reads that once a second.
type standby struct {
	reader control.Reader
	guard  *control.Guard

	mu   sync.Mutex
	read time.Time
	last status.Status
}

const (
	standbyEvery   = time.Second
	standbyTimeout = 8 * time.Second
)

// Status is the leader's status, and true, unless this replica leads itself.
func (s *standby) Status() (status.Status, bool) {
	if s.guard.Held() {
		return status.Status{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.read) < standbyEvery {
		return s.last, true
	}
	ctx, cancel := context.WithTimeout(context.Background(), standbyTimeout)
	defer cancel()
	s.read = time.Now()
	report, err := s.reader.Status(ctx)
	if err != nil {
		s.last = status.Status{State: status.Starting, TargetError: err.Error()}
		return s.last, true
	}
	s.last = report.Status
	return s.last, true
}

// wake looks at the source, whichever replica leads. It does not block.
func (r *replica) wake() {
	if !r.flags.elect || r.guard.Held() {
		r.loop.Wake()
		return
	}
	select {
	case r.pushed <- struct{}{}:
	default: // it is about to be told
	}
}

// forward tells the leader of pushes that came to this replica.
func (r *replica) forward(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.pushed:
		}
		if err := r.reader.Wake(ctx); err != nil {
			r.log.Warn("the leader cannot be told of a push; it finds it at its next poll", "error", err)
		}
	}
}
