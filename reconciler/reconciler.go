// Package reconciler keeps a target (this machine, or a cluster) equal to the
// newest commit of a fleet's repository:
//
//	Source.Fetch ─► Compile ─► engine.Plan ─► engine.Applier ─► Cluster
//	     ▲                                                         │
//	     └── poll, with jitter and back-off         Status ◄───────┘
//
// A fetch or a compilation that fails changes nothing. The newest commit wins;
// what could not be applied is tried again.
package reconciler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
	"camfleet.dev/reconciler/internal/clock"
	"camfleet.dev/reconciler/source"
	"camfleet.dev/reconciler/status"
)

// Source is where commits come from.
type Source interface {
	// Fetch returns the newest commit, or nil when that is still the commit have.
	Fetch(ctx context.Context, have string) (*source.Commit, error)
	// String is its address, fit to be shown to anybody.
	String() string
}

// Notes is what a reconciler remembers over a crash.
type Notes interface {
	// ReadNotes leaves notes as they are when there are none.
	ReadNotes(notes any) error
	WriteNotes(notes any) error
}

// Reconciler is the loop. Its exported fields are set before Run or Once, and
// not changed afterwards.
type Reconciler struct {
	Source  Source
	Compile func(ctx context.Context, files fs.FS) (*object.Result, error)
	Cluster engine.Cluster
	Notes   Notes
	// Interval is how often the source is asked; 0 means 15 s.
	Interval time.Duration
	// Parallel is how many objects may be applied at once; 0 means 8.
	Parallel int
	// Cameras and Warnings tell about the target, for Status; both may be nil.
	Cameras  func() []status.Camera
	Warnings func() []string
	// Synced, if set, is told of every sync that had something to do.
	Synced func(engine.ChangeSet)
	// ApproveWith is engine.Options.ApproveWith.
	ApproveWith string
	Log         *slog.Logger
	// Clock is for tests; nil means the machine's.
	Clock clock.Clock

	// Of the loop's goroutine.
	commit                  *source.Commit
	result                  *object.Result // of commit; nil until it is compiled
	poll, compiling, syncer retry

	wake chan struct{}

	mu      sync.Mutex // of what follows
	status  status.Status
	refused []object.Problem // why the newest commit was not even read
	notes   notes
	dirty   bool // there is something to sync
}

// notes are what has to survive a crash.
type notes struct {
	// Approved is the commit whose held deletions were approved.
	Approved string `json:"approved,omitempty"`
	// Base is engine.Options.Base, while something is held.
	Base int `json:"base,omitempty"`
}

const (
	defaultInterval = 15 * time.Second
	defaultParallel = 8
	fetchTimeout    = 2 * time.Minute
	retryFirst      = time.Second
	retryDoublings  = 4 // 1 s becomes 16 s, 15 s become 4 min
	retryMost       = 5 * time.Minute
	jitter          = 0.1
)

// retry is when something is tried next.
type retry struct {
	failures int
	at       time.Time
}

// failed puts it off, longer each time.
func (r *retry) failed(now time.Time, first time.Duration) {
	wait := first << min(r.failures, retryDoublings)
	r.failures++
	wait = max(first, min(wait, retryMost))
	r.at = now.Add(shake(wait))
}

// shake spreads waiting times: d, give or take a tenth.
func shake(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (1 - jitter + 2*jitter*rand.Float64()))
}

// early is d, less up to a tenth: a poll is never later than was asked for.
func early(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (1 - jitter*rand.Float64()))
}

// Run reconciles until ctx ends.
func (r *Reconciler) Run(ctx context.Context) error {
	r.prepare()
	for {
		r.round(ctx)
		if ctx.Err() != nil {
			return nil
		}
		timer, stop := r.Clock.After(r.next().Sub(r.Clock.Now()))
		select {
		case <-ctx.Done():
		case <-timer:
		case <-r.wake:
			r.poll.at, r.syncer.at = time.Time{}, time.Time{}
		}
		stop()
	}
}

// Once reconciles one time, and returns what came of it. The error says why
// the target is not equal to the newest commit, if it is not.
func (r *Reconciler) Once(ctx context.Context) (status.Status, error) {
	r.prepare()
	r.round(ctx)
	s := r.Status()
	switch {
	case ctx.Err() != nil:
		return s, ctx.Err()
	case s.FetchError != "":
		return s, errors.New(s.FetchError)
	case s.CompileError != "":
		return s, errors.New(s.CompileError)
	case s.TargetError != "":
		return s, errors.New(s.TargetError)
	case len(s.Problems) > 0:
		return s, fmt.Errorf("the commit has %d problems; what they touch stays as it was", len(s.Problems))
	case len(s.Failed) > 0:
		return s, fmt.Errorf("%d objects could not be applied", len(s.Failed))
	case len(s.Held) > 0:
		return s, fmt.Errorf("%d deletions wait for: %s %s", len(s.Held), cmp.Or(r.ApproveWith, "camfleet approve"), s.Commit)
	}
	return s, nil
}

func (r *Reconciler) prepare() {
	if r.Interval <= 0 {
		r.Interval = defaultInterval
	}
	if r.Parallel <= 0 {
		r.Parallel = defaultParallel
	}
	if r.Clock == nil {
		r.Clock = clock.Real{}
	}
	if r.Log == nil {
		r.Log = slog.New(slog.DiscardHandler)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wake == nil {
		r.wake = make(chan struct{}, 1)
	}
	if r.Notes == nil {
		return
	}
	if err := r.Notes.ReadNotes(&r.notes); err != nil {
		r.notes = notes{} // nothing is approved: that is the safe side
		r.Log.Error("what was noted cannot be read; held deletions must be approved again", "error", err)
	}
}

// next is when the loop has something to do.
func (r *Reconciler) next() time.Time {
	at := r.poll.at
	if r.commit != nil && r.result == nil && r.compiling.at.Before(at) {
		at = r.compiling.at
	}
	if r.isDirty() && r.result != nil && r.syncer.at.Before(at) {
		at = r.syncer.at
	}
	return at
}

// round does everything that is due.
func (r *Reconciler) round(ctx context.Context) {
	if !r.poll.at.After(r.Clock.Now()) {
		r.fetch(ctx)
	}
	if r.commit != nil && r.result == nil && !r.compiling.at.After(r.Clock.Now()) {
		r.compile(ctx)
	}
	if r.result != nil && r.isDirty() && !r.syncer.at.After(r.Clock.Now()) {
		r.sync(ctx)
	}
}

func (r *Reconciler) fetch(ctx context.Context) {
	have := ""
	if r.commit != nil {
		have = r.commit.Hash
	}
	timed, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	c, err := r.Source.Fetch(timed, have)
	if ctx.Err() != nil {
		return
	}
	now := r.Clock.Now()
	r.mu.Lock()
	was := r.status.FetchError
	r.status.FetchError, r.refused = "", refused(err)
	if err != nil {
		r.status.FetchError = err.Error()
	} else {
		r.status.Fetched = now
	}
	r.mu.Unlock()
	if err != nil {
		r.poll.failed(now, r.Interval)
		if was != err.Error() {
			r.Log.Error("the repository cannot be read; everything stays as it is", "error", err)
		}
		return
	}
	r.poll = retry{at: now.Add(early(r.Interval))}
	if was != "" {
		r.Log.Info("the repository can be read again")
	}
	if c != nil {
		r.commit, r.result, r.compiling, r.syncer = c, nil, retry{}, retry{}
		r.Log.Info("a new commit", "commit", short(c.Hash), "subject", c.Subject)
	}
}

// refused are the problems of a commit that the source refuses as a whole.
func refused(err error) []object.Problem {
	var refusal *source.RefusedError
	if !errors.As(err, &refusal) {
		return nil
	}
	var problems []object.Problem
	for _, f := range refusal.Files {
		problems = append(problems, object.Problem{Position: object.Position{File: f.File}, Message: f.Why})
	}
	return problems
}

func (r *Reconciler) compile(ctx context.Context) {
	began := r.Clock.Now()
	result, err := r.Compile(ctx, r.commit.FS)
	if ctx.Err() != nil {
		return
	}
	now := r.Clock.Now()
	hash := short(r.commit.Hash)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.compiling.failed(now, retryFirst)
		if r.status.CompileError != err.Error() {
			r.Log.Error("the commit cannot be compiled; everything stays as it is", "commit", hash, "error", err)
		}
		r.status.CompileError = err.Error()
		return
	}
	r.result, r.dirty, r.status.CompileError = result, true, ""
	for _, p := range result.Problems {
		r.Log.Error("a problem in the commit; what it touches stays as it is", "commit", hash, "problem", p.Error())
	}
	for _, w := range result.Warnings {
		r.Log.Warn("a warning for the commit", "commit", hash, "warning", w.Error())
	}
	r.Log.Info("compiled", "commit", hash, "objects", len(result.Objects), "problems", len(result.Problems),
		"took", now.Sub(began).Round(time.Millisecond))
}

func (r *Reconciler) isDirty() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dirty
}

// Status is how things are now.
func (r *Reconciler) Status() status.Status {
	r.mu.Lock()
	s := r.status
	s.Problems, s.Warnings = slices.Clone(s.Problems), slices.Clone(s.Warnings)
	if r.refused != nil {
		s.Problems = r.refused // of a newer commit than the one that was compiled
	}
	r.mu.Unlock()
	if s.Problems == nil {
		s.Problems = []object.Problem{}
	}
	if r.Source != nil {
		s.Source = r.Source.String()
	}
	if r.Cameras != nil {
		s.Cameras = r.Cameras()
	}
	if s.Cameras == nil {
		s.Cameras = []status.Camera{}
	}
	if r.Warnings != nil {
		s.Warnings = append(s.Warnings, r.Warnings()...)
	}
	s.State = state(s)
	return s
}

func state(s status.Status) status.State {
	switch {
	case s.FetchError != "" || s.CompileError != "" || s.TargetError != "" || len(s.Failed) > 0:
		return status.Failing
	case s.Commit == "":
		return status.Starting
	case len(s.Held) > 0:
		return status.Held
	case len(s.Problems) > 0:
		return status.Broken
	}
	return status.Synced
}

// short is a commit's hash as people write it.
func short(hash string) string { return hash[:min(len(hash), 12)] }
