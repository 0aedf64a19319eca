package reconciler

import (
	"context"
	"fmt"
	"sync"
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/source"
)

// loop is the state of a run: what it does is in fetch.go, compile.go, good.go and sync.go. Only its own goroutine touches it; children get
// what they need when they begin, and give what they found to a method of it.
type loop struct {
	*Reconciler
	ctx      context.Context
	once     bool
	children sync.WaitGroup
	events   chan func()
	source   chan struct{} // whoever has put something in may use the Source
	waiting  []ask         // for the loop to be idle

	// Notes.
	noted   bool // they were read
	reading bool
	readTry retry

	// Fetching.
	newest   *source.Commit
	fetching bool
	again    bool // somebody called Wake during the fetch
	fetched  bool // at least once, well or not
	fetchErr error
	poll     retry

	// Going on with the commit of before.
	restoring  bool
	restoreTry retry

	// Compiling.
	compiled   *source.Commit // newest, once it is compiled
	compiling  *compilation
	stopped    bool // the compilation before was stopped for a newer commit
	compileTry retry
	recalling  bool
	recallTry  retry
	// recalledOnce are commits that were read: what they do not tell, nobody does.
	recalledOnce map[string]bool
	good         map[string]lastGood // by site
	fleet        *object.Result      // the last one that was not broken as a whole

	// Syncing.
	target   *target
	jobs     []*job
	overlaps bool // two jobs have run at once: what one left out is looked at again
	sync     alarm
	began    time.Time // the last sync
	took     time.Duration
	listTry  retry
	troubles troubles
	rollout  rollout
	right    map[object.ID]bool // objects that were as the target says
	failed   bool               // the last sync had failures, and nobody waits for a turn
	logged   string             // what was last said of a sync
	settled  string             // the commit of which it was said that all is as it says
	heldTold map[object.ID]string
}

// alarm is when something has to be done.
type alarm struct {
	set bool
	at  time.Time
}

// by sets the alarm, unless it is set to an earlier time.
func (a *alarm) by(at time.Time) {
	if !a.set || at.Before(a.at) {
		*a = alarm{set: true, at: at}
	}
}

// ask is a question to the loop: is it there, or has it come to rest?
type ask struct {
	rest bool
	done chan struct{}
}

func (r *Reconciler) run(ctx context.Context, once bool) {
	ctx, cancel := context.WithCancel(ctx)
	l := &loop{
		Reconciler: r, ctx: ctx, once: once, events: make(chan func()), source: make(chan struct{}, 1),
		good: map[string]lastGood{}, recalledOnce: map[string]bool{},
		troubles: troubles{}, right: map[object.ID]bool{},
	}
	r.showRun()
	told := r.teller.run()
	for ctx.Err() == nil {
		l.begin()
		if l.answer() {
			break
		}
		l.wait()
	}
	ended := ctx.Err() != nil
	cancel()
	l.children.Wait()
	told(!ended)
}

// wait waits until something happens, and takes it up.
func (l *loop) wait() {
	var timer <-chan time.Time
	if at, ok := l.next(); ok {
		c, stop := l.Clock.After(at.Sub(l.Clock.Now()))
		defer stop()
		timer = c
	}
	select {
	case <-l.ctx.Done():
	case <-timer:
	case <-l.wake:
		l.woken()
	case <-l.changed:
		l.targetChanged()
	case <-l.poke:
		l.notesChanged()
	case event := <-l.events:
		event()
	case a := <-l.asks:
		if a.rest {
			l.waiting = append(l.waiting, a)
		} else {
			close(a.done)
		}
	}
}

// begin begins everything that is due.
func (l *loop) begin() {
	now := l.Clock.Now()
	if l.mayRead() && !l.readTry.at.After(now) {
		l.readNotes()
	}
	if l.mayFetch() && !l.poll.at.After(now) {
		l.fetch()
	}
	if l.mayCompile() && !l.compileTry.at.After(now) {
		l.compile()
	}
	if l.mayRestore() && !l.restoreTry.at.After(now) {
		l.restore()
	}
	if l.mayRecall() && !l.recallTry.at.After(now) {
		l.recall()
	}
	if at, ok := l.nextSync(); ok && !at.After(now) {
		l.startSync()
	}
}

// next is when the loop has something to begin, if nothing happens before.
func (l *loop) next() (time.Time, bool) {
	var a alarm
	if l.mayRead() {
		a.by(l.readTry.at)
	}
	if l.mayFetch() {
		a.by(l.poll.at)
	}
	if l.mayCompile() {
		a.by(l.compileTry.at)
	}
	if l.mayRestore() {
		a.by(l.restoreTry.at)
	}
	if l.mayRecall() {
		a.by(l.recallTry.at)
	}
	if at, ok := l.nextSync(); ok {
		a.by(at)
	}
	return a.at, a.set
}

// child runs work in a goroutine of its own. What it returns is done by the
// loop, unless that has ended.
func (l *loop) child(ctx context.Context, work func(context.Context) func()) {
	l.children.Go(func() { l.send(work(ctx)) })
}

func (l *loop) send(event func()) {
	select {
	case l.events <- event:
	case <-l.ctx.Done():
	}
}

// idle tells whether nothing runs and nothing is due.
func (l *loop) idle() bool {
	running := l.reading || l.fetching || l.compiling != nil || l.restoring || l.recalling || len(l.jobs) > 0
	at, ok := l.next()
	return !running && len(l.wake)+len(l.changed)+len(l.poke) == 0 && (!ok || at.After(l.Clock.Now()))
}

// answer answers those who wait for the loop to be idle, and tells whether it
// shall end: when it runs once, has come to rest, and time alone mends nothing.
func (l *loop) answer() bool {
	if !l.idle() {
		return false
	}
	for _, a := range l.waiting {
		close(a.done)
	}
	l.waiting = nil
	_, later := l.nextSync()
	return l.once && (l.failed || !later)
}

// ask asks the loop, and waits for the answer.
func (r *Reconciler) ask(ctx context.Context, rest bool) error {
	a := ask{rest: rest, done: make(chan struct{})}
	select {
	case r.asks <- a:
	case <-ctx.Done():
		return fmt.Errorf("the loop does not answer: %w", ctx.Err())
	}
	select {
	case <-a.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the loop does not come to rest: %w", ctx.Err())
	}
}
