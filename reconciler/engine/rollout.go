package engine

import (
	"time"

	"camfleet.dev/compiler/object"
)

// Rollout remembers what a plan cannot see in a cluster: which Pods were
// replaced or healed, and when. It is kept in memory only. After a restart,
// turns go by the age of Pods, back-off begins anew, and Pods that did not come
// back before do not stop a rollout: there must be as many again.
//
// The zero value is ready. It belongs to one goroutine.
type Rollout struct {
	commit   string
	replaced map[object.ID]replaced
	healed   map[object.ID]healed
}

type replaced struct {
	at    time.Time
	ready bool // it was, when it was taken away
}

type healed struct {
	at    time.Time // the last time
	times int
}

// How often an object is healed at once, and the waits after that. Who stays
// well for calm has a clean record.
const (
	freeHeals = 3
	firstHeal = 10 * time.Second
	lastHeal  = 5 * time.Minute
	calm      = 10 * time.Minute
)

// Observe takes up what came of a plan.
func (r *Rollout) Observe(applied ChangeSet, now time.Time) {
	if r.replaced == nil || r.commit != applied.Commit {
		r.commit, r.replaced, r.healed = applied.Commit, map[object.ID]replaced{}, map[object.ID]healed{}
	}
	for i := range applied.Changes {
		c := &applied.Changes[i]
		if l := c.step.Live; l != nil && isCamera(l) && (c.Action == Replaced || c.Action == Failed && c.Tried == Replaced) {
			r.replaced[c.ID] = replaced{at: now, ready: l.Pod.Ready}
		}
		if c.heal && c.Action.effect() {
			h := r.healed[c.ID]
			if now.Sub(h.at) > calm {
				h.times = 0
			}
			r.healed[c.ID] = healed{at: now, times: h.times + 1}
		}
	}
}

// Options adds what the rollout knows to the options of the next plan.
func (r *Rollout) Options(o Options, live []Live) Options {
	o.Lost, o.Began = r.Lost(live, o.Now), map[object.ID]time.Time{}
	o.NotBefore, o.Heals = map[object.ID]time.Time{}, map[object.ID]int{}
	if o.Commit != r.commit {
		o.Lost = nil // of another commit, which Observe has not seen the end of
		return o
	}
	for id, b := range r.replaced {
		o.Began[id] = time.Time{}
		if b.ready {
			o.Began[id] = b.at
		}
	}
	for id, h := range r.healed {
		if h.times < freeHeals || o.Now.Sub(h.at) > calm {
			continue
		}
		wait := lastHeal
		if n := h.times - freeHeals; n < 5 {
			wait = min(lastHeal, firstHeal<<n)
		}
		o.NotBefore[id], o.Heals[id] = h.at.Add(wait), h.times
	}
	return o
}

// Lost are the Pods that the commit has replaced while they were ready, that had
// their turn, and that have not become ready since. It forgets who has.
func (r *Rollout) Lost(live []Live, now time.Time) map[object.ID]bool {
	away := map[object.ID]bool{}
	for i := range live {
		l := &live[i]
		b, ok := r.replaced[l.ID]
		switch {
		case !ok || l.Pod == nil:
		case l.Pod.Ready && l.Pod.Ending.IsZero() || now.Before(b.at):
			delete(r.replaced, l.ID)
		case !l.Pod.NodeGone.IsZero():
			away[l.ID] = true // that is not the commit's fault
		}
	}
	lost := map[object.ID]bool{}
	for id, b := range r.replaced {
		if b.ready && !away[id] && !now.Before(b.at.Add(turn)) {
			lost[id] = true
		}
	}
	return lost
}
