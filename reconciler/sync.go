package reconciler

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"camfleet.dev/reconciler/engine"
	"camfleet.dev/reconciler/status"
)

// sync makes the target equal to the compiled commit. The loop's goroutine
// calls it.
func (r *Reconciler) sync(ctx context.Context) {
	r.mu.Lock()
	r.dirty = false // an approval from here on makes it true again
	noted := r.notes
	r.mu.Unlock()
	set := engine.ChangeSet{Commit: r.commit.Hash}
	if !r.result.Broken {
		live, err := r.Cluster.List(ctx, r.result.Fleet.UID)
		if err != nil {
			r.put(ctx, fmt.Errorf("listing what is there: %w", err))
			return
		}
		plan := engine.Plan(r.result, live, engine.Options{
			Commit: r.commit.Hash, Approved: noted.Approved, ApproveWith: r.ApproveWith, Base: noted.Base,
		})
		r.note(plan) // the base of what is held is noted before anything is added
		set = engine.Applier{Cluster: r.Cluster, Parallel: r.Parallel}.Apply(ctx, plan)
	}
	r.done(ctx, set)
}

// put puts a sync off that could not even begin.
func (r *Reconciler) put(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	r.Log.Error("the target cannot be read; it is tried again", "error", err)
	r.syncer.failed(r.Clock.Now(), retryFirst)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.publish()
	r.dirty = true
	r.status.TargetError = err.Error()
}

// note writes down what must survive a crash, if that has changed: how many
// cameras there were when deletions were held, and nothing any more when none are.
func (r *Reconciler) note(set engine.ChangeSet) {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := r.notes
	next.Base = 0
	if len(set.Waiting()) > 0 {
		next.Base = set.Base
	}
	if next.Approved != "" && next.Approved != set.Commit {
		next.Approved = "" // of a commit that is not the newest any more
	}
	if err := r.write(next); err != nil {
		r.Log.Error("what must survive a crash cannot be noted", "error", err)
	}
}

// write keeps next, on disk first. The caller holds mu.
func (r *Reconciler) write(next notes) error {
	if next == r.notes {
		return nil
	}
	if r.Notes != nil {
		if err := r.Notes.WriteNotes(next); err != nil {
			return err
		}
	}
	r.notes = next
	return nil
}

// maxChanges bounds the status: a first sync creates thousands of objects.
const maxChanges = 1000

// publish shows the compiled commit in the status: once it is applied, so that
// whoever waits for a commit finds it live. The caller holds mu.
func (r *Reconciler) publish() {
	s := &r.status
	s.Commit, s.Time, s.Subject = r.commit.Hash, r.commit.Time, r.commit.Subject
	s.Problems, s.Sites, s.Warnings = r.result.Problems, nil, nil
	for _, site := range r.result.Sites {
		s.Sites = append(s.Sites, status.Site{Name: site.Name, Broken: site.Broken, Cameras: len(site.Cameras)})
	}
	for _, w := range r.result.Warnings {
		s.Warnings = append(s.Warnings, w.Error())
	}
}

// done takes up what came of a sync.
func (r *Reconciler) done(ctx context.Context, set engine.ChangeSet) {
	failed := slices.DeleteFunc(slices.Clone(set.Changes), func(c engine.Change) bool { return c.Action != engine.Failed })
	changed := set.Changed()
	now := r.Clock.Now()
	r.mu.Lock()
	r.publish()
	r.status.TargetError = ""
	r.status.Held, r.status.Failed, r.status.Summary = set.Waiting(), failed, set.Summary()
	if r.result.Broken {
		r.status.Summary = "nothing was changed: the fleet has problems"
	}
	if n := len(changed.Changes); n > 0 {
		r.status.Changes = changed.Changes[:min(n, maxChanges)]
	}
	if len(failed) > 0 {
		r.dirty = true
	} else if !r.result.Broken {
		r.status.Synced = now
	}
	r.mu.Unlock()
	if len(failed) > 0 {
		r.syncer.failed(now, retryFirst)
	} else {
		r.syncer = retry{}
	}
	if ctx.Err() != nil {
		return
	}
	r.tell(set)
	if r.Synced != nil && len(changed.Changes) > 0 {
		r.Synced(set)
	}
}

func (r *Reconciler) tell(set engine.ChangeSet) {
	held := map[string]int{} // by reason
	for _, c := range set.Changes {
		switch c.Action {
		case engine.Failed:
			r.Log.Error("not applied; it is tried again", "object", c.ID, "site", c.Site, "camera", c.Camera, "tried", c.Tried, "reason", c.Reason)
		case engine.Held:
			held[c.Reason]++
		case engine.Unchanged:
		default:
			r.Log.Debug(string(c.Action), "object", c.ID, "site", c.Site, "camera", c.Camera, "reason", c.Reason)
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(held)) {
		r.Log.Warn("deletions are held", "objects", held[reason], "reason", reason)
	}
	r.Log.Info("synced", "commit", short(set.Commit), "summary", set.Summary())
}

// Wake makes the loop look at its source now.
func (r *Reconciler) Wake() {
	r.mu.Lock()
	wake := r.wake
	r.mu.Unlock()
	if wake == nil {
		return // not running yet: it begins by looking
	}
	select {
	case wake <- struct{}{}:
	default:
	}
}

// minPrefix is how much of a commit's hash an approval must name.
const minPrefix = 7

// Errors of Approve.
var (
	ErrNotNewest   = errors.New("only the newest commit can be approved")
	ErrNothingHeld = errors.New("nothing is held")
)

// Approve lets the held deletions of a commit happen. The commit must be the
// newest one, by its hash or the beginning of it. It returns how many there are.
func (r *Reconciler) Approve(commit string) (int, error) {
	r.mu.Lock()
	newest, held := r.status.Commit, len(r.status.Held)
	switch {
	case newest == "" || len(commit) < minPrefix || !strings.HasPrefix(newest, commit):
		r.mu.Unlock()
		return 0, fmt.Errorf("commit %q: %w, which is %s: look at camfleet status, and approve that one if it is right", commit, ErrNotNewest, short(newest))
	case held == 0:
		r.mu.Unlock()
		return 0, fmt.Errorf("commit %s: %w", short(newest), ErrNothingHeld)
	}
	next := r.notes
	next.Approved = newest
	err := r.write(next)
	r.dirty = r.dirty || err == nil
	r.mu.Unlock()
	if err != nil {
		return 0, fmt.Errorf("noting the approval: %w", err)
	}
	r.Log.Info("approved", "commit", short(newest), "deletions", held)
	r.Wake()
	return held, nil
}
