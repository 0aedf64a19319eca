package archive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Writer records one camera. A Writer is the only one of its folder.
//
// Create, Init, Session and Commit belong to the recorder; Commit may run in
// another goroutine than the next Create, as long as segments are committed in
// the order they were created. Update and Maintain may be called from anywhere.
type Writer struct {
	o     Options
	store *store // what is on disk; its mutex is held while the disk is changed

	mu       sync.Mutex // what follows: the recorder's side, never held over the disk
	closed   bool
	policy   Policy
	session  *session
	sessions int
	init     initSegment
	open     map[*Segment]struct{}
	last     int64 // start of the newest created segment, Unix milliseconds
	shift    int64 // added to this session's start times, milliseconds
	hour     string
}

// session is a run of segments whose timestamps go on.
type session struct {
	name    string
	fresh   bool // no segment created yet
	started bool // a segment is committed
	gap     *Gap // to be noted with the first committed segment
}

type initSegment struct {
	name string
	data []byte
}

// Open takes the folder's session.lock (a *LockedError names who holds it),
// brings the folder in order after whatever happened to the last writer, and
// continues its media sequence.
func Open(ctx context.Context, o Options) (*Writer, error) {
	if o.Dir == "" || o.Log == nil {
		return nil, errors.New("open archive: Dir and Log must be set")
	}
	o = o.defaults()
	if err := makeFolders(o.FS, "open", string(o.Dir)); err != nil {
		return nil, fmt.Errorf("open archive: %w", err)
	}
	l, err := acquire(o.Dir, o.Now())
	if err != nil {
		return nil, err
	}
	st := newStore(o, l)
	if err := st.recover(ctx, o.Policy); err != nil {
		return nil, errors.Join(fmt.Errorf("open archive %s: %w", o.Dir, err), l.file.Close())
	}
	w := &Writer{o: o, store: st, policy: o.Policy, open: map[*Segment]struct{}{}, last: st.floor}
	w.begin(st.interruption())
	return w, nil
}

func (o Options) defaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Uptime == nil {
		began := time.Now()
		o.Uptime = func() time.Duration { return time.Since(began) }
	}
	if o.FS == nil {
		o.FS = OS{}
	}
	if o.Synced == nil {
		o.Synced = func(string, time.Duration) {}
	}
	if o.Dropped == nil {
		o.Dropped = func(Drop) {}
	}
	if o.Damaged == nil {
		o.Damaged = func(string) {}
	}
	o.Log = o.Log.With(slog.String("archive", string(o.Dir)))
	return o
}

// Update changes what the archive follows, from the next commit on.
func (w *Writer) Update(p Policy) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.policy = p
}

func (w *Writer) currentPolicy() Policy {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.policy
}

// Init declares the initialization segment of the segments created from now
// on and returns its file name. A change is a discontinuity.
func (w *Writer) Init(data []byte) (name string, err error) {
	if len(data) == 0 {
		return "", errors.New("archive: the initialization segment is empty")
	}
	name = initNameOf(data)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.init.name != name {
		w.init = initSegment{name: name, data: append([]byte(nil), data...)}
	}
	return name, nil
}

// initNameOf names an initialization segment after its content.
func initNameOf(data []byte) string {
	sum := sha256.Sum256(data)
	return InitName(hex.EncodeToString(sum[:8]))
}

// Session makes the next created segment the first of a new session. gap, if
// not nil, is noted in the journal with the session's first committed segment.
//
// Open begins a session by itself, and notes what its predecessor did not
// record; a gap that is still waiting to be noted keeps its beginning and cause.
// Call it too when a segment was lost (Commit failed, Abort) in mid-session.
func (w *Writer) Session(gap *Gap) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begin(gap)
}

func (w *Writer) begin(gap *Gap) {
	if s := w.session; s != nil {
		w.store.noteMu.Lock()
		if !s.started && s.gap != nil {
			gap = s.gap
		}
		w.store.noteMu.Unlock()
	}
	if gap != nil {
		copied := *gap
		gap = &copied
	}
	w.sessions++
	w.shift = 0
	w.session = &session{name: fmt.Sprintf("%s-%d", w.store.lock.holder.Session, w.sessions), fresh: true, gap: gap}
}

// Last is the newest entry; false when the archive is empty.
func (w *Writer) Last() (Entry, bool) {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	return w.store.last()
}

// Bytes is the size of the segments in the archive. After Open, hours are
// counted a few at each commit, the newest first.
func (w *Writer) Bytes() int64 {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	return w.store.bytes()
}

// Maintain does what Commit also does between segments: it drops what is too
// old, ends the playlist of an hour that is over, tidies up. Call it about once
// a minute while nothing is being recorded: retention does not wait for a
// camera to come back.
func (w *Writer) Maintain(ctx context.Context) error {
	p := w.currentPolicy()
	open := w.oldestOpen()
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	if w.store.closed {
		return errClosed
	}
	if err := w.store.lock.check(); err != nil {
		return err
	}
	return w.store.maintain(ctx, p, open)
}

var errClosed = errors.New("archive: the writer is closed")

// oldestOpen is the start of the oldest segment that is being written; 0 is none.
func (w *Writer) oldestOpen() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	var oldest int64
	for s := range w.open {
		if oldest == 0 || s.start < oldest {
			oldest = s.start
		}
	}
	return oldest
}

// Close releases the archive. Open segments are aborted.
func (w *Writer) Close() error {
	w.mu.Lock()
	w.closed = true
	open := make([]*Segment, 0, len(w.open))
	for s := range w.open {
		open = append(open, s)
	}
	w.mu.Unlock()
	for _, s := range open {
		s.Abort()
	}
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	return w.store.close()
}
