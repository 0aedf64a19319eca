package archive

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// hours records n segments in each of several hours, and returns them all.
func (b *bench) hours(hours, n, size int) []Entry {
	var all []Entry
	for range hours {
		b.clock.now = b.clock.now.Truncate(time.Hour).Add(time.Hour)
		b.clock.up += time.Hour
		all = append(all, b.record(n, size)...)
	}
	return all
}

func (b *bench) maintain() {
	b.t.Helper()
	if err := b.w.Maintain(context.Background()); err != nil {
		b.t.Fatal(err)
	}
}

func memoryBench(t testing.TB, p Policy) *bench {
	b := newBenchIn(t, memoryDir(t))
	b.o.FS = newFaults(0, nil)
	b.o.Policy = p
	return b.open()
}

func (b *bench) dropped(why Reason) (d Drop) {
	for _, x := range b.drops {
		if x.Reason == why {
			d.Segments, d.Bytes, d.Days = d.Segments+x.Segments, d.Bytes+x.Bytes, d.Days+x.Days
		}
	}
	return d
}

func TestRetainAge(t *testing.T) {
	b := memoryBench(t, Policy{Window: 3, MinFree: -1, Segments: Limits{Age: 3 * time.Hour}})
	all := b.hours(8, 10, 100)
	b.maintain()
	found := b.scan()
	if len(found) != 40 || found[0].Seq != all[40].Seq { // 3 h, by the hour
		t.Errorf("%d segments are left, from %s", len(found), found[0].Time())
	}
	if d := b.dropped(ReasonAge); d.Segments != 40 || d.Bytes != 4000 {
		t.Errorf("dropped %+v", d)
	}
	b.check(true)
}

// TestRetainAgeIdle: a dead camera's recordings get old, too, but what the
// live playlist needs stays.
func TestRetainAgeIdle(t *testing.T) {
	b := memoryBench(t, Policy{Window: 3, MinFree: -1, Segments: Limits{Age: 3 * time.Hour}})
	all := b.hours(4, 10, 100)
	for range 30 {
		b.clock.advance(time.Hour)
		b.maintain()
	}
	found := b.scan()
	if len(found) != 10 || found[9].Seq != all[39].Seq {
		t.Errorf("%d segments are left", len(found))
	}
	b.close()
	b.check(true)
	b.open()
	if next := b.record(1, 100)[0]; next.Seq != all[39].Seq+1 {
		t.Errorf("goes on with %d after %d", next.Seq, all[39].Seq)
	}
}

func TestRetainBytes(t *testing.T) {
	for _, limit := range []int64{500, 2500, 4200, 10_000} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			p := Policy{Window: 3, MinFree: -1, Segments: Limits{Bytes: limit}}
			b := memoryBench(t, p)
			all := b.hours(5, 30, 100)
			found := b.scan()
			want := max(int(limit), p.protected()*100)
			have := len(found) * 100
			if have > want || have < want-want/slack-200 {
				t.Errorf("%d bytes are kept of at most %d", have, want)
			}
			if found[len(found)-1].Seq != all[149].Seq || b.w.Bytes() != int64(have) {
				t.Errorf("ends with %d; counted %d", found[len(found)-1].Seq, b.w.Bytes())
			}
			if d := b.dropped(ReasonBytes); d.Segments != 150-len(found) || d.Bytes != int64(15000-have) {
				t.Errorf("dropped %+v", d)
			}
			b.check(true)
			b.close()
			b.open()
			b.check(true)
		})
	}
}

// space is a disk with a given number of free bytes, less what the archive has.
type space struct {
	*faults
	free func() int64
}

func (s space) Space(_, _ string) (int64, int64, error) { return 1 << 40, s.free(), nil }

func TestRetainFree(t *testing.T) {
	b := newBenchIn(t, memoryDir(t))
	others := int64(0)
	b.o.FS = space{newFaults(0, nil), func() int64 { return 20_000 - others - b.w.store.bytes() }}
	b.o.Policy = Policy{Window: 3, MinFree: 10_000}
	b.open()
	b.hours(3, 30, 100)
	if b.w.Bytes() != 9000 {
		t.Fatalf("%d bytes with room enough", b.w.Bytes())
	}
	others = 5000 // somebody else fills the disk
	b.clock.advance(spaceEvery)
	b.maintain()
	if got := b.w.Bytes(); got > 5000 || got < 4500 {
		t.Errorf("%d bytes are left of 5000", got)
	}
	others = 15_000
	b.clock.advance(spaceEvery)
	b.maintain()
	if got := b.w.Bytes(); got != 700 {
		t.Errorf("%d bytes are left: the live window is 700", got)
	}
	if b.dropped(ReasonFree).Bytes != 9000-700 {
		t.Errorf("dropped %+v", b.drops)
	}
	b.check(true)
}

func TestMinFree(t *testing.T) {
	for _, c := range []struct{ minFree, size, want int64 }{
		{0, 100 << 20, 1 << 20}, {0, 1 << 50, 1 << 30}, {7, 1 << 40, 7}, {-1, 1 << 40, 0},
	} {
		if got := (Policy{MinFree: c.minFree}).minFree(c.size); got != c.want {
			t.Errorf("MinFree %d of %d: %d; want %d", c.minFree, c.size, got, c.want)
		}
	}
}

// dayFile makes a day file with its manifest.
func (b *bench) dayFile(date string, size int) {
	b.t.Helper()
	if err := os.MkdirAll(b.path(DaysFolder), folderMode); err != nil {
		b.t.Fatal(err)
	}
	for path, data := range map[string][]byte{b.o.Dir.DayFile(date): make([]byte, size), b.o.Dir.Manifest(date): []byte(`{"seconds":12.5}`)} {
		if err := os.WriteFile(path, data, fileMode); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *bench) dates() []string {
	b.t.Helper()
	x, err := ReadIndex(b.o.Dir)
	if err != nil {
		b.t.Fatal(err)
	}
	var dates []string
	for _, d := range x.Days {
		dates = append(dates, d.Date)
	}
	return dates
}

func TestRetainDays(t *testing.T) {
	b := memoryBench(t, Policy{Window: 3, MinFree: -1})
	part := b.path(DaysFolder, "2026-11-18-2.mp4") // the day's second file
	for _, date := range []string{"2026-11-18", "2026-11-19", "2026-11-20", "2026-11-21", "2026-11-22"} {
		b.dayFile(date, 100)
	}
	making := b.o.Dir.DayFile("2026-11-01") // no manifest yet
	for _, path := range []string{part, making} {
		if err := os.WriteFile(path, make([]byte, 10), fileMode); err != nil {
			t.Fatal(err)
		}
	}
	b.clock.now = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	b.record(1, 100)
	b.clock.now = began
	b.clock.up += 72 * time.Hour
	b.w.Update(Policy{Window: 3, MinFree: -1, Days: Limits{Age: 3 * 24 * time.Hour, Bytes: 250}})
	b.record(1, 100)
	if got := b.dates(); !slices.Equal(got, []string{"2026-11-21", "2026-11-22"}) {
		t.Errorf("days left: %v", got)
	}
	if a, s := b.dropped(ReasonAge), b.dropped(ReasonBytes); a.Days != 2 || a.Bytes != 210 || s.Days != 1 || s.Bytes != 100 {
		t.Errorf("dropped %+v", b.drops)
	}
	marks, _ := filepath.Glob(b.path(DaysFolder, "*"+droppedSuffix))
	if want := []string{b.o.Dir.DayDropped("2026-11-19"), b.o.Dir.DayDropped("2026-11-20")}; !slices.Equal(marks, want) {
		t.Errorf("marks: %v; the days whose segments are still there are %v", marks, want)
	}
	if _, err := os.Stat(part); !os.IsNotExist(err) {
		t.Errorf("the dropped day's second file is left: %v", err)
	}
	if _, err := os.Stat(making); err != nil {
		t.Errorf("a day file was dropped while it was being made: %v", err)
	}
	if err := os.Remove(making); err != nil {
		t.Fatal(err)
	}
	b.w.Update(Policy{Window: 3, MinFree: -1, Days: Limits{Age: time.Hour, Bytes: 1}})
	b.clock.advance(daysEvery)
	b.record(1, 100)
	if got := b.dates(); !slices.Equal(got, []string{"2026-11-22"}) {
		t.Errorf("the newest day is not kept: %v", got)
	}
	b.check(true)
}

// TestDropOrder: on a full disk, what is kept twice goes first, then the oldest.
func TestDropOrder(t *testing.T) {
	b := memoryBench(t, Policy{Window: 3, MinFree: -1})
	b.clock.now = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	b.hours(1, 5, 1000) // the 20th, in a day file
	b.clock.now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	b.hours(1, 5, 1000) // the 21st, not in one
	b.clock.now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	b.hours(1, 20, 1000)
	b.dayFile("2026-11-19", 5000)
	b.dayFile("2026-11-20", 5000)
	b.dayFile("2026-11-22", 5000)
	var order []string
	for {
		before, days := len(b.scan()), b.o.Dir
		st := b.w.store
		st.mu.Lock()
		ok := st.makeRoom(context.Background(), b.w.currentPolicy())
		st.mu.Unlock()
		if !ok {
			break
		}
		if n := before - len(b.scan()); n > 0 {
			order = append(order, fmt.Sprintf("%d from %s", n, b.drops[len(b.drops)-1].Reason))
		} else {
			files, _ := filepath.Glob(filepath.Join(string(days), DaysFolder, "*.mp4"))
			order = append(order, fmt.Sprintf("day, %d left", len(files)))
		}
	}
	t.Log(order)
	if order[0] != "5 from full" || order[1] != "day, 2 left" {
		t.Errorf("dropped in this order: %v", order)
	}
	if left, files := len(b.scan()), b.scan(); left != 7 || files[6].Time().Day() != 23 {
		t.Errorf("%d segments are left", left)
	}
	if _, err := os.Stat(b.o.Dir.DayFile("2026-11-22")); err != nil {
		t.Errorf("the newest day is gone: %v", err)
	}
	b.record(1, 100)
	b.check(true)
}

// TestSurvey: hours that Open left for later are put in order and counted.
func TestSurvey(t *testing.T) {
	b := memoryBench(t, Policy{Window: 3, MinFree: -1})
	all := b.hours(12, 10, 100)
	b.close()
	for _, e := range []Entry{all[5], all[31]} {
		if err := os.Remove(b.o.Dir.Segment(e.Time())); err != nil {
			t.Fatal(err)
		}
	}
	b.open()
	if got := b.w.Bytes(); got >= 11800 {
		t.Errorf("all %d bytes are known at once", got)
	}
	for range 12 {
		b.maintain()
	}
	if got := b.w.Bytes(); got != 11800 {
		t.Errorf("%d bytes are counted", got)
	}
	b.check(true)
}
