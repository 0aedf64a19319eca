package archive

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestRetainDamaged holds that retention goes past what it cannot drop, drops
// what is damaged when its time has come, and never the newest for it.
func TestRetainDamaged(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		policy Policy
	}{
		{"age", Policy{Window: 3, MinFree: -1, Segments: Limits{Age: 3 * time.Hour}}},
		{"bytes", Policy{Window: 3, MinFree: -1, Segments: Limits{Bytes: 32 * 1000}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBenchIn(t, memoryDir(t))
			b.o.Policy = c.policy
			stuck := b.o.Dir.Hour(began.Add(time.Hour))
			var said string
			b.o.Damaged = func(s string) { said = s }
			b.o.FS = refuser{refuse: func(op, name string) error {
				if strings.HasPrefix(name, stuck) && (strings.HasPrefix(op, "drop.") || strings.HasPrefix(op, "journal.replace")) {
					return &fs.PathError{Op: op, Path: name, Err: unix.EACCES}
				}
				return nil
			}}
			b.open()
			b.hours(8, 10, 1000)
			b.maintain()
			if !strings.Contains(said, "permission denied") {
				t.Errorf("said %q", said)
			}
			hours := map[time.Time]int{}
			for _, l := range b.scan() {
				hours[hourOf(l.Start)]++
			}
			if n := len(hours); n < 4 || n > 5 || hours[hourOf(b.clock.now.UnixMilli())] != 10 {
				t.Errorf("left: %v", hours)
			}
			if hours[began.Truncate(time.Hour).Add(time.Hour)] != 10 {
				t.Error("the hour that cannot be dropped is not there")
			}
			b.o.FS = nil
			b.close()
			b.open().record(1, 1000)
			b.maintain()
			if _, err := os.Stat(stuck); !errors.Is(err, fs.ErrNotExist) || said != "" {
				t.Errorf("it can be dropped, and is not: %v, %q", err, said)
			}
		})
	}
}

// TestRetainUnreadable drops an hour by its age that nobody can read.
func TestRetainUnreadable(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.o.Policy = Policy{Window: 3, MinFree: -1, Segments: Limits{Age: 3 * time.Hour}}
	all := b.open().hours(1, 10, 1000)
	b.close()
	journal := filepath.Join(b.o.Dir.Hour(all[0].Time()), JournalName)
	if err := errors.Join(os.Remove(journal), os.Mkdir(journal, 0o755)); err != nil {
		t.Fatal(err)
	}
	b.open()
	b.hours(6, 10, 1000)
	b.maintain()
	if _, err := os.Stat(b.o.Dir.Hour(all[0].Time())); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}

// TestRetainDamagedDay goes past a day file that cannot be dropped.
func TestRetainDamagedDay(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.o.Policy.Days = Limits{Age: 24 * time.Hour}
	for _, date := range []string{"2026-11-01", "2026-11-02", "2026-11-03"} {
		put(t, b.o.Dir.Manifest(date), "{}")
		put(t, b.o.Dir.DayFile(date), "x")
	}
	first := b.o.Dir.DayFile("2026-11-01")
	if err := os.Remove(first); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(first, "inside"), "x")
	b.open()
	_ = b.w.Maintain(context.Background()) // it says what it could not do
	if _, err := os.Stat(b.o.Dir.DayFile("2026-11-02")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the second is still there: %v", err)
	}
	if _, err := os.Stat(b.o.Dir.DayFile("2026-11-03")); err != nil {
		t.Errorf("the newest is not: %v", err)
	}
	b.record(1, 1000)
}
