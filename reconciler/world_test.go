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
	cluster  *Memory
	done     chan struct{}
	stop     context.CancelFunc
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, clock: clock.NewFake(start), results: map[string]*object.Result{}, cluster: &Memory{}}
	w.reset()
	return w
}

// reset makes a new reconciler in the same world, as after a crash.
func (w *world) reset() {
	w.Reconciler = &reconciler.Reconciler{
		Source: w, Cluster: w.cluster, Notes: w, Clock: w.clock, Interval: time.Second,
		Compile: func(_ context.Context, files fs.FS) (*object.Result, error) {
			hash, err := fs.ReadFile(files, "hash")
			if err != nil {
				return nil, err
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			w.compiled = append(w.compiled, string(hash))
			if r := w.results[string(hash)]; r != nil {
				return r, nil
			}
			return nil, errors.New("the compiler cannot be started")
		},
		Cameras: func() []status.Camera { return nil },
	}
}

func (w *world) Fetch(_ context.Context, have string) (*source.Commit, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fetches++
	if w.fetchErr != nil || w.commit == nil || w.commit.Hash == have {
		return nil, w.fetchErr
	}
	return w.commit, nil
}

func (w *world) String() string { return "https://git.example/fleet" }

func (w *world) ReadNotes(notes any) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.notes == nil {
		return nil
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
	w.commit = &source.Commit{Hash: hash, Time: start, Subject: "about " + hash, FS: fstest.MapFS{"hash": {Data: []byte(hash)}}}
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
