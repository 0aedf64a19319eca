package archive

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"camfleet.dev/workers/media"
)

func (b *bench) live() Playlist {
	b.t.Helper()
	list, err := b.w.store.readLive()
	if err != nil {
		b.t.Fatal(err)
	}
	return list
}

func (b *bench) path(parts ...string) string {
	return filepath.Join(append([]string{string(b.o.Dir)}, parts...)...)
}

// TestRecord follows one archive through an hour's end and a restart.
func TestRecord(t *testing.T) {
	b := newBench(t).open()
	first := b.record(4, 1000) // two in hour 03, two in hour 04
	b.check(true)
	for i, e := range first {
		if e.Seq != first[0].Seq+uint64(i) || e.Session != first[0].Session || e.Discontinuity != first[0].Discontinuity {
			t.Errorf("entry %d is %+v", i, e)
		}
	}
	over, err := os.ReadFile(b.path("2026-11-23", "03.m3u8"))
	if err != nil || !bytes.HasSuffix(over, []byte(tagEnd+"\n")) || !bytes.Contains(over, []byte(tagType+"VOD")) {
		t.Errorf("the playlist of the hour that is over is %q, %v", over, err)
	}
	open, err := os.ReadFile(b.path("2026-11-23", "04.m3u8"))
	if err != nil || bytes.Contains(open, []byte(tagEnd)) || !bytes.Contains(open, []byte(tagType+"EVENT")) {
		t.Errorf("the playlist of this hour is %q, %v", open, err)
	}
	b.close()
	b.clock.advance(5 * time.Second)
	next := b.open().record(1, 1000)[0]
	last := first[3]
	if next.Seq != last.Seq+1 || next.Discontinuity != last.Discontinuity+1 || next.Session == last.Session {
		t.Errorf("after a restart, %+v follows %+v", next, last)
	}
	if next.Gap == nil || next.Gap.Cause != string(media.CauseStopped) || next.Gap.Since != last.End().UnixMilli() {
		t.Errorf("the gap is %+v", next.Gap)
	}
	list := b.live()
	if len(list.Items) != 5 || !list.Items[4].Discontinuity || list.Sequence != first[0].Seq {
		t.Errorf("live is %+v", list)
	}
	b.check(true)
}

func TestWindowSlides(t *testing.T) {
	b := newBench(t).open()
	all := b.record(20, 500)
	list := b.live()
	if len(list.Items) != defaultWindow || list.Sequence != all[20-defaultWindow].Seq || list.Target != 2 {
		t.Errorf("live is %+v", list)
	}
	b.w.Session(&Gap{Since: b.clock.now.UnixMilli(), Cause: "stalled"})
	b.record(defaultWindow, 500)
	list = b.live()
	for _, it := range list.Items {
		if it.Discontinuity {
			t.Error("a discontinuity that all of the window is behind is still marked")
		}
	}
	if list.Discontinuity != all[0].Discontinuity+1 {
		t.Errorf("discontinuity sequence %d after %d", list.Discontinuity, all[0].Discontinuity)
	}
}

// TestTargetDuration: it grows for a segment that is longer, stays for the
// session, and comes back with the next.
func TestTargetDuration(t *testing.T) {
	b := newBench(t).open()
	long := func(d int64) {
		t.Helper()
		s, err := b.w.Create(b.clock.now)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.WriteBuffers(fragment(100)); err != nil {
			t.Fatal(err)
		}
		if err := s.Commit(Entry{Duration: d}); err != nil {
			t.Fatal(err)
		}
		b.clock.advance(time.Duration(d) * time.Second / Timescale)
		b.check(true)
	}
	long(2 * Timescale)
	long(5 * Timescale)
	b.record(10, 100)
	if got := b.live().Target; got != 5 {
		t.Errorf("target is %d after a segment of 5 s", got)
	}
	b.w.Session(nil)
	b.record(1, 100)
	if got := b.live().Target; got != 2 {
		t.Errorf("target is %d in a new session", got)
	}
}

func TestInitChange(t *testing.T) {
	b := newBench(t).open()
	one := b.record(1, 100)[0]
	name, err := b.w.Init(initData("two"))
	if err != nil {
		t.Fatal(err)
	}
	two := b.record(1, 100)[0]
	if two.Init != name || two.Init == one.Init || two.Discontinuity != one.Discontinuity+1 || two.Session != one.Session {
		t.Errorf("%+v follows %+v", two, one)
	}
	_, _ = b.w.Init(initData("two"))
	if three := b.record(1, 100)[0]; three.Discontinuity != two.Discontinuity {
		t.Error("the same parameters again are a discontinuity")
	}
	b.check(true)
	if _, err := b.w.Init(nil); err == nil {
		t.Error("empty parameters are taken")
	}
}

func TestLocked(t *testing.T) {
	b := newBench(t).open()
	_, err := Open(context.Background(), b.o)
	var locked *LockedError
	if !errors.As(err, &locked) || locked.Holder.PID != os.Getpid() || !strings.Contains(err.Error(), "one camera has one writer") {
		t.Fatalf("a second writer: %v", err)
	}
	b.close()
	b.open()
}

// TestTakenOver: on a file system where flock does not reach the other machine,
// the session id does.
func TestTakenOver(t *testing.T) {
	b := newBench(t).open()
	b.record(1, 100)
	other := Holder{Session: "ffff", PID: 1, Host: "elsewhere"}
	l := &lock{dir: b.o.Dir, file: b.w.store.lock.file, holder: other}
	if err := l.write(); err != nil {
		t.Fatal(err)
	}
	_, err := b.try(100)
	mustBe(t, err, ErrLost)
	if !strings.Contains(err.Error(), "elsewhere") {
		t.Errorf("the error does not say who: %v", err)
	}
	mustBe(t, b.w.Maintain(context.Background()), ErrLost)
	b.close()
	if h := readHolder(b.o.Dir); h.Session != "ffff" || h.Closed {
		t.Errorf("the loser wrote %+v over the winner's lock", h)
	}
}

// TestMisuse is what a recorder can get wrong.
func TestMisuse(t *testing.T) {
	b := newBench(t)
	w, err := Open(context.Background(), b.o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Create(b.clock.now); err == nil || !strings.Contains(err.Error(), "initialization segment") {
		t.Errorf("without parameters: %v", err)
	}
	_, _ = w.Init(initData("x"))
	one, err := w.Create(b.clock.now)
	if err != nil {
		t.Fatal(err)
	}
	two, err := w.Create(b.clock.now.Add(2 * time.Second))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Segment{one, two} {
		if _, err := s.WriteBuffers(fragment(100)); err != nil {
			t.Fatal(err)
		}
	}
	if err := two.Commit(Entry{Duration: twoSeconds}); err != nil {
		t.Fatal(err)
	}
	if err := one.Commit(Entry{Duration: twoSeconds}); err == nil || !strings.Contains(err.Error(), "in the order") {
		t.Errorf("out of order: %v", err)
	}
	mustBe(t, two.Commit(Entry{}), errClosed)
	two.Abort()
	three, err := w.Create(b.clock.now.Add(4 * time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = three.Write([]byte("late"))
	mustBe(t, err, errClosed)
	_, err = w.Create(b.clock.now)
	mustBe(t, err, errClosed)
	mustBe(t, w.Maintain(context.Background()), errClosed)
	if r := b.check(true); r.Segments != 1 {
		t.Errorf("%d segments", r.Segments)
	}
	if _, err := Open(context.Background(), Options{}); err == nil {
		t.Error("an archive without a folder opens")
	}
}

// TestPipelined: Commit in another goroutine than Create and Write, as the
// recorder may do it; for the race detector.
func TestPipelined(t *testing.T) {
	b := newBench(t).open()
	ready, done := make(chan *Segment, 4), make(chan error, 1)
	go func() {
		for s := range ready {
			if err := s.Commit(Entry{Duration: twoSeconds, Frames: 50}); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for i := range 30 {
		if i == 15 {
			b.w.Session(nil)
		}
		s, err := b.w.Create(began.Add(time.Duration(i) * 2 * time.Second))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.WriteBuffers(fragment(300)); err != nil {
			t.Fatal(err)
		}
		ready <- s
		b.w.Update(Policy{Window: 3 + i%5, MinFree: -1})
		_, _ = b.w.Last()
		_ = b.w.Bytes()
	}
	close(ready)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	b.close()
	if r := b.check(true); r.Segments != 30 || r.Bytes != 30*300 {
		t.Errorf("%d segments, %d bytes", r.Segments, r.Bytes)
	}
}

// TestWritev: more buffers than one system call takes, some of them empty.
func TestWritev(t *testing.T) {
	b := newBench(t).open()
	s, err := b.w.Create(b.clock.now)
	if err != nil {
		t.Fatal(err)
	}
	payload := box("mdat", 3*maxIOV)
	bufs := net.Buffers{box("moof", 8), nil}
	for i := range payload {
		bufs = append(bufs, payload[i:i+1], []byte{})
	}
	n, err := s.WriteBuffers(bufs)
	if err != nil || n != int64(16+len(payload)) || len(bufs[2]) != 1 {
		t.Fatalf("wrote %d bytes, %v", n, err)
	}
	if err := s.Commit(Entry{Duration: twoSeconds}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(b.o.Dir.Segment(s.Start()))
	if err != nil || !bytes.Equal(got, append(box("moof", 8), payload...)) {
		t.Errorf("the file is not what was written: %v", err)
	}
	b.check(true)
}

func TestSkip(t *testing.T) {
	bufs := net.Buffers{[]byte("abc"), nil, []byte("de"), []byte("f")}
	for n := range 7 {
		if got := string(bytes.Join(skip(bufs, int64(n)), nil)); got != "abcdef"[n:] {
			t.Errorf("without %d bytes: %q", n, got)
		}
	}
}
