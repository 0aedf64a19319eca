package engine

import (
	"slices"
	"time"

	"camfleet.dev/compiler/object"
)

// Try is what is tried with an object, as far as back-off is concerned: that a
// Pod which records cannot be replaced says nothing of whether one can be made
// after somebody has deleted it.
type Try struct {
	object.ID
	// Back means to bring back what is not there: an object that is missing,
	// or a camera's Pod that does not record.
	Back bool
}

// Try says what a change tries, or would try.
func (c Change) Try() Try {
	live := c.step.Live
	back := c.step.Want != nil && (live == nil || isCamera(live) && (live.Pod.ended() || !live.Pod.Ready))
	return Try{c.ID, back}
}

// PutOff is what somebody tried in vain, or again and again.
type PutOff struct {
	// Until is when it may be tried again. Who was put off comes after who was
	// not when turns are given, also when that time has passed.
	Until time.Time
	// Failed means that the last try failed; else it was put back too often.
	Failed bool
}

func (x PutOff) reason(c Change) string {
	if x.Failed {
		return "it failed; the next try is at " + clockTime(x.Until)
	}
	return c.Reason + "; it was put back again and again, the next time is at " + clockTime(x.Until)
}

// putOffs lets wait what failed, and what needs that. It comes before turns are
// given: who waits for another reason must not take one.
func (p *planner) putOffs() {
	for i := range p.changes {
		c := &p.changes[i]
		if !c.Action.effect() {
			continue
		}
		if x := p.options.PutOff[c.Try()]; x.Until.After(p.options.Now) {
			*c = c.wait(x.reason(*c))
		}
	}
	for i := range p.changes {
		c := &p.changes[i]
		if c.Kind != "Pod" {
			continue
		}
		if c.Action == Replaced {
			p.needsConfig(c)
		}
		if c.Action == Waiting && c.Tried == Replaced && c.goesOn() {
			p.keepsConfig(c.ID, Waiting, "its Pod waits: "+c.Reason)
		}
	}
}

// needsConfig stops a Pod whose configuration is put off, or cannot be applied.
func (p *planner) needsConfig(c *Change) {
	config := p.find(configOf(c.ID))
	switch {
	case config == nil:
	case config.Action == Failed:
		*c = c.failed()
		c.Reason = "not tried: its configuration could not be applied: " + config.Reason
	case config.Action == Waiting:
		*c = c.wait("its configuration waits: " + config.Reason)
	}
}

// goesOn tells whether the Pod that a change would replace runs until then.
func (c Change) goesOn() bool {
	l := c.step.Live
	return l != nil && (l.Pod == nil || !l.Pod.ended() && l.Pod.Ending.IsZero() && l.Pod.NodeGone.IsZero())
}

// find is the planned change of an object, or nil.
func (p *planner) find(id object.ID) *Change {
	i, ok := slices.BinarySearchFunc(p.changes, id, func(c Change, id object.ID) int { return c.ID.Compare(id) })
	if !ok {
		return nil
	}
	return &p.changes[i]
}

// needs are what a camera's Pod runs with.
func needs(pod object.ID) []object.ID {
	config := configOf(pod)
	return []object.ID{config, {APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy", Namespace: config.Namespace, Name: config.Name}}
}

// keepsConfig lets what a camera's Pod runs with wait as the Pod does. A worker
// connects to a new URL as soon as it reads it: without this, a wrong one would
// be everywhere in a minute, whatever the pace, and whatever the API server says
// of the Pod.
func (p *planner) keepsConfig(pod object.ID, as Action, why string) {
	for _, id := range needs(pod) {
		if c := p.find(id); c != nil && c.movesCamera() {
			c.Action, c.Tried, c.Reason = as, Configured, why
		}
	}
}

// movesCamera tells whether a change of what a camera's Pod runs with is one that
// needs a new Pod, too. The rest of camera.json is read again by the worker.
func (c Change) movesCamera() bool {
	if c.Action != Configured {
		return false
	}
	return c.Kind != "ConfigMap" || len(restarting(changedFields(c.step.Live.Body, c.step.Want.Body))) > 0
}

// inTurn are the changes that darken a camera, in the order in which they get
// their turns: whoever failed comes last, so that nobody waits for it again and again.
func (p *planner) inTurn() []*Change {
	var out []*Change
	for i := range p.changes {
		if p.changes[i].darkens() {
			out = append(out, &p.changes[i])
		}
	}
	slices.SortStableFunc(out, func(a, b *Change) int {
		x, y := p.options.PutOff[a.Try()], p.options.PutOff[b.Try()]
		return x.Until.Compare(y.Until)
	})
	return out
}
