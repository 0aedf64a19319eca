package archive

import (
	"context"
	"errors"
	"net"
	"time"
)

var errTODO = errors.New("archive: not built yet")



// Writer records one camera. A Writer is the only one of its folder.
//
// Create, Init, Session and Commit belong to the recorder; Commit may run in
// another goroutine than the next Create, as long as segments are committed in
// the order they were created. Update and Maintain may be called from anywhere.
type Writer struct{}

// Open takes the folder's session.lock (a *LockedError names who holds it),
// brings the folder in order after whatever happened to the last writer, and
// continues its media sequence.
func Open(ctx context.Context, o Options) (*Writer, error) { return nil, errTODO }

// Update changes what the archive follows, from the next commit on.
func (w *Writer) Update(p Policy) {}

// Init declares the initialization segment of the segments created from now
// on and returns its file name. A change is a discontinuity.
func (w *Writer) Init(data []byte) (name string, err error) { return "", errTODO }

// Session makes the next created segment the first of a new session. gap, if
// not nil, is noted in the journal with that segment.
func (w *Writer) Session(gap *Gap) {}

// Create begins a segment. Start times in an archive only grow: where the clock
// was set back, start is moved to the end of what is recorded, and so are the
// rest of the session's. Segment.Start says what became of it.
func (w *Writer) Create(start time.Time) (*Segment, error) { return nil, errTODO }

// Maintain does what Commit also does between segments: it drops what is too
// old, ends the playlist of an hour that is over, tidies up. Call it about once
// a minute while nothing is being recorded.
func (w *Writer) Maintain(ctx context.Context) error { return errTODO }

// Last is the newest entry; false when the archive is empty.
func (w *Writer) Last() (Entry, bool) { return Entry{}, false }

// Bytes is the size of the segments in the archive.
func (w *Writer) Bytes() int64 { return 0 }

// Close releases the archive. An open segment is aborted.
func (w *Writer) Close() error { return errTODO }

// Segment is a segment being written, under a temporary name.
type Segment struct{}

// Start is the segment's start, which Create may have moved.
func (s *Segment) Start() time.Time { return time.Time{} }

// Write appends to the segment.
func (s *Segment) Write(p []byte) (int, error) { return 0, errTODO }

// WriteBuffers appends all of bufs with as few system calls as possible. It
// does not keep or change them. A full disk drops the oldest recordings and
// goes on; ErrFull means that there was nothing left to drop.
func (s *Segment) WriteBuffers(bufs net.Buffers) (int64, error) { return 0, errTODO }

// Commit makes the segment part of the archive: when it returns nil, the
// segment is on disk for good. The caller gives Duration and Frames; the rest of
// the entry is filled in and returned by Entry. After an error the segment is
// gone and the next one can be created.
func (s *Segment) Commit(e Entry) error { return errTODO }

// Entry is the committed entry.
func (s *Segment) Entry() Entry { return Entry{} }

// Abort throws the segment away. It does nothing after Commit.
func (s *Segment) Abort() {}

// ErrFull is what a write is refused with when the disk is full and nothing
// is left that may be dropped.
var ErrFull = errors.New("the disk is full and nothing is left to drop")

// Located is an entry and where its files are.
type Located struct {
	Entry
	Path, InitPath string
}

// Scan returns what is recorded in [from, to), oldest first: every segment that
// has a part of itself in there. A zero time is no bound. It takes no lock and
// may run beside a writer; retention may drop a file between Scan and its use.
func Scan(ctx context.Context, dir Dir, from, to time.Time) ([]Located, error) { return nil, errTODO }

// UpdateIndex writes index.json anew from what is in the folder.
func UpdateIndex(dir Dir) error { return errTODO }
