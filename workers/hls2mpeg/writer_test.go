package hls2mpeg

import (
	"os"
	"testing"
	"time"

	"camfleet.dev/workers/archive"
)

// The archive's own writer makes what Day reads, and goes on writing beside it.
func TestBesideWriter(t *testing.T) {
	t.Parallel()
	c := newCamera(t)
	now := noon.Add(10 * time.Second)
	w, err := archive.Open(t.Context(), archive.Options{Dir: c.dir, Log: c.options().Log, Now: func() time.Time { return now }})
	c.must(err)
	s := plain(t, 6)
	write := func(start time.Time, gap *archive.Gap) {
		w.Session(gap)
		_, err := w.Init(s.init)
		c.must(err)
		for i, path := range s.segments {
			seg, err := w.Create(start.Add(time.Duration(i) * 2 * time.Second))
			c.must(err)
			b, err := os.ReadFile(path)
			c.must(err)
			_, err = seg.Write(b)
			c.must(err)
			c.must(seg.Commit(archive.Entry{Duration: 2 * archive.Timescale, Frames: 50}))
		}
	}
	write(noon, nil)
	write(noon.Add(time.Minute), &archive.Gap{Since: noon.Add(6 * time.Second).UnixMilli(), Cause: "stalled"})
	now = noon.Add(24 * time.Hour)
	write(now, &archive.Gap{Since: noon.Add(66 * time.Second).UnixMilli(), Cause: "unreachable"})
	open, err := w.Create(now.Add(time.Minute))
	c.must(err)

	o := c.options()
	o.Now = func() time.Time { return now.Add(time.Minute) }
	made, err := Run(t.Context(), o)
	if err != nil || len(made) != 1 {
		t.Fatalf("made %v, %v", made, err)
	}
	decodes(t, c.dir.DayFile(date))
	near(t, "the file", duration(t, c.dir.DayFile(date)), 12, 2)
	m := c.manifest(date)
	want := []Gap{
		{noon.Add(6 * time.Second).UnixMilli(), noon.Add(time.Minute).UnixMilli(), "stalled"},
		{noon.Add(66 * time.Second).UnixMilli(), noon.Add(12 * time.Hour).UnixMilli(), "unreachable"},
	}
	if len(m.Gaps) != 2 || m.Gaps[0] != want[0] || m.Gaps[1] != want[1] {
		t.Errorf("gaps %v, want %v", m.Gaps, want)
	}
	open.Abort()
	c.must(w.Close())
	report, err := archive.Check(t.Context(), c.dir)
	c.must(err)
	c.must(report.Err())
	if x, err := archive.ReadIndex(c.dir); err != nil || len(x.Days) != 1 || x.Days[0].Seconds != m.Seconds || x.Days[0].Bytes != m.Bytes {
		t.Errorf("index %+v, %v", x, err)
	}
}
