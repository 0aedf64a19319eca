package engine

import (
	"maps"
	"time"

	"camfleet.dev/compiler/object"
)

// Rollout remembers what a plan cannot see in a cluster: which Pods were
// replaced or healed, and when. It is kept in memory only. After a restart,
// turns go by the age of Pods, and back-off begins anew. A rollout that had
// stopped stays so if somebody kept what was Lost then (Restore); Pods that were
// too few to stop it are forgotten.
//
// The zero value is ready. It belongs to one goroutine.
type Rollout struct {
	commit string
	turns  map[object.ID]Turn
	healed map[object.ID]healed
	done   map[object.ID]bool // Pods that the commit has replaced
}

// Turn is a Pod that was replaced.
type Turn struct {
	Began  time.Time // by the clock of Options.Now
	Node   string    // where it was
	Free   bool      // it was not ready then: nothing was lost, and it takes no turn
	ready  bool      // it was, then
	uid    string    // of the old Pod
	commit string
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
	if r.turns == nil {
		r.turns = map[object.ID]Turn{}
	}
	if r.healed == nil || r.commit != applied.Commit {
		r.commit, r.healed, r.done = applied.Commit, map[object.ID]healed{}, map[object.ID]bool{}
	}
	for i := range applied.Changes {
		c := &applied.Changes[i]
		if l := c.step.Live; l != nil && isCamera(l) && (c.Action == Replaced || c.Action == Failed && c.Tried == Replaced) {
			r.replaced(l, applied.Commit, now)
		}
		// Who replaces for the same commit what it has replaced already, heals:
		// somebody changes the Pod, or what it says of itself, again and again.
		again := c.Action == Replaced && !c.step.Fenced && r.done[c.ID]
		if c.Action == Replaced {
			r.done[c.ID] = true
		}
		if again || c.heal && c.Action.effect() {
			h := r.healed[c.ID]
			if now.Sub(h.at) > calm {
				h.times = 0
			}
			r.healed[c.ID] = healed{at: now, times: h.times + 1}
		}
	}
}

// replaced notes a turn. Who is replaced again before it is ready is still in
// the first one, also when that began before we did.
func (r *Rollout) replaced(l *Live, commit string, now time.Time) {
	t := Turn{Began: now, Node: l.Pod.Node, ready: l.Pod.Ready, uid: l.UID, commit: commit}
	if had, ok := r.turns[l.ID]; ok && !had.Free && !t.ready {
		return
	} else if !t.ready {
		t.Began, t.Free = l.Pod.Created, ok || !now.Before(l.Pod.Created.Add(turn))
	}
	r.turns[l.ID] = t
}

// Options adds what the rollout knows to the options of the next plan.
func (r *Rollout) Options(o Options, live []Live) Options {
	o.Lost = r.Lost(live, o.Now)
	o.Turns = maps.Clone(r.turns)
	o.NotBefore, o.Heals = map[object.ID]time.Time{}, map[object.ID]int{}
	if o.Commit != r.commit {
		o.Lost = nil
		return o
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

// Restore takes up what stopped a commit's rollout before a restart: Pods that it
// had replaced, that had their turn, and that were not back yet (Lost).
func (r *Rollout) Restore(commit string, lost []object.ID, now time.Time) {
	r.commit, r.healed, r.done, r.turns = commit, map[object.ID]healed{}, map[object.ID]bool{}, map[object.ID]Turn{}
	for _, id := range lost {
		r.turns[id] = Turn{Began: now.Add(-turn), ready: true, commit: commit}
	}
}

// Lost are the Pods that the commit has replaced while they were ready, that had
// their turn, and that have not become ready since. It forgets who has.
func (r *Rollout) Lost(live []Live, now time.Time) map[object.ID]bool {
	away := map[object.ID]bool{}
	for i := range live {
		l := &live[i]
		had, ok := r.turns[l.ID]
		switch {
		case !ok || l.Pod == nil:
		case l.Pod.Ready && l.Pod.Ending.IsZero() || now.Before(had.Began):
			delete(r.turns, l.ID)
		case had.uid != "" && had.uid == l.UID && l.Pod.Ending.IsZero():
			delete(r.turns, l.ID) // it was refused, and is the old one
		case !l.Pod.NodeGone.IsZero():
			away[l.ID] = true // that is not the commit's fault
		}
	}
	lost := map[object.ID]bool{}
	for id, had := range r.turns {
		switch over := !now.Before(had.Began.Add(turn)); {
		case over && had.commit != r.commit:
			delete(r.turns, id)
		case over && had.ready && !away[id]:
			lost[id] = true
		}
	}
	return lost
}
