package enginetest

import (
	"errors"
	"fmt"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
)

// refuse says what a Kubernetes cluster would not do, or not do yet.
func (m *Memory) refuse(step engine.Step) error {
	if m.Clock == nil || step.ID().Kind != "Pod" {
		return nil
	}
	id := step.ID()
	config := object.ID{APIVersion: "v1", Kind: "ConfigMap", Namespace: id.Namespace, Name: id.Name}
	if _, ok := m.objects[config]; !ok && step.Action != engine.Deleted && step.Want.Role == object.RoleCamera {
		return fmt.Errorf("its owner, %s, is not there", config)
	}
	had, ok := m.objects[id]
	if !ok || step.Action == engine.Created || step.Action == engine.Configured {
		return nil
	}
	switch p := had.live.Pod; {
	case step.Action == engine.Replaced && had.live.UID != step.Live.UID:
		return errors.New("that is another Pod by now")
	case !p.NodeGone.IsZero() && p.Phase == "Running" && !step.Fenced:
		return errors.New("it was asked to go, and is still there: its node may be away")
	}
	return nil
}

// born gives a new object what a cluster gives it.
func (m *Memory) born(l engine.Live) engine.Live {
	if m.Clock == nil {
		return l
	}
	m.made++
	l.UID = fmt.Sprint(m.made)
	if l.Kind == "Pod" {
		l.Pod = &engine.Pod{Phase: "Pending", Created: m.Clock()}
	}
	return l
}

// remove takes an object away, and the Pod that it owns.
func (m *Memory) remove(id object.ID) {
	delete(m.objects, id)
	if m.Clock != nil && id.Kind == "ConfigMap" {
		delete(m.objects, object.ID{APIVersion: "v1", Kind: "Pod", Namespace: id.Namespace, Name: id.Name})
	}
}

// Remove deletes an object, as somebody with kubectl would.
func (m *Memory) Remove(id object.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.remove(id)
}

// Edit changes what is live, as somebody else would. It tells whether it is there.
func (m *Memory) Edit(id object.ID, edit func(*engine.Live)) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.edit(id, edit)
}

func (m *Memory) edit(id object.ID, edit func(*engine.Live)) bool {
	s, ok := m.objects[id]
	if ok {
		edit(&s.live)
		m.objects[id] = s
	}
	return ok
}
