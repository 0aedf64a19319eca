package archive

import (
	"context"
	"testing"
	"time"
)

// TestDefaults records on the real disk, clock and limits.
func TestDefaults(t *testing.T) {
	dir := Dir(t.TempDir())
	w, err := Open(context.Background(), Options{Dir: dir, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := w.Init(initData("x")); err != nil {
		t.Fatal(err)
	}
	s, err := w.Create(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.WriteBuffers(fragment(100)); err != nil {
		t.Fatal(err)
	}
	before := time.Now().Unix()
	if err := s.Commit(Entry{Duration: twoSeconds, Frames: 50}); err != nil {
		t.Fatal(err)
	}
	// An empty archive counts from the clock.
	if e := s.Entry(); int64(e.Seq) > before || int64(e.Seq) < before-60 || e.Bytes != 100 {
		t.Errorf("entry is %+v", e)
	}
	if err := w.Maintain(context.Background()); err != nil {
		t.Fatal(err)
	}
	size, free, err := OS{}.Space("space", string(dir))
	if err != nil || size <= 0 || free < 0 || free > size {
		t.Errorf("size %d, free %d, %v", size, free, err)
	}
	if _, _, err := (OS{}).Space("space", string(dir)+"/nowhere"); err == nil {
		t.Error("a folder that is not there has space")
	}
}

func TestDayOf(t *testing.T) {
	for name, want := range map[string][2]string{
		"2026-11-22.mp4":       {"2026-11-22", ".mp4"},
		"2026-11-22-2.mp4":     {"2026-11-22", ".mp4"},
		"2026-11-22.json":      {"2026-11-22", ".json"},
		"2026-11-22.dropped":   {"2026-11-22", ".dropped"},
		"2026-11-22.mp4.tmp":   {},
		"2026-11-22-1.mp4":     {},
		"2026-11-22-x.mp4":     {},
		"2026-11-22-2.json":    {},
		"2026-13-22.mp4":       {},
		"clip.mp4":             {},
		"":                     {},
		"2026-11-22-2.dropped": {},
	} {
		date, kind, ok := dayOf(name)
		if ok != (want[0] != "") || ok && (date != want[0] || kind != want[1]) {
			t.Errorf("%q: %q, %q, %v", name, date, kind, ok)
		}
	}
}

// TestDayEnd: a local day has 23, 24 or 25 hours.
func TestDayEnd(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no time zones here: ", err)
	}
	for date, want := range map[string]string{
		"2026-03-28": "2026-03-28T23:00:00Z", // the day before summer time
		"2026-03-29": "2026-03-29T22:00:00Z",
		"2026-10-25": "2026-10-25T23:00:00Z",
	} {
		if got := dayEnd(date, berlin).UTC().Format(time.RFC3339); got != want {
			t.Errorf("%s ends at %s; want %s", date, got, want)
		}
	}
}
