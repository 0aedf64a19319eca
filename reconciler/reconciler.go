// Package reconciler keeps a target (this machine, or a cluster) equal to the
// newest commit of a fleet's repository:
//
//	Source.Fetch ─► Compile ─► engine.Plan ─► engine.Applier ─► Cluster
//	     ▲  Wake                   ▲  Changed                      │
//	     └── poll, back-off        └── healing ◄───────────────────┤
//	                               Status, Published, Record ◄─────┘
//
// One goroutine, the loop, owns all state. Fetching, compiling and syncing run
// in goroutines of their own and report to it, so that none delays another. A
// fetch or a compilation that fails changes nothing. The newest commit wins:
// once it is compiled, it interrupts the sync of an older one.
package reconciler

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
	"camfleet.dev/reconciler/internal/clock"
	"camfleet.dev/reconciler/source"
	"camfleet.dev/reconciler/status"
)

// Source is where commits come from. One goroutine at a time calls it.
type Source interface {
	// Fetch returns the newest commit, or nil when that is still the commit have.
	Fetch(ctx context.Context, have string) (*source.Commit, error)
	// String is its address, fit to be shown to anybody.
	String() string
}

// commits is what a Source may have besides: any commit by its hash. It gives
// back what a broken site looked like when it was last right.
type commits interface {
	FetchCommit(ctx context.Context, hash string) (*source.Commit, error)
}

// Notes is what a reconciler remembers over a crash.
type Notes interface {
	// ReadNotes leaves notes as they are when there are none.
	ReadNotes(notes any) error
	WriteNotes(notes any) error
}

// Reconciler is the loop. Its exported fields are set before Run or Once, and
// not changed afterwards. All functions may be nil. Those that tell somebody
// something are called one after the other, from a goroutine that does nothing
// else: they may take their time.
type Reconciler struct {
	Source  Source
	Compile func(ctx context.Context, files fs.FS) (*object.Result, error)
	Cluster engine.Cluster
	Notes   Notes
	// ClusterName is the name of the cluster, for Status.
	ClusterName string
	// Interval is how often the source is asked; 0 means 15 s.
	Interval time.Duration
	// Parallel is how many objects may be applied at once; 0 means 8.
	Parallel int
	// AtOnce is engine.Options.AtOnce.
	AtOnce float64
	// ApproveWith is engine.Options.ApproveWith.
	ApproveWith string

	// Cameras, Warnings, Nodes and Health tell about the target, for Status. A
	// new warning is logged, too.
	Cameras  func() []status.Camera
	Warnings func() []string
	Nodes    func() []status.Node
	Health   func(now time.Time) []status.Health

	// Targeted is told each compiled commit that the target is made equal to
	// from then on. A commit that is compiled only to know how broken sites last
	// were is none of these.
	Targeted func(*object.Result)
	// Planned is told what a sync is about to do, and Done of each step that
	// it took, from any goroutine: for a progress bar.
	Planned func(engine.ChangeSet)
	Done    func(engine.Change)
	// Synced is told of every sync that had something to do.
	Synced func(engine.ChangeSet)
	// Record is told of what somebody who looks after the target should know:
	// what failed, was replaced, is held, or was put back because it had gone or
	// changed (healed). The same change may come again and again.
	Record func(engine.Change)
	// Published is told the status whenever it has changed. The times Fetched
	// and Synced alone are no change: a steady state is told once.
	Published func(status.Status)

	Log *slog.Logger
	// Clock is for tests; nil means the machine's.
	Clock clock.Clock

	prepared sync.Once
	wake     chan struct{} // look at the source
	changed  chan struct{} // the target has changed
	poke     chan struct{} // the notes have changed
	asks     chan ask
	book     notebook
	teller   teller
	metrics  *metrics
	kept     lastCompiled // of the loop's goroutine, over runs
	// unpublished is set while the status is waiting to be told.
	unpublished atomic.Bool

	mu    sync.Mutex // of what follows
	shown shown
}

const (
	defaultInterval = 15 * time.Second
	defaultParallel = 8
)

// prepare makes what the zero value lacks.
func (r *Reconciler) prepare() {
	r.prepared.Do(func() {
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
		r.wake, r.changed, r.poke = make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{}, 1)
		r.asks = make(chan ask)
		r.book.disk, r.book.unread = r.Notes, errors.New("it does not run yet")
		r.metrics = newMetrics()
	})
}

// Run reconciles until ctx ends, and returns when nothing of it runs any more.
// It may be called again afterwards: a leader that lost its lease may get it back.
func (r *Reconciler) Run(ctx context.Context) error {
	r.prepare()
	r.run(ctx, false)
	r.showRun() // before whoever called closes the target
	return nil
}

// Once reconciles until the target is equal to the newest commit, or is known
// not to become so by itself, and returns what came of it. The error says why
// it is not equal, if it is not.
func (r *Reconciler) Once(ctx context.Context) (status.Status, error) {
	r.prepare()
	r.run(ctx, true)
	s := r.Status()
	if ctx.Err() != nil {
		return s, ctx.Err()
	}
	return s, r.shortcoming(s)
}

// Wake makes the loop look at its source now: somebody says there is something new.
func (r *Reconciler) Wake() {
	r.prepare()
	signal(r.wake)
}

// Changed tells the loop that the target has changed: it is compared with the
// commit again, without asking the source. It never blocks, and may be called
// as often as things happen.
func (r *Reconciler) Changed() {
	r.prepare()
	signal(r.changed)
}

// Alive returns nil when the loop answers, or does not run at all.
func (r *Reconciler) Alive(ctx context.Context) error {
	r.prepare()
	if !r.teller.running() {
		return nil
	}
	return r.ask(ctx, false)
}

// signal puts a mark into a channel of one place, if there is none yet.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
