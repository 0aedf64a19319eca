package archive

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"testing"
	"time"
)

// began is when the tests' recordings begin: shortly before an hour is over.
var began = time.Date(2026, 11, 23, 3, 59, 56, 0, time.UTC)

const twoSeconds = 2 * Timescale

// clock is a wall clock and an uptime that a test sets.
type clock struct {
	now time.Time
	up  time.Duration
}

func (c *clock) advance(d time.Duration) { c.now, c.up = c.now.Add(d), c.up+d }

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// box makes an ISO box with n bytes of content.
func box(kind string, n int) []byte {
	b := make([]byte, 8+n)
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	copy(b[4:], kind)
	return b
}

// fragment makes what looks like a moof and an mdat, size bytes together.
func fragment(size int) net.Buffers {
	return net.Buffers{box("moof", 16), box("mdat", size-24-8)}
}

func initData(name string) []byte { return append(box("ftyp", 4), append(box("moov", 4), name...)...) }

// bench is an archive under test with a clock of its own.
type bench struct {
	t     testing.TB
	clock *clock
	o     Options
	w     *Writer
	drops []Drop
}

func newBench(t testing.TB) *bench { return newBenchIn(t, t.TempDir()) }

// memoryDir is a folder in memory, where there is one: for tests that make
// many small files and lose nothing by it.
func memoryDir(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "camfleet-archive-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func newBenchIn(t testing.TB, dir string) *bench {
	b := &bench{t: t, clock: &clock{now: began}}
	b.o = Options{
		Dir: Dir(dir), Log: quiet(), Policy: Policy{MinFree: -1},
		Now:     func() time.Time { return b.clock.now },
		Uptime:  func() time.Duration { return b.clock.up },
		Dropped: func(d Drop) { b.drops = append(b.drops, d) },
	}
	return b
}

func (b *bench) open() *bench {
	b.t.Helper()
	w, err := Open(context.Background(), b.o)
	if err != nil {
		b.t.Fatal(err)
	}
	b.w = w
	b.t.Cleanup(func() { w.Close() })
	if _, err := w.Init(initData("one")); err != nil {
		b.t.Fatal(err)
	}
	return b
}

func (b *bench) close() {
	b.t.Helper()
	if err := b.w.Close(); err != nil {
		b.t.Fatal(err)
	}
}

// try records one segment of two seconds that begins now, and lets them pass.
func (b *bench) try(size int) (Entry, error) {
	s, err := b.w.Create(b.clock.now)
	b.clock.advance(2 * time.Second)
	if err != nil {
		return Entry{}, err
	}
	if _, err := s.WriteBuffers(fragment(size)); err != nil {
		s.Abort()
		return Entry{}, err
	}
	err = s.Commit(Entry{Duration: twoSeconds, Frames: 50})
	return s.Entry(), err
}

// record is try for n segments that must succeed.
func (b *bench) record(n, size int) []Entry {
	b.t.Helper()
	var all []Entry
	for range n {
		e, err := b.try(size)
		if err != nil {
			b.t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

func (b *bench) scan() []Located {
	b.t.Helper()
	found, err := Scan(context.Background(), b.o.Dir, time.Time{}, time.Time{})
	if err != nil {
		b.t.Fatal(err)
	}
	return found
}

// check fails on broken invariants; clean also on what waits to be tidied up.
func (b *bench) check(clean bool) *Report {
	b.t.Helper()
	r, err := Check(context.Background(), b.o.Dir)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := r.Err(); err != nil {
		b.t.Errorf("broken: %v", err)
	}
	if clean && len(r.Notes) > 0 {
		b.t.Errorf("not tidy: %v", r.Notes)
	}
	return r
}

func mustBe(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v; want %v", err, want)
	}
}
