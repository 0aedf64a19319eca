package reconciler

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
	"camfleet.dev/reconciler/source"
	"camfleet.dev/reconciler/status"
)

// maxChanges bounds the status: a first sync creates thousands of objects.
const maxChanges = 1000

// shown is what Status is made of. The loop writes it, anybody reads it.
type shown struct {
	run        int // goes up whenever what a run has shown is forgotten
	status     status.Status
	listed     bool               // the target, in this run
	unhealed   string             // why nothing is healed, although there was a commit before
	conditions []status.Condition // of the last Status
	// Of the teller's goroutine.
	told   []byte          // what was last published
	warned map[string]bool // what the target warned of then
}

// Status is how things are now.
func (r *Reconciler) Status() status.Status {
	r.prepare()
	for {
		r.mu.Lock()
		s, listed, run := r.shown.status, r.shown.listed, r.shown.run
		s.Problems, s.Warnings = slices.Clone(s.Problems), slices.Clone(s.Warnings)
		if r.shown.unhealed != "" {
			s.Warnings = append(s.Warnings, r.shown.unhealed)
		}
		r.mu.Unlock()
		now := r.Clock.Now()
		r.aboutTarget(&s, listed, now)
		s.State = state(s)
		if r.conclude(&s, run, now) {
			return s
		}
	}
}

// conclude adds the conditions, unless the run that is told of has ended
// meanwhile: its target may be closed, and then shows nothing of what is there.
func (r *Reconciler) conclude(s *status.Status, run int, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.shown.run != run {
		return false
	}
	s.Conditions = conditions(*s, r.shown.conditions, now)
	r.shown.conditions = s.Conditions
	return true
}

// aboutTarget adds what others know. What is observed of a cluster (which has
// nodes) means nothing before it was listed: nothing is there then.
func (r *Reconciler) aboutTarget(s *status.Status, listed bool, now time.Time) {
	seen := listed || r.Nodes == nil
	s.Cluster = r.ClusterName
	if r.Source != nil {
		s.Source = r.Source.String()
	}
	if r.Cameras != nil && seen {
		s.Cameras = r.Cameras()
	}
	if r.Warnings != nil {
		s.Warnings = append(s.Warnings, r.Warnings()...)
	}
	if r.Nodes != nil && seen {
		s.Nodes = r.Nodes()
	}
	if r.Health != nil && seen {
		s.Health = r.Health(now)
	}
	if s.Problems == nil {
		s.Problems = []object.Problem{}
	}
	if s.Cameras == nil {
		s.Cameras = []status.Camera{}
	}
}

func state(s status.Status) status.State {
	switch {
	case s.Suspended != nil:
		return status.Suspended
	case s.FetchError != "" || s.CompileError != "" || s.TargetError != "" || len(s.Failed) > 0:
		return status.Failing
	case len(s.Held) > 0 || s.Unverified != "":
		return status.Held
	case s.Commit == "":
		return status.Starting
	case len(s.Problems) > 0:
		return status.Broken
	case len(s.Waiting) > 0 || s.Pending != nil:
		return status.Waiting
	}
	return status.Synced
}

// shortcoming is why the target is not equal to the newest commit, or nil.
func (r *Reconciler) shortcoming(s status.Status) error {
	switch {
	case s.FetchError != "":
		return errors.New(s.FetchError)
	case s.CompileError != "":
		return errors.New(s.CompileError)
	case s.TargetError != "":
		return errors.New(s.TargetError)
	case s.Unverified != "":
		return errors.New(s.Unverified)
	case s.Suspended != nil:
		return fmt.Errorf("nothing was applied: it is suspended (%s)", s.Suspended.Reason)
	case len(s.Problems) > 0:
		return fmt.Errorf("the commit has %s; what is touched stays as it was", number(len(s.Problems), "problem"))
	case len(s.Failed) > 0:
		return fmt.Errorf("%s could not be applied", number(len(s.Failed), "object"))
	case len(s.Held) > 0:
		return fmt.Errorf("%s: %s %s", status.HeldWords(s.Held), cmp.Or(r.ApproveWith, "camfleet approve"), s.Commit)
	}
	return nil
}

// number is how many there are of something.
func number(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// showRun forgets what a run has shown: when the next one begins, that may have
// been long ago.
func (r *Reconciler) showRun() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shown.run++
	r.shown.status, r.shown.listed, r.shown.unhealed = status.Status{}, false, ""
}

// showListed shows the cameras of a target from its first List on.
func (r *Reconciler) showListed() {
	r.mu.Lock()
	first := !r.shown.listed
	r.shown.listed = true
	r.mu.Unlock()
	if first {
		r.publish()
	}
}

// showUnhealed shows why nothing is healed; "" is that something is.
func (r *Reconciler) showUnhealed(why string) {
	r.show(func(*status.Status) { r.shown.unhealed = why })
}

// show changes what Status is made of, and tells it.
func (r *Reconciler) show(change func(*status.Status)) {
	r.mu.Lock()
	change(&r.shown.status)
	r.mu.Unlock()
	r.publish()
}

// showFetch shows how a look at the source ended, and returns the error of the one before.
func (r *Reconciler) showFetch(now time.Time, err error) (was string) {
	r.show(func(s *status.Status) {
		was, s.FetchError, s.Unverified, s.Refused = cmp.Or(s.FetchError, s.Unverified), "", "", refused(err)
		if err == nil {
			r.shown.unhealed = ""
		}
		var unverified *source.UnverifiedError
		if errors.As(err, &unverified) { // it was fetched, and is held
			s.Unverified = err.Error()
		} else if err != nil {
			s.FetchError = err.Error()
		}
		if err == nil || answered(err) {
			s.Fetched = now
		}
	})
	return was
}

func (r *Reconciler) showCompile(err error) (was string) {
	r.show(func(s *status.Status) {
		was, s.CompileError = s.CompileError, ""
		if err != nil {
			s.CompileError = err.Error()
		}
	})
	return was
}

func (r *Reconciler) showNotes() {
	suspended := r.book.now().Suspended
	r.show(func(s *status.Status) {
		s.Suspended = suspended
		if suspended == nil {
			s.Pending = nil
		}
	})
}

func (r *Reconciler) showTargetError(t *target, err error) {
	suspended := r.book.now().Suspended != nil
	r.show(func(s *status.Status) {
		if !suspended {
			showCommit(s, t, nil)
		}
		s.TargetError = err.Error()
	})
}

// showSync shows what came of a sync. Only now does the status name its
// commit, so that whoever waits for a commit finds it live.
func (l *loop) showSync(j *job, set engine.ChangeSet, failed []engine.Change, now time.Time) {
	changed := set.Changed().Changes
	changed = changed[:min(len(changed), maxChanges)]
	summary := set.Summary()
	if j.target.result.Broken && len(effects(set)) == 0 {
		summary = "nothing was changed: the fleet has problems"
	}
	if j.suspended {
		if len(changed) == 0 {
			summary = "nothing to change"
		}
		l.show(func(s *status.Status) {
			s.TargetError = ""
			if s.Pending = nil; len(changed) > 0 || s.Commit != j.target.commit.Hash {
				s.Pending = pending(j.target, summary, changed)
			}
		})
		return
	}
	if j.beside && !l.shows(j.target) {
		return // the sync that brings this commit says when it is live
	}
	l.show(func(s *status.Status) {
		// In a cluster every sync is followed by one that sees what it did: the
		// summary stays that of the changes.
		if len(changed)+len(s.Held)+len(s.Waiting)+len(s.Failed) > 0 || s.Commit != j.target.commit.Hash || s.TargetError != "" {
			s.Summary = summary
		}
		showCommit(s, j.target, j.sites)
		s.TargetError = ""
		s.Held, s.Waiting, s.Failed = only(set, engine.Held), only(set, engine.Waiting), failed
		if len(effects(set))+len(only(set, engine.Failed)) > 0 {
			s.Changes = changed
		}
		if len(failed) == 0 && !j.target.result.Broken {
			s.Synced = now
		}
	})
}

// showPlan shows what a commit is about to change.
func (l *loop) showPlan(j *job, set engine.ChangeSet) {
	if j.planned = true; l.shows(j.target) || j.interrupted {
		return
	}
	changed := set.Changed().Changes
	l.show(func(s *status.Status) {
		s.Pending = pending(j.target, set.Summary(), changed[:min(len(changed), maxChanges)])
	})
}

func pending(t *target, summary string, changed []engine.Change) *status.Pending {
	return &status.Pending{
		Commit: t.commit.Hash, Time: t.commit.Time, Subject: t.commit.Subject, Summary: summary, Changes: changed, Problems: t.result.Problems,
	}
}

// shows tells whether the status names a target's commit already.
func (r *Reconciler) shows(t *target) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.shown.status.Commit == t.commit.Hash
}

// showCommit names a commit as the one that the target follows. sites are those
// that the target has something of, nil when nobody knows: others never were.
func showCommit(s *status.Status, t *target, sites map[string]bool) {
	s.Pending = nil
	s.Commit, s.Time, s.Subject = t.commit.Hash, t.commit.Time, t.commit.Subject
	s.Signer = t.commit.Signer
	s.Problems, s.Sites, s.Warnings = t.result.Problems, nil, nil
	for _, site := range t.result.Sites {
		s.Sites = append(s.Sites, status.Site{Name: site.Name, Broken: site.Broken, Cameras: len(site.Cameras)})
	}
	if t.was != "" {
		s.Warnings = append(s.Warnings, fmt.Sprintf("the uid in fleet.cue was changed from %s to %s: put it back; "+
			"what the fleet has belongs to the old uid, and is neither changed nor healed meanwhile", t.was, t.result.Fleet.UID))
	}
	for _, w := range t.result.Warnings {
		s.Warnings = append(s.Warnings, w.Error())
	}
	unknown := slices.DeleteFunc(slices.Clone(t.unknown), func(site string) bool { return sites != nil && !sites[site] })
	if len(unknown) > 0 {
		s.Warnings = append(s.Warnings, fmt.Sprintf(
			"it is not known how these broken sites last were: they are kept as they are, and not healed: %s", strings.Join(unknown, ", ")))
	}
}

// heldNow is the commit that may be approved, and how much of it is held.
func (r *Reconciler) heldNow() (string, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.shown.status.Commit, len(r.shown.status.Held)
}
