package reconciler

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
)

// job is one sync. What it depends on is fixed when it begins.
type job struct {
	loop      *loop // for what is safe in its own goroutine
	ctx       context.Context
	cancel    context.CancelFunc
	target    *target
	options   engine.Options
	suspended bool
	hands     hands  // what it has in its hands
	beside    bool   // others ran already when it began
	others    []*job // those, until it has looked at them: each would hold those before it, and their commits

	// sites are those that the target has something of, once it was listed.
	sites map[string]bool

	// Of the loop's goroutine.
	began       time.Time
	planned     bool
	interrupted bool
}

// hands are the objects that a sync has planned to change, and has not changed yet.
type hands struct {
	mu    sync.Mutex
	ids   map[object.ID]bool
	paced bool               // some of its steps took a turn, or delete
	turns map[object.ID]bool // what it has begun to replace
}

func (h *hands) take(set engine.ChangeSet) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ids, h.turns = map[object.ID]bool{}, map[object.ID]bool{}
	for _, c := range set.Changes {
		if _, ok := c.Step(); ok {
			h.ids[c.ID], h.turns[c.ID] = true, c.Action == engine.Replaced
			h.paced = h.paced || needsTurn(c)
		}
	}
}

func (h *hands) drop(id object.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.ids, id)
}

func (h *hands) now() (map[object.ID]bool, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.ids), h.paced
}

// gaveUp tells whether a turn is free that others wait for: who had it has failed,
// and is put off.
func (h *hands) gaveUp(set engine.ChangeSet) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	failed, waits := false, false
	for _, c := range set.Changes {
		failed = failed || c.Action == engine.Failed && h.turns[c.ID]
		waits = waits || c.InTurn()
	}
	return failed && waits
}

// needsTurn tells whether a change takes something away that may be in use:
// what was planned before counts for how many of these there may be.
func needsTurn(c engine.Change) bool {
	step, _ := c.Step()
	return c.Action == engine.Deleted || c.Action == engine.Replaced && (step.Live == nil || step.Live.Pod == nil || step.Live.Pod.Ready)
}

func (l *loop) newJob(now time.Time) *job {
	noted := l.book.now()
	j := &job{
		loop: l, target: l.target, began: now, suspended: noted.Suspended != nil,
		others: append([]*job(nil), l.jobs...),
		options: engine.Options{
			Commit: l.target.commit.Hash, Approved: noted.Approved, ApproveWith: l.ApproveWith, Base: noted.Base,
			Now: now, AtOnce: l.AtOnce, Good: l.target.good,
		},
	}
	j.beside = len(j.others) > 0
	j.ctx, j.cancel = context.WithCancel(l.ctx)
	j.options.PutOff, _ = l.troubles.putOff(now)
	return j
}

// run lists, plans and applies. It runs in its own goroutine.
func (j *job) run(ctx context.Context) func() {
	defer j.cancel()
	l := j.loop
	if j.target.plan == nil { // a broken fleet of which nothing else is known
		if !j.suspended {
			j.note(engine.ChangeSet{Commit: j.options.Commit, Base: j.options.Base}, nil)
		}
		return j.ended(func() { l.syncDone(j, engine.ChangeSet{Commit: j.options.Commit}) })
	}
	var busy []map[object.ID]bool
	paced := false
	for _, o := range j.others { // before List: what is done by then, List shows
		ids, p := o.hands.now()
		busy, paced = append(busy, ids), paced || p
	}
	j.others = nil
	live, err := l.Cluster.List(ctx, j.target.plan.Fleet.UID)
	if err != nil {
		return j.ended(func() { l.listFailed(j, fmt.Errorf("listing what is there: %w", err)) })
	}
	l.showListed()
	j.sites = map[string]bool{}
	for _, o := range live {
		j.sites[o.Site] = true
	}
	options := l.rollout.options(j.options, live)
	plan := engine.Plan(j.target.plan, live, options)
	j.leaveOut(plan.Changes, busy, paced)
	if j.suspended {
		return j.ended(func() { l.syncDone(j, plan) })
	}
	j.note(plan, options.Lost) // the base of what is held is noted before anything is added
	j.hands.take(plan)
	l.send(func() { l.showPlan(j, plan) })
	if l.Planned != nil {
		l.Planned(plan)
	}
	set := engine.Applier{Cluster: l.Cluster, Parallel: l.Parallel, Done: j.done}.Apply(ctx, plan)
	j.noteFleet(ctx, set)
	return j.ended(func() { l.syncDone(j, set) })
}

// ended is what the loop does when the job has ended.
func (j *job) ended(then func()) func() {
	l := j.loop
	return func() {
		for i, other := range l.jobs {
			if other == j {
				l.jobs = append(l.jobs[:i:i], l.jobs[i+1:]...)
				break
			}
		}
		if j.interrupted {
			l.sync.by(l.Clock.Now())
		}
		then()
	}
}

func (j *job) done(c engine.Change) {
	j.hands.drop(c.ID)
	if j.loop.Done != nil {
		j.loop.Done(c)
	}
}

// leaveOut takes out of a plan what another sync does, or keeps from being done
// for now. A camera that keeps its Pod keeps what the Pod runs with, too: a
// running worker would follow a new URL at once.
func (j *job) leaveOut(changes []engine.Change, busy []map[object.ID]bool, paced bool) {
	keeps := map[object.ID]string{} // what Pods run with, and why they keep it
	for i := range changes {
		c := &changes[i]
		if _, ok := c.Step(); !ok {
			continue
		}
		why := ""
		if paced && needsTurn(*c) {
			why = "other steps come first"
		}
		for _, ids := range busy {
			if ids[c.ID] {
				why = "it is being done"
			}
		}
		if why == "" {
			continue
		}
		if c.Kind == "Pod" && c.Action == engine.Replaced && needsTurn(*c) {
			keeps[object.ID{APIVersion: "v1", Kind: "ConfigMap", Namespace: c.Namespace, Name: c.Name}] = why
			keeps[object.ID{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy", Namespace: c.Namespace, Name: c.Name}] = why
		}
		c.Action, c.Tried, c.Reason = engine.Waiting, c.Action, why
	}
	for i := range changes {
		if c := &changes[i]; c.Action == engine.Configured && keeps[c.ID] != "" {
			c.Action, c.Tried, c.Reason = engine.Waiting, c.Action, "its Pod waits: "+keeps[c.ID]
		}
	}
}

// note writes down what must survive a crash, if that has changed: how many
// cameras there were when changes were held, and nothing any more when none are;
// and which Pods stopped a rollout.
func (j *job) note(set engine.ChangeSet, lost map[object.ID]bool) {
	held := len(only(set, engine.Held)) > 0
	err := j.loop.book.change(func(n *notes) {
		n.Base = 0
		if held {
			n.Base = set.Base
		}
		if n.Approved != set.Commit {
			n.Approved = "" // of a commit that is not the newest any more
		}
		n.Good, n.Last = j.target.hashes, set.Commit
		if j.target.plan != nil && n.Fleet == "" {
			n.Fleet = j.target.plan.Fleet.UID
		}
		n.Stopped = stoppedBy(set, lost)
	})
	if err != nil {
		j.loop.Log.Error("what must survive a crash cannot be noted", "error", err)
	}
}

// noteFleet notes another uid once the target is equal to a commit with it.
func (j *job) noteFleet(ctx context.Context, set engine.ChangeSet) {
	uid := j.target.plan.Fleet.UID
	if uid == j.loop.book.now().Fleet || ctx.Err() != nil || len(only(set, engine.Failed, engine.Held, engine.Waiting)) > 0 {
		return
	}
	if err := j.loop.book.change(func(n *notes) { n.Fleet = uid }); err != nil {
		j.loop.Log.Error("the fleet's uid cannot be noted", "error", err)
	}
}

// rollout is an engine.Rollout that several syncs may use.
type rollout struct {
	mu sync.Mutex
	engine.Rollout
}

func (r *rollout) options(o engine.Options, live []engine.Live) engine.Options {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Options(o, live)
}

func (r *rollout) restore(commit string, lost []object.ID, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Restore(commit, lost, now)
}

func (r *rollout) observe(set engine.ChangeSet, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Observe(set, now)
}
