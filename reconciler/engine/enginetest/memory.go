// Package enginetest is a cluster in memory, with faults on demand, and small
// fleets to put on it.
package enginetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
)

// ErrInjected is the failure of a call that was told to fail.
var ErrInjected = errors.New("injected failure")

// Memory is an engine.Cluster. The zero value is an empty one.
type Memory struct {
	mu      sync.Mutex
	objects map[object.ID]stored
	// Fail, if set, is asked before each call, counted from 0, whether it
	// fails: before its effect, or after it (an answer that got lost).
	Fail  func(call int) Fault
	calls int
	Steps []string // what was applied, in order: "created gate/Pod/camera-a"
	// Clock, if set, makes it behave as a Kubernetes cluster does: Pods have a
	// state, and nodes that do not answer.
	Clock func() time.Time
	made  int // objects, for their UIDs
}

// Fault is how a call fails.
type Fault int

// The faults.
const (
	None    Fault = iota
	Before        // nothing was done
	After         // it was done, and reported as failed
	Halfway       // of a Pod that is replaced, the old one is gone, and no new one there
)

type stored struct {
	live  engine.Live
	fleet string
}

var _ engine.Cluster = (*Memory)(nil)

func (m *Memory) fault() Fault {
	n := m.calls
	m.calls++
	if m.Fail == nil {
		return None
	}
	return m.Fail(n)
}

// List implements engine.Cluster.
func (m *Memory) List(ctx context.Context, fleet string) ([]engine.Live, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fault() != None {
		return nil, ErrInjected
	}
	var out []engine.Live
	for _, s := range m.objects {
		if s.fleet == fleet {
			l := s.live
			if l.Pod != nil {
				state := *l.Pod
				l.Pod = &state
			}
			out = append(out, l)
		}
	}
	return out, ctx.Err()
}

// Apply implements engine.Cluster.
func (m *Memory) Apply(_ context.Context, step engine.Step) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	fault := m.fault()
	if fault == Before {
		return ErrInjected
	}
	if err := m.refuse(step); err != nil {
		return err
	}
	if fault == Halfway && step.Action == engine.Replaced {
		delete(m.objects, step.ID())
		return ErrInjected
	}
	if err := m.apply(step); err != nil {
		return err
	}
	m.Steps = append(m.Steps, fmt.Sprintf("%s %s", step.Action, step.ID()))
	if fault == After || fault == Halfway {
		return ErrInjected
	}
	return nil
}

func (m *Memory) apply(step engine.Step) error {
	id := step.ID()
	if step.Action == engine.Deleted {
		if had, ok := m.objects[id]; ok && had.live.UID == step.Live.UID {
			m.remove(id)
		}
		return nil
	}
	if _, exists := m.objects[id]; exists && step.Action == engine.Created {
		return fmt.Errorf("%s exists already", id)
	}
	was := m.objects[id].live
	m.put(step.Want, Fleet)
	if step.Action == engine.Configured {
		m.edit(id, func(l *engine.Live) { l.UID, l.Pod, l.Keep = was.UID, was.Pod, was.Keep })
	}
	return nil
}

func (m *Memory) put(o *object.Object, fleet string) {
	if m.objects == nil {
		m.objects = map[object.ID]stored{}
	}
	m.objects[o.ID] = stored{fleet: fleet, live: m.born(engine.Live{
		ID: o.ID, Site: o.Site, Camera: o.Camera, Role: o.Role, Hash: o.Hash, Body: o.Body,
	})}
}

// Put puts an object of some fleet there, as if somebody else had.
func (m *Memory) Put(o object.Object, fleet string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(&o, fleet)
}

// Has tells whether there is an object of that ID, whoever's it is.
func (m *Memory) Has(id object.ID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.objects[id]
	return ok
}

// Calls is how many calls there were.
func (m *Memory) Calls() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls
}
