package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"camfleet.dev/reconciler/host/internal/disk"
	"camfleet.dev/reconciler/internal/clock"
)

const (
	// workerGrace is over what a worker takes to finish its segments (15 s).
	workerGrace = 20 * time.Second
	// effectAgain is when an effect that failed (a full disk) is tried again.
	effectAgain = 5 * time.Second
)

// workers keeps STATE/workers equal to the cameras of a view, and a
// camfleet-worker running for each shard that has any.
type workers struct {
	dir    string // STATE/workers
	shards int
	disk   disk.Disk
	clock  clock.Clock
	log    *slog.Logger
	// child makes the process of a shard; it is not started yet.
	child func(shard string) *child

	// in
	views <-chan *view

	mu      sync.Mutex
	running map[string]*runningChild
}

type runningChild struct {
	*child
	stop context.CancelFunc
	done chan struct{}
}

// shardOf is the shard of a camera: always the same one for a number of shards.
func shardOf(k key, shards int) string {
	h := fnv.New32a()
	h.Write([]byte(k.String())) // never fails
	return strconv.Itoa(int(h.Sum32() % uint32(max(1, shards))))
}

// run goes on until ctx ends, and returns when every worker has ended.
func (w *workers) run(ctx context.Context) {
	defer w.stopAll()
	var v *view
	var again <-chan time.Time
	stop := func() {}
	for {
		select {
		case <-ctx.Done():
			stop()
			return
		case v = <-w.views:
		case <-again:
		}
		stop()
		again, stop = nil, func() {}
		if err := w.converge(ctx, v); err != nil {
			w.log.Error("the workers' configuration cannot be written; what runs goes on", "error", err, "again in", effectAgain)
			again, stop = w.clock.After(effectAgain)
		}
	}
}

// converge writes what differs, then starts and stops processes. It does all
// that can be done, and returns what could not.
func (w *workers) converge(ctx context.Context, v *view) error {
	want := map[string]map[string][]byte{} // shard → file name → content
	for k, c := range v.cameras {
		shard := shardOf(k, w.shards)
		if want[shard] == nil {
			want[shard] = map[string][]byte{}
		}
		want[shard][k.String()+".json"] = c.raw
	}
	shards, err := folders(w.dir)
	errs := []error{err}
	for shard := range want {
		if !slices.Contains(shards, shard) {
			shards = append(shards, shard)
		}
	}
	// What leaves a shard goes first: a camera has one worker at a time.
	for _, shard := range shards {
		errs = append(errs, w.removeOthers(shard, want[shard]))
	}
	for shard, files := range want {
		for name, content := range files {
			errs = append(errs, w.write(filepath.Join(w.dir, shard, name), content))
		}
	}
	w.processes(ctx, want)
	return errors.Join(errs...)
}

// write replaces a file that says something else: what is equal is not touched.
func (w *workers) write(path string, content []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, content) {
		return nil
	}
	return w.disk.Replace(path, content)
}

func (w *workers) removeOthers(shard string, files map[string][]byte) error {
	dir := filepath.Join(w.dir, shard)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("reading a worker's configuration: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if _, wanted := files[e.Name()]; !wanted {
			errs = append(errs, w.disk.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

func folders(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("reading the workers' configuration: %w", err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// processes starts a worker for each shard that has cameras, and ends the others.
func (w *workers) processes(ctx context.Context, want map[string]map[string][]byte) {
	w.mu.Lock()
	var ending []*runningChild
	for shard, r := range w.running {
		if len(want[shard]) == 0 {
			ending = append(ending, r)
			delete(w.running, shard)
		}
	}
	w.mu.Unlock()
	end(ending)
	w.mu.Lock()
	defer w.mu.Unlock()
	for shard := range want {
		if w.running[shard] == nil {
			w.running[shard] = w.start(ctx, shard)
		}
	}
}

func (w *workers) start(ctx context.Context, shard string) *runningChild {
	ctx, cancel := context.WithCancel(ctx)
	r := &runningChild{child: w.child(shard), stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.keep(ctx)
	}()
	return r
}

// end ends processes, all at once, and waits until they have ended.
func end(children []*runningChild) {
	for _, r := range children {
		r.stop()
	}
	for _, r := range children {
		<-r.done
	}
}

func (w *workers) stopAll() {
	w.mu.Lock()
	var ending []*runningChild
	for _, r := range w.running {
		ending = append(ending, r)
	}
	w.running = map[string]*runningChild{}
	w.mu.Unlock()
	end(ending)
}

// worker is the state of a shard's process.
type worker struct {
	shard    string
	pid      int64 // 0: it does not run
	restarts int64
}

func (w *workers) status() []worker {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []worker
	for shard, r := range w.running {
		out = append(out, worker{shard, r.pid.Load(), r.restarts.Load()})
	}
	slices.SortFunc(out, func(a, b worker) int { return cmpShards(a.shard, b.shard) })
	return out
}

// cmpShards orders shard names as numbers.
func cmpShards(a, b string) int {
	x, _ := strconv.Atoi(a)
	y, _ := strconv.Atoi(b)
	return x - y
}
