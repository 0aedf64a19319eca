package rtsp2hls

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"camfleet.dev/workers/archive"
	"camfleet.dev/workers/media"
	"camfleet.dev/workers/metrics"
)

const (
	// maxBacklog is how many bytes, and maxJobs how many steps, may wait for a
	// slow disk; beyond that the newest is dropped up to the next key frame, and said.
	maxBacklog = 8 << 20
	maxJobs    = 128
	// maxKept is the most memory that a fragment keeps for the next one.
	maxKept = 2 * maxFragment
	// reopen is how often an archive that cannot be opened is tried again.
	reopen = 5 * time.Second
	// idle is how often an archive that nothing is written to is maintained.
	idle = time.Minute
	// fullFor is how long a full disk is reported after it was last noticed.
	fullFor = time.Minute
)

// segmentWriter brings a recorder's segments to the archive, in a goroutine
// of its own (run). The other methods but run belong to the recorder's side.
type segmentWriter struct {
	log     *slog.Logger
	metrics *metrics.Camera
	clock   Clock
	options archive.Options
	changed func() // the trouble is another; must not block

	backlog atomic.Int64
	trouble atomic.Pointer[trouble]
	damage  atomic.Pointer[string]
	foreign atomic.Bool // the archive is another worker's
	// committed is when the last segment was safe (Unix nanoseconds), longest
	// how long the longest of them is (nanoseconds).
	committed, longest atomic.Int64
	jobs               chan job
	free               chan *fragment
	ready              chan struct{} // closed when opening the archive was tried
	done               chan struct{}

	// run's own:
	archive *archive.Writer
	segment *archive.Segment
	cause   media.Cause // of the gap before the next session
	since   time.Time   // beginning of that gap
	lost    bool        // another writer has taken the archive over
	off     bool        // recording was switched off since the last segment
	broken  bool        // a segment was lost: the next one begins a session
}

// trouble is what keeps recordings from the disk.
type trouble struct {
	message string
	until   time.Time // zero: until it is over
}

// job is one step of writing; do is called by run.
type job struct {
	do   func(*segmentWriter) error
	size int64 // bytes that it holds
}

func newSegmentWriter(log *slog.Logger, m *metrics.Camera, clock Clock, o archive.Options) *segmentWriter {
	w := &segmentWriter{
		log: log, metrics: m, clock: clock, options: o, changed: func() {},
		jobs: make(chan job, 2*maxJobs), free: make(chan *fragment, 2), ready: make(chan struct{}), done: make(chan struct{}),
	}
	w.options.Synced = func(_ string, took time.Duration) { m.Fsync(took) }
	w.options.Dropped = w.dropped
	w.options.Damaged = w.damaged
	return w
}

// behind tells that the disk does not keep up.
func (w *segmentWriter) behind() bool {
	if w.backlog.Load() <= maxBacklog && len(w.jobs) <= maxJobs {
		return false
	}
	w.say("the disk is too slow: the newest frames are dropped; check the storage's write latency", fullFor)
	return true
}

// fragment is an empty fragment, used before if possible.
func (w *segmentWriter) fragment() *fragment {
	select {
	case f := <-w.free:
		return f
	default:
		return &fragment{}
	}
}

func (w *segmentWriter) put(size int, do func(*segmentWriter) error) {
	w.backlog.Add(int64(size))
	w.jobs <- job{do: do, size: int64(size)}
}

// gap notes why a session ended, or why none could begin.
func (w *segmentWriter) gap(cause media.Cause) {
	w.put(0, func(w *segmentWriter) error {
		w.noteGap(cause)
		return nil
	})
}

// noteGap keeps the first cause that says something about the camera or its
// storage: what ended the session is what has to be looked into.
func (w *segmentWriter) noteGap(cause media.Cause) {
	now, before := w.clock.Now(), w.cause
	if cause == media.CauseNone { // nothing is missing: recording is switched off
		w.cause, w.off = media.CauseNone, true
		w.metrics.GapEnds(now)
		return
	}
	switch w.cause {
	case media.CauseNone, media.CauseConfig, media.CauseStopped:
		w.cause = cause
	}
	switch {
	case before == media.CauseNone:
		w.since = w.gapSince(now)
		w.metrics.GapBegins(string(w.cause), w.since)
	case before != w.cause:
		w.metrics.GapBegins(string(w.cause), now)
	}
}

// gapSince is when the recording ended, as far as this run of the worker
// knows, or when it was switched on again.
func (w *segmentWriter) gapSince(now time.Time) time.Time {
	if w.archive == nil || w.committed.Load() == 0 || w.off {
		return now
	}
	if last, ok := w.archive.Last(); ok && last.End().Before(now) {
		return last.End()
	}
	return now
}

// open begins a segment; fresh also a session.
func (w *segmentWriter) open(start time.Time, init []byte, fresh bool) {
	w.put(0, func(w *segmentWriter) error {
		if w.archive == nil {
			return w.lose(errNotOpen)
		}
		if fresh || w.broken {
			w.archive.Session(w.gapBefore())
		}
		if _, err := w.archive.Init(init); err != nil {
			return w.lose(fmt.Errorf("write the initialization segment: %w", err))
		}
		segment, err := w.archive.Create(start)
		if err != nil {
			return w.lose(fmt.Errorf("begin a segment: %w", err))
		}
		w.segment, w.broken, w.cause, w.off = segment, false, media.CauseNone, false
		w.metrics.GapEnds(w.clock.Now())
		return nil
	})
}

// gapBefore is what is missing before the session that begins now.
func (w *segmentWriter) gapBefore() *archive.Gap {
	if _, ok := w.archive.Last(); !ok || w.cause == media.CauseNone {
		return nil // the first recording, or none was wanted before
	}
	return &archive.Gap{Since: w.since.UnixMilli(), Cause: string(w.cause)}
}

// write appends a fragment, which is the writer's from now on.
func (w *segmentWriter) write(f *fragment, sequence uint32) {
	w.put(f.size(), func(w *segmentWriter) error {
		defer w.recycle(f)
		if w.segment == nil || f.empty() {
			return nil
		}
		if _, err := w.segment.WriteBuffers(f.marshal(sequence)); err != nil {
			return w.lose(fmt.Errorf("write to a segment: %w", err))
		}
		return nil
	})
}

func (w *segmentWriter) recycle(f *fragment) {
	if f.held() > maxKept {
		return
	}
	f.reset()
	select {
	case w.free <- f:
	default:
	}
}

// commit makes the segment a part of the archive.
func (w *segmentWriter) commit(e archive.Entry) {
	w.put(0, func(w *segmentWriter) error {
		if w.segment == nil {
			return nil
		}
		segment := w.segment
		w.segment = nil
		if err := segment.Commit(e); err != nil {
			return w.lose(fmt.Errorf("finish a segment: %w", err))
		}
		now, entry := w.clock.Now(), segment.Entry()
		w.metrics.Segment(now, entry.Bytes)
		w.committed.Store(now.UnixNano())
		w.longest.Store(max(w.longest.Load(), int64(entry.Length())))
		w.calm(true)
		return nil
	})
}

var errNotOpen = errors.New("the archive is not open")

// lose gives the segment up: a gap begins.
func (w *segmentWriter) lose(err error) error {
	if w.segment != nil {
		w.segment.Abort()
	}
	w.segment, w.broken = nil, true
	w.noteGap(media.CauseStorage)
	return err
}

// policy follows the configuration.
func (w *segmentWriter) policy(p archive.Policy) {
	w.put(0, func(w *segmentWriter) error {
		w.options.Policy = p
		if w.archive != nil {
			w.archive.Update(p)
		}
		return nil
	})
}

// run writes until stop is called. Cancelling ctx only ends waits, such as the
// one for a folder that another worker has locked: what was queued is written.
func (w *segmentWriter) run(ctx context.Context) {
	defer close(w.done)
	w.tryOpen(ctx)
	close(w.ready)
	retry := w.clock.After(w.pause())
	for {
		select {
		case j, ok := <-w.jobs:
			if !ok {
				w.shut()
				return
			}
			if err := j.do(w); err != nil && !errors.Is(err, errNotOpen) {
				w.log.Error("recording interrupted", "error", err)
				w.say(err.Error(), 0)
				w.yield(err)
			}
			w.backlog.Add(-j.size)
		case <-retry:
			w.rest(ctx)
			retry = w.clock.After(w.pause())
		}
	}
}

func (w *segmentWriter) pause() time.Duration {
	if w.archive == nil {
		return reopen
	}
	return idle
}

// rest does what is due while nothing is written.
func (w *segmentWriter) rest(ctx context.Context) {
	if w.archive == nil {
		if !w.othersAlive() {
			w.tryOpen(ctx)
		}
		return
	}
	if w.segment != nil {
		return
	}
	if err := w.archive.Maintain(ctx); err != nil {
		w.log.Warn("retention did not run", "error", err)
		w.yield(err)
	}
}

func (w *segmentWriter) tryOpen(ctx context.Context) {
	a, err := archive.Open(ctx, w.options)
	var locked *archive.LockedError
	w.foreign.Store(errors.As(err, &locked))
	if err != nil {
		w.log.Error("the archive cannot be opened, trying again", "error", err, "after", reopen)
		w.say(err.Error(), 0)
		return
	}
	w.archive = a
	w.calm(true)
}

// stop ends run after everything that is queued is on disk.
func (w *segmentWriter) stop() {
	close(w.jobs)
	<-w.done
}

func (w *segmentWriter) shut() {
	if w.archive == nil {
		return
	}
	if err := w.archive.Close(); err != nil {
		w.log.Warn("the archive was not closed properly", "error", err)
	}
}

// dropped is called by the archive when retention takes something away.
func (w *segmentWriter) dropped(d archive.Drop) {
	if d.Reason == archive.ReasonFull {
		w.say("the disk is full: the oldest recordings are dropped to keep the newest; enlarge the storage or shorten the retention", fullFor)
	}
}

// damaged is called by the archive when it finds that old recordings are
// damaged, or are not any more. The camera is recorded all the same.
func (w *segmentWriter) damaged(message string) {
	if old := w.damage.Swap(&message); old == nil && message != "" || old != nil && *old != message {
		w.changed()
	}
}

// note is what a camera's status says about its archive while it is recorded.
func (w *segmentWriter) note() string {
	if d := w.damage.Load(); d != nil {
		return *d
	}
	return ""
}

// say reports trouble; keep 0 means until the next segment is safe.
func (w *segmentWriter) say(message string, keep time.Duration) {
	t := &trouble{message: message}
	if keep > 0 {
		t.until = w.clock.Now().Add(keep)
	}
	w.trouble.Store(t)
	w.changed()
}

// calm takes trouble back that is over: its time is up, or it lasted until
// something was safe on disk again, and that is so.
func (w *segmentWriter) calm(safe bool) {
	t := w.trouble.Load()
	if t == nil {
		return
	}
	over := safe
	if !t.until.IsZero() {
		over = !w.clock.Now().Before(t.until)
	}
	if over && w.trouble.CompareAndSwap(t, nil) {
		w.changed()
	}
}
