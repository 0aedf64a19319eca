package hls2mpeg

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"camfleet.dev/workers/archive"
)

// synthetic is two seconds of H.264 that one archive can hold many of.
func synthetic(t testing.TB) stream {
	t.Helper()
	return encode(t, testVideo(2, "-c:v", "libx264", "-bf", "0", "-g", "50")...)
}

// every records two seconds at each of these times, each a session.
func (c *camera) every(times ...time.Time) {
	c.t.Helper()
	s := synthetic(c.t)
	for _, at := range times {
		c.record(s, at, at.UTC().Format("20060102T150405"), nil)
	}
}

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func TestLocalDays(t *testing.T) {
	for _, tc := range []struct {
		zone, date string
		hours      float64
	}{
		{"UTC", "2026-11-22", 24},
		{"Europe/Berlin", "2026-03-28", 24},
		{"Europe/Berlin", "2026-03-29", 23},
		{"Europe/Berlin", "2026-10-25", 25},
		{"America/Santiago", "2026-04-04", 25}, // clocks go back at midnight
		{"America/Santiago", "2026-09-06", 23}, // there is no midnight
		{"Australia/Lord_Howe", "2026-10-04", 23.5},
		{"America/Havana", "2026-11-01", 25}, // 00:00 comes twice
		{"America/Havana", "2026-10-31", 24},
		{"America/Havana", "2026-03-08", 23}, // there is no 00:00
		{"Pacific/Apia", "2011-12-29", 24},   // and then there was no 30th
		{"Asia/Kolkata", "2026-11-22", 24},
	} {
		t.Run(tc.zone+"/"+tc.date, func(t *testing.T) {
			t.Parallel()
			o := Options{Location: zone(t, tc.zone)}
			from, to, err := o.bounds(tc.date)
			if err != nil || to.Sub(from).Hours() != tc.hours {
				t.Errorf("%v to %v: %v, %v", from, to, to.Sub(from), err)
			}
			before := from.Add(-time.Millisecond)
			if from.Format(archive.DateLayout) != tc.date || before.Format(archive.DateLayout) == tc.date ||
				to.Add(-time.Millisecond).Format(archive.DateLayout) != tc.date || to.Format(archive.DateLayout) == tc.date {
				t.Errorf("%s is not %v to %v", tc.date, from, to)
			}
		})
	}
}

// Every segment is in exactly one day file, whatever the clocks do.
func TestRunOverClockChange(t *testing.T) {
	for _, tc := range []struct{ zone, date string }{{"Europe/Berlin", "2026-10-25"}, {"America/Santiago", "2026-09-06"}} {
		t.Run(tc.zone, func(t *testing.T) {
			t.Parallel()
			c, o := newCamera(t), Options{Location: zone(t, tc.zone)}
			from, to, err := o.bounds(tc.date)
			c.must(err)
			c.every(from.Add(-time.Hour), from.Add(-2*time.Second), from.Add(-time.Second/2+2*time.Second),
				from.Add(3*time.Hour), to.Add(-time.Second), to.Add(time.Second))
			o = c.options()
			o.Location = zone(t, tc.zone)
			made, err := Run(t.Context(), o)
			if err != nil || len(made) != 3 || made[1] != tc.date {
				t.Fatalf("made %v, %v", made, err)
			}
			for i, want := range []int{2, 3, 1} {
				m := c.manifest(made[i])
				if len(m.Segments) != want || m.Sessions != want {
					t.Errorf("%s: %d segments, want %d", made[i], len(m.Segments), want)
				}
			}
			if m := c.manifest(tc.date); !m.From.Equal(from) || !m.To.Equal(to) || m.TimeZone != tc.zone {
				t.Errorf("manifest: %v %v %s", m.From, m.To, m.TimeZone)
			}
		})
	}
}

func TestRunCatchesUpAndIsIdempotent(t *testing.T) {
	t.Parallel()
	c := newCamera(t)
	day := 24 * time.Hour
	c.every(noon, noon.Add(day), noon.Add(3*day), noon.Add(4*day)) // nothing on the 24th
	o := c.options()
	now := noon.Add(4*day + 11*time.Hour)
	o.Now = func() time.Time { return now }
	c.must(os.MkdirAll(filepath.Join(string(c.dir), archive.DaysFolder), 0o755))
	left := c.dir.DayFile("2026-11-22") + partSuffix
	c.must(os.WriteFile(left, []byte("left by a killed process"), 0o644))

	made, err := Run(t.Context(), o)
	if want := []string{"2026-11-22", "2026-11-23", "2026-11-25"}; err != nil || !slices.Equal(made, want) {
		t.Fatalf("made %v, %v; want %v", made, err, want)
	}
	before := names(t, c)
	if made, err := Run(t.Context(), o); err != nil || len(made) != 0 {
		t.Errorf("the second run made %v, %v", made, err)
	}
	if after := names(t, c); !slices.Equal(before, after) {
		t.Errorf("the second run left\n%v, before there was\n%v", after, before)
	}
	if want := []string{"2026-11-22.json", "2026-11-22.mp4", "2026-11-23.json", "2026-11-23.mp4", "2026-11-25.json", "2026-11-25.mp4"}; !slices.Equal(before, want) {
		t.Errorf("files %v", before)
	}
	x, err := archive.ReadIndex(c.dir)
	if err != nil || len(x.Days) != 3 || x.Days[0].Date != "2026-11-22" || x.Days[0].Seconds != 2 {
		t.Errorf("index %+v, %v", x, err)
	}

	now = now.Add(day) // the 26th is over now; the 23rd was dropped by retention, the 25th by hand
	c.must(os.Rename(c.dir.Manifest("2026-11-23"), c.dir.DayDropped("2026-11-23")))
	c.must(os.Remove(c.dir.DayFile("2026-11-23")))
	c.must(os.Remove(c.dir.Manifest("2026-11-25")))
	if made, err := Run(t.Context(), o); err != nil || !slices.Equal(made, []string{"2026-11-25", "2026-11-26"}) {
		t.Errorf("then made %v, %v", made, err)
	}
}

// names are the files beside the day files.
func names(t *testing.T, c *camera) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(string(c.dir), archive.DaysFolder))
	c.must(err)
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestDayRefuses(t *testing.T) {
	t.Parallel()
	c := newCamera(t)
	c.every(noon)
	o := c.options()
	for _, bad := range []string{"", "2026-13-01", "22.11.2026", "../../etc"} {
		if err := Day(t.Context(), o, bad); err == nil {
			t.Errorf("%q was taken for a date", bad)
		}
	}
	if err := Day(t.Context(), o, "2026-11-21"); !errors.Is(err, ErrEmpty) {
		t.Errorf("a day without recordings: %v", err)
	}
	if o.Now = func() time.Time { return noon.Add(12 * time.Hour) }; Day(t.Context(), o, date) == nil {
		t.Error("a day file was made before the last segment of the day can be there")
	}
	if made, err := Run(t.Context(), Options{Dir: c.dir + "/none", Location: time.UTC, Log: o.Log}); err != nil || made != nil {
		t.Errorf("no archive: made %v, %v", made, err)
	}
	if _, err := os.Stat(string(c.dir + "/none")); err == nil {
		t.Error("an archive was made")
	}
}

func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	c := newCamera(t)
	c.every(noon)
	c.must(os.MkdirAll(filepath.Join(string(c.dir), archive.DaysFolder), 0o755))
	other, err := openPart(c.dir.DayFile(date) + partSuffix)
	c.must(err)
	if err := Day(t.Context(), c.options(), date); !errors.Is(err, ErrBusy) {
		t.Errorf("while another process makes the file: %v", err)
	}
	if made, err := Run(t.Context(), c.options()); err != nil || made != nil {
		t.Errorf("while another process makes the file: made %v, %v", made, err)
	}
	if _, err := os.Stat(other.Name()); err != nil {
		t.Errorf("the other process's file: %v", err)
	}
	c.must(other.Close())
	if made, err := Run(t.Context(), c.options()); err != nil || len(made) != 1 {
		t.Errorf("after it has died: made %v, %v", made, err)
	}
}
