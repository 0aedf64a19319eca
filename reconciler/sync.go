package reconciler

import (
	"slices"
	"time"

	"camfleet.dev/reconciler/engine"
)

const (
	// The pause between two syncs because the target has changed: longer when a
	// sync takes longer, so that a storm of changes costs a fifth of a core.
	leastPause, mostPause = 200 * time.Millisecond, 800 * time.Millisecond
	pauseShare            = 4
	// besides is how long a sync is waited for before another one begins beside it.
	besides = 500 * time.Millisecond
	maxJobs = 8
)

// targetChanged plans again soon.
func (l *loop) targetChanged() {
	now := l.Clock.Now()
	pause := min(max(leastPause, pauseShare*l.took), mostPause)
	if at := l.began.Add(pause); at.After(now) && !at.After(now.Add(pause)) { // the clock may have been set
		now = at
	}
	l.sync.by(now)
}

// notesChanged plans again now. Nothing goes on that was suspended.
func (l *loop) notesChanged() {
	if l.book.now().Suspended != nil {
		l.interrupt()
	} else {
		l.noted = true // who resumes does without notes that cannot be read
	}
	l.listTry.at = time.Time{}
	l.sync.by(l.Clock.Now())
}

// interrupt ends the syncs that are under way.
func (l *loop) interrupt() {
	for _, j := range l.jobs {
		j.interrupted = true
		j.cancel()
	}
}

// nextSync is when a sync may begin, if one is wanted. One that takes longer,
// because Pods end or claims are made, does not keep healing back: another
// one may run beside it, and takes nothing that is in the first one's hands.
func (l *loop) nextSync() (time.Time, bool) {
	if read := l.noted || l.readTry.failures > 0; !read || l.target == nil || !l.sync.set || len(l.jobs) == maxJobs {
		return time.Time{}, false
	}
	at := l.sync.at
	if l.listTry.at.After(at) {
		at = l.listTry.at
	}
	for _, j := range l.jobs {
		if j.interrupted || !j.planned {
			return time.Time{}, false // its end, or its plan, comes first
		}
		if free := j.began.Add(besides); free.After(at) {
			at = free
		}
	}
	return at, true
}

func (l *loop) startSync() {
	now := l.Clock.Now()
	l.sync, l.began = alarm{}, now
	j := l.newJob(now)
	l.overlaps = l.overlaps || len(l.jobs) > 0
	l.jobs = append(l.jobs, j)
	l.child(j.ctx, j.run)
}

// listFailed puts off a sync that could not even begin.
func (l *loop) listFailed(j *job, err error) {
	if j.interrupted {
		return
	}
	l.Log.Error("the target cannot be read; it is tried again", "error", err)
	now := l.Clock.Now()
	l.listTry.failed(now, retryFirst)
	l.failed = true
	l.metrics.listFailed()
	l.showTargetError(j.target, err)
	l.sync.by(l.listTry.at)
}

// syncDone takes up what came of a sync.
func (l *loop) syncDone(j *job, set engine.ChangeSet) {
	now := l.Clock.Now()
	l.took, l.listTry = now.Sub(j.began), retry{}
	var healed []engine.Change
	if !j.suspended {
		healed = l.learn(j, set, now)
	}
	if j.interrupted { // another one begins at once, and says how things are
		set.Changes = effects(set)
		l.tell(set, healed)
		return
	}
	if j.suspended {
		l.metrics.planned(set)
	} else {
		l.metrics.synced(now, set, l.took, len(healed))
	}
	_, first := l.troubles.putOff(now)
	failed := l.failures(set)
	l.failed = len(failed) > 0 && !slices.ContainsFunc(set.Changes, engine.Change.InTurn)
	if !j.suspended {
		l.plannedNext(now, first, set.Again)
		if j.hands.gaveUp(set) {
			l.sync.by(now)
		}
	}
	if j.beside && len(effects(set))+len(only(set, engine.Failed)) == 0 {
		return // it found nothing to do beside the others, who will say how things are
	}
	l.showSync(j, set, failed, now)
	if !j.suspended {
		l.tell(set, healed)
	}
}

// plannedNext sets the alarm for what waits.
func (l *loop) plannedNext(now time.Time, tries alarm, again time.Time) {
	if tries.set {
		l.sync.by(tries.at)
	}
	if !again.IsZero() {
		l.sync.by(later(again, now))
	}
	if l.overlaps && len(l.jobs) == 0 {
		l.overlaps = false
		l.sync.by(now)
	}
}

// later is when to plan again: soon, so that a time that has passed does not
// turn the loop in circles, and not too late, whatever another clock says.
func later(at, now time.Time) time.Time {
	return now.Add(min(max(at.Sub(now), leastPause), retryMost))
}

// learn remembers what was right, what failed and what had to be healed, and
// returns the last.
func (l *loop) learn(j *job, set engine.ChangeSet, now time.Time) []engine.Change {
	l.rollout.observe(set, now)
	if j.target.commit != l.target.commit {
		return nil
	}
	var healed []engine.Change
	for _, c := range set.Changes {
		switch c.Action {
		case engine.Created, engine.Configured, engine.Replaced:
			if l.right[c.ID] && !(c.Action == engine.Replaced && needsTurn(c)) {
				healed = append(healed, c)
				if c.Kind != "Pod" || c.Action == engine.Configured { // the rollout puts Pods off that are made anew
					l.troubles.healed(c.Try(), now)
				}
			}
			l.right[c.ID] = true
			l.troubles.applied(c.ID, now)
		case engine.Unchanged:
			l.right[c.ID] = true
			l.troubles.applied(c.ID, now)
		case engine.Deleted:
			delete(l.right, c.ID)
		}
	}
	if !j.interrupted {
		l.troubles.failed(only(set, engine.Failed), len(effects(set)), now)
	}
	return healed
}

// failures are the changes that failed: in this sync, or before and now put off.
func (l *loop) failures(set engine.ChangeSet) []engine.Change {
	var out []engine.Change
	for _, c := range set.Changes {
		if c.Action == engine.Failed {
			out = append(out, c)
		} else if before, ok := l.troubles.failedBefore(c); ok {
			out = append(out, before)
		}
	}
	return out
}

// only are the changes of some actions.
func only(set engine.ChangeSet, actions ...engine.Action) []engine.Change {
	var out []engine.Change
	for _, c := range set.Changes {
		for _, a := range actions {
			if c.Action == a {
				out = append(out, c)
			}
		}
	}
	return out
}

func effects(set engine.ChangeSet) []engine.Change {
	return only(set, engine.Created, engine.Configured, engine.Replaced, engine.Deleted)
}
