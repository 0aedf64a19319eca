package hls2mpeg

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"os"
)

const (
	// sinkBuffers buffers of sinkSize bytes are between the writer and the hash.
	sinkSize    = 128 << 10
	sinkBuffers = 4
	// flushEvery is after how many bytes the disk is told to begin writing, so
	// that fsync has little left to wait for.
	flushEvery = 8 << 20
)

// sink writes a file from its beginning and hashes it on the way, in a goroutine
// of its own. (To copy in the kernel with copy_file_range and to read all of it
// back for the hash took 1.4 times as long, and more of the processor.)
type sink struct {
	out     *os.File
	buf     []byte // not written yet
	at      int64  // bytes taken, written or not
	flushed int64

	free chan []byte
	work chan chunk
	done chan struct{}
	sum  hash.Hash
}

// chunk is what is hashed next: bytes, or so many zeroes.
type chunk struct {
	data   []byte
	zeroes int64
}

func newSink(out *os.File) *sink {
	s := &sink{
		out: out, free: make(chan []byte, sinkBuffers), work: make(chan chunk, sinkBuffers),
		done: make(chan struct{}), sum: sha256.New(),
	}
	for range sinkBuffers - 1 {
		s.free <- make([]byte, 0, sinkSize)
	}
	s.buf = make([]byte, 0, sinkSize)
	go s.hash()
	return s
}

func (s *sink) hash() {
	defer close(s.done)
	var zeroes [4096]byte
	for c := range s.work {
		for ; c.zeroes > 0; c.zeroes -= min(c.zeroes, int64(len(zeroes))) {
			s.sum.Write(zeroes[:min(c.zeroes, int64(len(zeroes)))])
		}
		if c.data != nil {
			s.sum.Write(c.data)
			s.free <- c.data[:0]
		}
	}
}

// Write implements io.Writer.
func (s *sink) Write(b []byte) (n int, err error) {
	for len(b) > 0 {
		k := copy(s.buf[len(s.buf):cap(s.buf)], b)
		s.buf, b = s.buf[:len(s.buf)+k], b[k:]
		s.at += int64(k)
		n += k
		if err := s.flushFull(); err != nil {
			return n, err
		}
	}
	return n, nil
}

// copy writes a range of another file. It is errChanged if that is shorter.
func (s *sink) copy(in io.ReaderAt, sp span) error {
	for sp.size > 0 {
		want := min(sp.size, int64(cap(s.buf)-len(s.buf)))
		n, err := in.ReadAt(s.buf[len(s.buf):len(s.buf)+int(want)], sp.offset)
		s.buf = s.buf[:len(s.buf)+n]
		s.at += int64(n)
		if int64(n) < want {
			if errors.Is(err, io.EOF) {
				return errChanged
			}
			return err
		}
		sp.offset, sp.size = sp.offset+want, sp.size-want
		if err := s.flushFull(); err != nil {
			return err
		}
	}
	return nil
}

// skip writes n zeroes as a hole.
func (s *sink) skip(n int64) error {
	if err := s.flush(); err != nil {
		return err
	}
	if _, err := s.out.Seek(n, io.SeekCurrent); err != nil {
		return err
	}
	s.at += n
	s.work <- chunk{zeroes: n}
	return nil
}

func (s *sink) flushFull() error {
	if len(s.buf) < cap(s.buf) {
		return nil
	}
	return s.flush()
}

func (s *sink) flush() error {
	if _, err := s.out.Write(s.buf); err != nil {
		return err
	}
	s.work <- chunk{data: s.buf}
	s.buf = <-s.free
	if s.at-s.flushed < flushEvery {
		return nil
	}
	at := s.flushed
	s.flushed = s.at
	return startWriteback(s.out, at, s.at-at)
}

// close writes what is left, waits for the hash and returns it. It must be
// called, whatever has failed before.
func (s *sink) close() (sum string, err error) {
	err = s.flush()
	close(s.work)
	<-s.done
	if err == nil {
		err = s.out.Truncate(s.at) // to end in a hole
	}
	return hex.EncodeToString(s.sum.Sum(nil)), err
}
