package reconciler

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
	"camfleet.dev/reconciler/status"
)

// notes are what has to survive a crash.
type notes struct {
	// Approved is the commit whose held changes were approved.
	Approved string `json:"approved,omitempty"`
	// Base is engine.Options.Base, while something is held.
	Base int `json:"base,omitempty"`
	// Suspended says that nothing is applied, and why.
	Suspended *status.Suspension `json:"suspended,omitempty"`
	// Stopped is what stopped the rollout of a commit by itself.
	Stopped *stopped `json:"stopped,omitempty"`
	// Good are the commits in which sites were last right that are broken now.
	Good map[string]string `json:"good,omitempty"`
	// Last is the commit that the target follows, noted before it is applied:
	// what to go on with after a restart while a newer one is refused.
	Last string `json:"last,omitempty"`
	// Fleet is the uid of the fleet that was applied last without a failure.
	Fleet string `json:"fleet,omitempty"`
}

// stopped are the Pods that a commit has replaced, and that did not come back,
// as NAMESPACE/NAME: after a restart, nobody else knows of them.
type stopped struct {
	Commit string   `json:"commit"`
	Pods   []string `json:"pods"` // sorted
}

// stoppedBy is what stops a rollout, if it is: a replacement is held only then.
func stoppedBy(set engine.ChangeSet, lost map[object.ID]bool) *stopped {
	if !slices.ContainsFunc(set.Changes, func(c engine.Change) bool { return c.Action == engine.Held && c.Tried == engine.Replaced }) {
		return nil
	}
	s := &stopped{Commit: set.Commit}
	for id := range lost {
		s.Pods = append(s.Pods, id.Namespace+"/"+id.Name)
	}
	slices.Sort(s.Pods)
	return s
}

// lost are the Pods as objects.
func (s *stopped) lost() []object.ID {
	var all []object.ID
	for _, pod := range s.Pods {
		if namespace, name, ok := strings.Cut(pod, "/"); ok {
			all = append(all, object.ID{APIVersion: "v1", Kind: "Pod", Namespace: namespace, Name: name})
		}
	}
	return all
}

// notebook keeps the notes, on disk first. Writing may take its time: who only
// reads does not wait for it.
type notebook struct {
	disk    Notes
	writing sync.Mutex // one after the other
	unread  error      // why the notes could not be read; they are not overwritten then
	mu      sync.Mutex // of notes
	notes   notes
}

// read takes up what was noted. When it cannot be read, somebody may have
// suspended the fleet: so it is, until the notes can be read or somebody resumes.
func (b *notebook) read(now time.Time) error {
	b.writing.Lock()
	defer b.writing.Unlock()
	var n notes
	b.unread = nil
	if b.disk != nil {
		b.unread = b.disk.ReadNotes(&n)
	}
	if b.unread != nil {
		n = notes{Suspended: &status.Suspension{Since: now, Reason: "what was noted cannot be read, so that it may be suspended: " + b.unread.Error()}}
	}
	b.set(n)
	return b.unread
}

// now are the notes. They share nothing that is ever changed.
func (b *notebook) now() notes {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.notes
}

func (b *notebook) set(n notes) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.notes = n
}

// change changes the notes; what it does to them holds only if they are written.
func (b *notebook) change(edit func(*notes)) error {
	b.writing.Lock()
	defer b.writing.Unlock()
	if b.unread != nil {
		return fmt.Errorf("what was noted before cannot be read: %w", b.unread)
	}
	return b.write(edit)
}

// resume ends a suspension, and gives up notes that cannot be read.
func (b *notebook) resume() error {
	b.writing.Lock()
	defer b.writing.Unlock()
	if err := b.write(func(n *notes) { n.Suspended = nil }); err != nil {
		return err
	}
	b.unread = nil
	return nil
}

// write is change, for who holds writing.
func (b *notebook) write(edit func(*notes)) error {
	was := b.now()
	next := was
	next.Good = maps.Clone(was.Good)
	edit(&next)
	if len(next.Good) == 0 {
		next.Good = nil
	}
	if reflect.DeepEqual(next, was) {
		return nil
	}
	if b.disk != nil {
		if err := b.disk.WriteNotes(next); err != nil {
			return err
		}
	}
	b.set(next)
	return nil
}

func (l *loop) mayRead() bool { return !l.noted && !l.reading }

// readNotes reads the notes. Nothing is applied before: it may be suspended.
func (l *loop) readNotes() {
	l.reading = true
	l.child(l.ctx, func(context.Context) func() {
		err := l.book.read(l.Clock.Now())
		return func() { l.notesRead(err) }
	})
}

func (l *loop) notesRead(err error) {
	l.reading, l.noted = false, err == nil
	if err != nil {
		l.readTry.failed(l.Clock.Now(), retryFirst)
		l.Log.Error("what was noted cannot be read; nothing is applied until it can, or until somebody resumes", "error", err)
	}
	if s := l.book.now().Stopped; err == nil && s != nil {
		l.rollout.restore(s.Commit, s.lost(), l.Clock.Now())
	}
	l.showNotes()
	if l.target != nil { // it may lack what the notes tell of broken sites
		l.target = l.newTarget(l.target.commit, l.target.result)
		l.sync.by(l.Clock.Now())
	}
}

// minPrefix is how much of a commit's hash an approval must name.
const minPrefix = 7

// Errors of Approve.
var (
	ErrNotNewest   = errors.New("only the newest commit can be approved")
	ErrNothingHeld = errors.New("nothing is held")
)

// Approve lets the held changes of a commit happen: it deletes what it takes
// away, and goes on replacing where it had stopped, or would stop later: an
// approval is for all of a commit. The commit must be the
// newest one, by its hash or the beginning of it. It returns how many there are.
func (r *Reconciler) Approve(commit string) (int, error) {
	r.prepare()
	newest, held := r.heldNow()
	switch {
	case newest == "" || len(commit) < minPrefix || !strings.HasPrefix(newest, commit):
		return 0, fmt.Errorf("commit %q: %w, which is %s: look at camfleet status, and approve that one if it is right", commit, ErrNotNewest, short(newest))
	case held == 0:
		return 0, fmt.Errorf("commit %s: %w", short(newest), ErrNothingHeld)
	}
	if err := r.book.change(func(n *notes) { n.Approved = newest }); err != nil {
		return 0, fmt.Errorf("noting the approval: %w", err)
	}
	r.Log.Info("approved", "commit", short(newest), "changes", held)
	signal(r.poke)
	return held, nil
}

// Suspend stops applying and healing, until Resume. What is under way is
// interrupted; commits are still fetched and compiled, and the status says what
// they would do. It holds over a restart.
func (r *Reconciler) Suspend(reason string) error {
	r.prepare()
	now := r.Clock.Now()
	err := r.book.change(func(n *notes) {
		s := status.Suspension{Since: now, Reason: reason}
		if n.Suspended != nil {
			s.Since = n.Suspended.Since
		}
		n.Suspended = &s
	})
	if err != nil {
		return fmt.Errorf("noting that it is suspended: %w", err)
	}
	r.Log.Warn("suspended: nothing is applied or healed", "reason", reason)
	r.showNotes()
	signal(r.poke)
	return nil
}

// Resume ends what Suspend began. It is no error when nothing is suspended.
func (r *Reconciler) Resume() error {
	r.prepare()
	if r.book.now().Suspended == nil {
		return nil
	}
	if err := r.book.resume(); err != nil {
		return fmt.Errorf("noting that it goes on: %w", err)
	}
	r.Log.Info("resumed")
	r.showNotes()
	signal(r.poke)
	return nil
}
