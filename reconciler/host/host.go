// Package host makes a fleet's objects real on one machine. It is the engine's
// Cluster: objects are files in a state folder, cameras run in camfleet-worker
// child processes, CronJobs on their schedule, and the page is served on the
// same URLs as by nginx in a cluster.
//
//	engine ─► STATE/objects ─► view ─┬─► STATE/workers ─► camfleet-worker rtsp2hls
//	                                 ├─► jobs          ─► camfleet-worker hls2mpeg
//	                                 └─► web server: page, archive, live
//
// The objects on disk are the intent; everything right of them is derived, and
// is derived again at every start. The host runs camfleet's own workers and
// nothing else, and says so for other objects (Warnings).
package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"camfleet.dev/reconciler/engine"
	"camfleet.dev/reconciler/host/internal/disk"
	"camfleet.dev/reconciler/internal/clock"
)

// Options say where and how a fleet runs on this machine.
type Options struct {
	// State is the state folder. It is made, for its owner only, if need be.
	State string
	// Archive and Secrets are folders; by default those names in State.
	Archive, Secrets string
	// Worker is the program camfleet-worker, and arguments before its own.
	Worker []string
	// Env is the workers' environment; nothing of ours is handed on.
	Env []string
	// Shards is how many worker processes share the cameras; 0 means one.
	Shards int
	Log    *slog.Logger
	// Clock is for tests; nil means the machine's.
	Clock clock.Clock

	disk disk.Disk
}

// Folders in the state folder.
const (
	objectsFolder = "objects"
	workersFolder = "workers"
	runFolder     = "run"
	liveSuffix    = ".live" // in runFolder: a shard's live segments (44 MB of memory for a watched camera otherwise)
	jobsFolder    = "jobs"
	notesName     = "reconciler.json"
)

// Host is a machine that runs a fleet. It is an engine.Cluster.
type Host struct {
	options Options
	log     *slog.Logger
	lock    *os.File
	sockets folder // STATE/run
	archive *os.Root
	store   *store
	workers *workers
	jobs    *jobs
	since   time.Time

	changed chan struct{} // objects have changed
	seen    atomic.Pointer[seen]
}

var _ engine.Cluster = (*Host)(nil)

// Open takes the state folder, and reads and mends what is in it. Nothing runs yet.
func Open(o Options) (*Host, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	for _, dir := range []string{"", objectsFolder, workersFolder, runFolder, jobsFolder} {
		if err := os.MkdirAll(filepath.Join(o.State, dir), 0o700); err != nil {
			return nil, fmt.Errorf("making the state folder: %w; choose one that you may write to (--dir)", err)
		}
	}
	for _, dir := range []string{o.Archive, o.Secrets} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("making the state folder: %w", err)
		}
	}
	h := &Host{options: o, log: o.Log, changed: make(chan struct{}, 1), since: o.Clock.Now()}
	if err := h.open(); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

func (o *Options) complete() error {
	var err error
	if o.State, err = filepath.Abs(o.State); err != nil {
		return fmt.Errorf("the state folder: %w", err)
	}
	if strings.ContainsAny(o.State, "{}") {
		return fmt.Errorf("the state folder %s: a path with { or } in it cannot be used", o.State)
	}
	if o.Archive == "" {
		o.Archive = filepath.Join(o.State, "archive")
	}
	if o.Secrets == "" {
		o.Secrets = filepath.Join(o.State, "secrets")
	}
	// The workers have another working directory.
	for _, folder := range []*string{&o.Archive, &o.Secrets} {
		if *folder, err = filepath.Abs(*folder); err != nil {
			return fmt.Errorf("the folders of recordings and secrets: %w", err)
		}
	}
	if len(o.Worker) == 0 {
		return errors.New("the program camfleet-worker is not known: it should be beside camfleet")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	o.Shards = max(1, o.Shards)
	return nil
}

func (h *Host) open() (err error) {
	o := h.options
	if h.lock, err = lock(o.State); err != nil {
		return err
	}
	for _, dir := range []string{workersFolder, jobsFolder} {
		if err := o.disk.Sweep(filepath.Join(o.State, dir)); err != nil {
			return err
		}
	}
	if h.sockets, err = openFolder(filepath.Join(o.State, runFolder)); err != nil {
		return err
	}
	if h.archive, err = os.OpenRoot(o.Archive); err != nil {
		return fmt.Errorf("opening the archive: %w", err)
	}
	if h.store, err = openStore(filepath.Join(o.State, objectsFolder), o.disk, h.log); err != nil {
		return err
	}
	h.workers = &workers{
		dir: filepath.Join(o.State, workersFolder), shards: o.Shards, disk: o.disk, clock: o.Clock, log: h.log,
		child: h.recorder, running: map[string]*runningChild{},
	}
	h.jobs = &jobs{dir: filepath.Join(o.State, jobsFolder), disk: o.disk, clock: o.Clock, log: h.log, start: h.makeDays}
	return nil
}

// Close gives the state folder back. Run must have returned.
func (h *Host) Close() error {
	var errs []error
	if h.archive != nil {
		errs = append(errs, h.archive.Close())
	}
	if h.sockets.File != nil {
		errs = append(errs, h.sockets.Close())
	}
	if h.lock != nil {
		errs = append(errs, unlock(h.lock))
	}
	return errors.Join(errs...)
}

// List implements engine.Cluster.
func (h *Host) List(ctx context.Context, fleet string) ([]engine.Live, error) {
	return h.store.list(fleet), ctx.Err()
}

// Apply implements engine.Cluster: the object is on disk when it returns, and
// what runs follows.
func (h *Host) Apply(ctx context.Context, step engine.Step) error {
	if err := h.store.apply(ctx, step); err != nil {
		return err
	}
	select {
	case h.changed <- struct{}{}:
	default: // it is known already that something changed
	}
	return nil
}

// settle is how long changes are gathered before they take effect together.
const settle = 50 * time.Millisecond

// Run runs what the objects say until ctx ends, and returns when all of it has ended.
func (h *Host) Run(ctx context.Context) error {
	forWorkers, forJobs := make(chan *view, 1), make(chan *view, 1)
	h.workers.views, h.jobs.views = forWorkers, forJobs
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() { h.workers.run(ctx) })
	group.Go(func() { h.jobs.run(ctx) })
	var warned []string
	for {
		v := h.view()
		warned = h.warn(warned, v.warnings)
		offer(forWorkers, v)
		offer(forJobs, v)
		select {
		case <-ctx.Done():
			return nil
		case <-h.changed:
		}
		clock.Sleep(ctx, h.options.Clock, settle)
	}
}

// seen is the view of a version of the objects.
type seen struct {
	version uint64
	*view
}

// view is what the objects mean now. It is made anew only when they have changed.
func (h *Host) view() *view {
	if s := h.seen.Load(); s != nil && s.version == h.store.now() {
		return s.view
	}
	objects, version := h.store.all()
	v := viewOf(objects)
	h.seen.Store(&seen{version, v}) // an older one that comes later is found out above
	return v
}

// offer puts v into a channel of one place, instead of what nobody took yet.
// Only one goroutine offers.
func offer[T any](c chan T, v T) {
	select {
	case <-c:
	default:
	}
	c <- v
}

// warn logs the warnings that are new.
func (h *Host) warn(old, now []string) []string {
	known := map[string]bool{}
	for _, w := range old {
		known[w] = true
	}
	for _, w := range now {
		if !known[w] {
			h.log.Warn("not done on this host", "what", w)
		}
	}
	return now
}

// Warnings say what of the objects this host does not do.
func (h *Host) Warnings() []string { return h.view().warnings }

// recorder is the process of a shard.
func (h *Host) recorder(shard string) *child {
	o, name := h.options, shard+socketSuffix
	log := h.log.With("worker", shard)
	return &child{
		log: log, clock: o.Clock,
		program: program{
			dir: filepath.Join(o.State, runFolder), env: o.Env, stderr: &logWriter{log: log}, grace: workerGrace,
			command: append(append([]string{}, o.Worker...), "rtsp2hls",
				"--config", filepath.Join(o.State, workersFolder, shard),
				"--archive", h.archiveTemplate(),
				"--secrets", filepath.Join(o.Secrets, "{site}", "{secret}"),
				"--listen", "unix:"+name, "--live-dir", shard+liveSuffix, "--log-format", "json"),
		},
		prepare: func() error {
			if err := os.Remove(h.sockets.address(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("removing the socket of the worker before: %w", err)
			}
			return nil
		},
	}
}

func (h *Host) archiveTemplate() string {
	return filepath.Join(h.options.Archive, "{site}", "{camera}")
}

// makeDays makes the missing day files of one camera.
func (h *Host) makeDays(ctx context.Context, c camera) error {
	o := h.options
	dir := filepath.Join(o.State, jobsFolder, "run", c.String())
	if err := o.disk.Replace(filepath.Join(dir, c.String()+".json"), c.raw); err != nil {
		return err
	}
	defer os.RemoveAll(dir) // what stays is written anew by the next run
	ctx, cancel := context.WithTimeout(ctx, daysDeadline)
	defer cancel()
	p := program{
		dir: dir, env: o.Env, grace: daysGrace, polite: true,
		stderr: &logWriter{log: h.log.With("site", c.site, "camera", c.name)},
		command: append(append([]string{}, o.Worker...), "hls2mpeg",
			"--config", dir, "--archive", h.archiveTemplate(), "--log-format", "json"),
	}
	return p.run(ctx, nil)
}

const (
	// daysDeadline is what a CronJob's Job has in a cluster, too.
	daysDeadline = 6 * time.Hour
	daysGrace    = 5 * time.Second
)

// ReadNotes reads what the reconciler noted, if anything, into notes.
func (h *Host) ReadNotes(notes any) error {
	data, err := os.ReadFile(filepath.Join(h.options.State, notesName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(data, notes)
	}
	if err != nil {
		return fmt.Errorf("reading the reconciler's notes: %w", err)
	}
	return nil
}

// WriteNotes keeps what the reconciler has to remember over a crash.
func (h *Host) WriteNotes(notes any) error {
	data, err := json.Marshal(notes)
	if err != nil {
		return fmt.Errorf("encoding the reconciler's notes: %w", err)
	}
	return h.options.disk.Replace(filepath.Join(h.options.State, notesName), data)
}
