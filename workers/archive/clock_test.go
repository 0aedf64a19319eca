package archive

import (
	"context"
	"os"
	"testing"
	"time"
)

// TestClockSetBack: names only grow; the session keeps its distances.
func TestClockSetBack(t *testing.T) {
	b := newBench(t).open()
	before := b.record(3, 100)
	b.clock.now = b.clock.now.Add(-2 * time.Hour)
	b.w.Session(nil)
	after := b.record(3, 100)
	if after[0].Start != before[2].End().UnixMilli() {
		t.Errorf("begins at %s; recorded until %s", after[0].Time(), before[2].End())
	}
	if d := after[2].Start - after[0].Start; d != 4000 {
		t.Errorf("three segments of the session are %d ms apart", d)
	}
	b.check(true)
	b.close()
	b.open() // in the future of its clock
	more := b.record(2, 100)
	if err := more[0].follows(after[2]); err != nil {
		t.Error(err)
	}
	b.close()
	b.check(true)
}

// TestClockInSession: a recorder whose times step back in mid-session.
func TestClockInSession(t *testing.T) {
	b := newBench(t).open()
	one := b.record(1, 100)[0]
	b.clock.now = b.clock.now.Add(-10 * time.Second)
	two := b.record(2, 100)
	if two[0].Start != one.Start+1 || two[1].Start != two[0].Start+2000 {
		t.Errorf("starts are %d, %d, %d", one.Start, two[0].Start, two[1].Start)
	}
	b.check(true)
}

// TestClockAhead: a clock that is a year ahead for ten minutes costs some hours
// of the oldest recordings, and not everything.
func TestClockAhead(t *testing.T) {
	b := newBenchIn(t, memoryDir(t))
	b.o.FS = newFaults(0, nil)
	b.o.Policy.Segments.Age = 48 * time.Hour
	b.open()
	for range 40 {
		b.record(1, 100)
		b.clock.advance(time.Hour)
	}
	if err := b.w.Maintain(context.Background()); err != nil {
		t.Fatal(err)
	}
	right := b.clock.now
	b.clock.now = b.clock.now.Add(365 * 24 * time.Hour)
	for range 10 {
		b.clock.advance(time.Minute)
		if err := b.w.Maintain(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	b.clock.now = right.Add(10 * time.Minute)
	if err := b.w.Maintain(context.Background()); err != nil {
		t.Fatal(err)
	}
	if r := b.check(false); r.Segments < 35 {
		t.Errorf("only %d of 40 segments are left", r.Segments)
	}
}

// TestDeletedFolders: whatever somebody removes, numbers and names grow.
func TestDeletedFolders(t *testing.T) {
	for name, remove := range map[string]func(b *bench) string{
		"newest hour": func(b *bench) string { return b.path("2026-11-23", "04") },
		"the date":    func(b *bench) string { return b.path("2026-11-23") },
		"a journal":   func(b *bench) string { return b.path("2026-11-23", "04", JournalName) },
		"live":        func(b *bench) string { return b.path(LiveName) },
		"the lock":    func(b *bench) string { return b.path(LockName) },
		"the trash":   func(b *bench) string { return b.path(trashName) },
		"everything":  func(b *bench) string { return string(b.o.Dir) },
	} {
		for _, running := range []bool{true, false} {
			t.Run(name+map[bool]string{true: " while recording", false: " between runs"}[running], func(t *testing.T) {
				b := newBench(t).open()
				all := b.record(8, 100)
				if !running {
					b.close()
				}
				if err := os.RemoveAll(remove(b)); err != nil {
					t.Fatal(err)
				}
				b.clock.advance(10 * time.Second) // more than there were segments
				if !running {
					b.open()
				}
				b.w.Session(nil)
				if _, err := b.try(100); err != nil {
					t.Logf("the segment that noticed: %v", err)
				}
				next := b.record(2, 100)
				if err := next[0].follows(all[7]); err != nil {
					t.Error(err)
				}
				b.close()
				b.open()
				b.close()
				b.check(name != "a journal")
			})
		}
	}
}

// TestEmptyHourFolder: what a crash between folder and segment leaves.
func TestEmptyHourFolder(t *testing.T) {
	b := newBench(t).open()
	s, err := b.w.Create(b.clock.now)
	if err != nil {
		t.Fatal(err)
	}
	s.Abort()
	b.close()
	b.open().close()
	if _, err := os.Stat(b.path("2026-11-23")); !os.IsNotExist(err) {
		t.Errorf("an empty folder stays: %v", err)
	}
	b.check(false)
}
