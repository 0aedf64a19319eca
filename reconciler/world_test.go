package reconciler_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler"
	"camfleet.dev/reconciler/engine"
	. "camfleet.dev/reconciler/engine/enginetest"
	"camfleet.dev/reconciler/internal/clock"
	"camfleet.dev/reconciler/source"
	"camfleet.dev/reconciler/status"
)

var start = time.Date(2026, 11, 23, 4, 0, 0, 0, time.UTC)

// world is everything around a reconciler, all of it in memory.
type world struct {
	*reconciler.Reconciler
	t     *testing.T
	clock *clock.Fake

	mu       sync.Mutex
	commit   *source.Commit
	fetchErr error
	fetches  int
	results  map[string]*object.Result // by commit
	compiled []string
	notes    []byte
	noteErr  error
	readErr  error
	cluster  *Memory
	done     chan struct{}
	// What the world does before a call does anything; nil is nothing.
	onFetch, onCompile func(ctx context.Context, hash string) error
	onApply            func(ctx context.Context, step engine.Step) error
	told               []status.Status
	records            []engine.Change
	stop               context.CancelFunc
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, clock: clock.NewFake(start), results: map[string]*object.Result{}, cluster: &Memory{}}
	w.reset()
	return w
}

// reset makes a new reconciler in the same world, as after a crash.
func (w *world) reset() {
	w.Reconciler = &reconciler.Reconciler{
		Source: w, Cluster: gated{w}, Notes: w, Clock: w.clock, Interval: time.Second,
		Compile: func(ctx context.Context, files fs.FS) (*object.Result, error) {
			hash, err := fs.ReadFile(files, "hash")
			if err != nil {
				return nil, err
			}
			w.mu.Lock()
			hook := w.onCompile
			w.mu.Unlock()
			if hook != nil {
				if err := hook(ctx, string(hash)); err != nil {
					return nil, err
				}
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			w.compiled = append(w.compiled, string(hash))
			if r := w.results[string(hash)]; r != nil {
				return r, nil
			}
			return nil, errors.New("the compiler cannot be started")
		},
		Cameras:   func() []status.Camera { return nil },
		Published: func(s status.Status) { w.note(func() { w.told = append(w.told, s) }) },
		Record:    func(c engine.Change) { w.note(func() { w.records = append(w.records, c) }) },
	}
}

// note changes the world, which has several users.
func (w *world) note(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

// gated is the world's cluster, behind its hook.
type gated struct{ w *world }

func (g gated) List(ctx context.Context, fleet string) ([]engine.Live, error) {
	return g.w.cluster.List(ctx, fleet)
}

func (g gated) Apply(ctx context.Context, step engine.Step) error {
	g.w.mu.Lock()
	hook := g.w.onApply
	g.w.mu.Unlock()
	if hook != nil {
		if err := hook(ctx, step); err != nil {
			return err
		}
	}
	return g.w.cluster.Apply(ctx, step)
}

// gate lets a call wait until somebody opens it, or the call's context ends.
type gate struct {
	reached chan string // what waits, as soon as it does
	open    chan struct{}
}

func newGate() *gate { return &gate{reached: make(chan string, 100), open: make(chan struct{})} }

func (g *gate) wait(ctx context.Context, what string) error {
	g.reached <- what
	select {
	case <-g.open:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// at waits until something has come to the gate.
func (w *world) at(g *gate) string {
	w.t.Helper()
	select {
	case what := <-g.reached:
		return what
	case <-time.After(20 * time.Second):
		w.t.Fatal("nothing comes to the gate")
		return ""
	}
}

func (w *world) Fetch(ctx context.Context, have string) (*source.Commit, error) {
	w.mu.Lock()
	w.fetches++
	hook := w.onFetch
	w.mu.Unlock()
	if hook != nil {
		if err := hook(ctx, have); err != nil {
			return nil, err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fetchErr != nil || w.commit == nil || w.commit.Hash == have {
		return nil, w.fetchErr
	}
	return w.commit, nil
}

func (w *world) String() string { return "https://git.example/fleet" }

func (w *world) ReadNotes(notes any) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.notes == nil || w.readErr != nil {
		return w.readErr
	}
	return json.Unmarshal(w.notes, notes)
}

func (w *world) WriteNotes(notes any) (err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.noteErr != nil {
		return w.noteErr
	}
	w.notes, err = json.Marshal(notes)
	return err
}

// push makes a commit; r nil is one that the compiler fails at.
func (w *world) push(hash string, r *object.Result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.results[hash] = r
	w.commit = commitOf(hash)
}

func commitOf(hash string) *source.Commit {
	return &source.Commit{Hash: hash, Time: start, Subject: "about " + hash, FS: fstest.MapFS{"hash": {Data: []byte(hash)}}}
}

func (w *world) fetchFails(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fetchErr = err
}

// run starts the loop; it ends with the test, or with w.stop.
func (w *world) run() {
	ctx, cancel := context.WithCancel(w.t.Context())
	w.stop, w.done = cancel, make(chan struct{})
	go func() {
		defer close(w.done)
		if err := w.Run(ctx); err != nil {
			w.t.Error(err)
		}
	}()
	w.t.Cleanup(func() { cancel(); <-w.done })
	w.rest()
}

// rest waits until the loop waits for nothing but the clock.
func (w *world) rest() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	if err := w.Rest(ctx); err != nil {
		w.t.Fatal(err)
	}
	if err := w.clock.Waiting(ctx, 1); err != nil {
		w.t.Fatal("the loop does not wait for the clock")
	}
}

// poll lets time pass until the loop has looked once more.
func (w *world) poll() status.Status {
	w.t.Helper()
	d, ok := w.clock.Next()
	if !ok {
		w.t.Fatal("the loop does not wait")
	}
	w.clock.Advance(d)
	w.rest()
	return w.Status()
}

// settled waits until the status is as wanted, without moving the clock.
func (w *world) settled(ok func(status.Status) bool) status.Status {
	w.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		if s := w.Status(); ok(s) {
			return s
		}
		select {
		case <-deadline:
			w.t.Fatalf("it does not settle: %+v", w.Status())
		case <-time.After(time.Millisecond):
		}
	}
}

const (
	commitA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	commitB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	commitC = "cccccccccccccccccccccccccccccccccccccccc"
)
