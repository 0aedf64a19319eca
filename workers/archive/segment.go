package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Segment is a segment being written, under a temporary name.
type Segment struct {
	w       *Writer
	start   int64 // Unix milliseconds
	path    string
	file    File
	bytes   int64
	session *session
	init    initSegment
	entry   Entry
	done    bool
}

// ErrFull is what a write fails with when the disk is full and nothing is left
// that may be dropped.
var ErrFull = errors.New("the disk is full and nothing is left to drop")

func isFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}

// Create begins a segment. Start times in an archive only grow: where the clock
// was set back, start is moved to the end of what is recorded, and so are the
// rest of the session's. Segment.Start says what became of it.
func (w *Writer) Create(start time.Time) (*Segment, error) {
	s, err := w.prepare(start)
	if err != nil {
		return nil, err
	}
	temp := s.path + tempSuffix
	err = w.withRoom(func() error {
		err := w.openSegment(s, temp)
		if errors.Is(err, fs.ErrNotExist) { // somebody removed the folder under us
			w.forgetHour()
			err = w.openSegment(s, temp)
		}
		return err
	})
	if err != nil {
		w.forget(s)
		return nil, fmt.Errorf("create segment: %w", err)
	}
	return s, nil
}

// prepare decides the segment's place, and registers it as open.
func (w *Writer) prepare(start time.Time) (*Segment, error) {
	end := w.store.end.Load()
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.closed:
		return nil, errClosed
	case w.init.name == "":
		return nil, errors.New("create segment: no initialization segment was declared")
	}
	at := start.UnixMilli() + w.shift
	floor := w.last + 1
	if w.session.fresh {
		floor = max(floor, end)
	}
	if at < floor {
		if floor-at > 1 {
			w.o.Log.Warn("the clock was set back: this session is recorded as if it began at the end of the last one",
				"clock", start.UTC(), "recorded", time.UnixMilli(floor).UTC())
		}
		w.shift += floor - at
		at = floor
	}
	if at <= 0 || at > maxTime {
		return nil, fmt.Errorf("create segment: %s is not a time that can be recorded", start)
	}
	w.last, w.session.fresh = at, false
	s := &Segment{w: w, start: at, path: w.o.Dir.Segment(time.UnixMilli(at)), session: w.session, init: w.init}
	w.open[s] = struct{}{}
	return s, nil
}

// openSegment makes the hour's folder, once, and the temporary file in it.
func (w *Writer) openSegment(s *Segment, temp string) error {
	folder := filepath.Dir(s.path)
	w.mu.Lock()
	ready := w.hour == folder
	w.mu.Unlock()
	if !ready {
		if err := makeFolders(w.o.FS, "hour", folder); err != nil {
			return err
		}
		w.mu.Lock()
		w.hour = folder
		w.mu.Unlock()
	}
	f, err := w.o.FS.OpenFile("segment", temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	s.file = f
	return nil
}

func (w *Writer) forgetHour() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hour = ""
}

func (w *Writer) forget(s *Segment) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.open, s)
}

// withRoom does a step again for as long as the disk is full and dropping the
// oldest recordings makes room.
func (w *Writer) withRoom(step func() error) error {
	p := w.currentPolicy()
	for {
		err := step()
		if err == nil || !isFull(err) {
			return err
		}
		w.store.mu.Lock()
		made := w.store.makeRoom(context.Background(), p)
		w.store.mu.Unlock()
		if !made {
			return fmt.Errorf("%w: %w", ErrFull, err)
		}
	}
}

// Start is the segment's start, which Create may have moved.
func (s *Segment) Start() time.Time { return time.UnixMilli(s.start).UTC() }

// Write appends to the segment; see WriteBuffers.
func (s *Segment) Write(p []byte) (int, error) {
	n, err := s.WriteBuffers(net.Buffers{p})
	return int(n), err
}

// WriteBuffers appends all of bufs with as few system calls as possible. It
// does not keep or change them. A full disk drops the oldest recordings and
// goes on; ErrFull means that there was nothing left to drop.
func (s *Segment) WriteBuffers(bufs net.Buffers) (int64, error) {
	if s.done {
		return 0, errClosed
	}
	var done int64
	err := s.w.withRoom(func() error {
		n, err := s.file.Writev(skip(bufs, done))
		done += n
		return err
	})
	s.bytes += done
	if err != nil {
		return done, fmt.Errorf("write segment: %w", err)
	}
	return done, nil
}

// skip returns bufs without their first n bytes; bufs stay as they are.
func skip(bufs net.Buffers, n int64) net.Buffers {
	if n == 0 {
		return bufs
	}
	for len(bufs) > 0 && n >= int64(len(bufs[0])) {
		n -= int64(len(bufs[0]))
		bufs = bufs[1:]
	}
	if len(bufs) == 0 || n == 0 {
		return bufs
	}
	rest := append(net.Buffers{bufs[0][n:]}, bufs[1:]...)
	return rest
}

// Commit makes the segment part of the archive: when it returns nil, the
// segment is on disk for good. The caller gives Duration and Frames; the rest of
// the entry is filled in and returned by Entry. After an error the segment is
// gone and the next one can be created; ErrLost means that the writer must stop.
func (s *Segment) Commit(e Entry) error {
	if s.done {
		return errClosed
	}
	w := s.w
	defer w.forget(s)
	p := w.currentPolicy()
	st := w.store
	st.mu.Lock()
	defer st.mu.Unlock()
	s.done = true
	committed, err := st.commit(p, s, e)
	if err != nil {
		w.forgetHour() // the folder may be what is wrong
		return fmt.Errorf("commit segment %s: %w", filepath.Base(s.path), err)
	}
	s.entry = committed
	return nil
}

// Entry is the committed entry.
func (s *Segment) Entry() Entry { return s.entry }

// Abort throws the segment away. It does nothing after Commit.
func (s *Segment) Abort() {
	if s.done {
		return
	}
	s.done = true
	s.w.forget(s)
	_ = s.file.Close()
	if err := s.w.o.FS.Remove("abort", s.path+tempSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.w.o.Log.Warn("cannot remove an aborted segment: the next start does", "error", err)
	}
}
