package hls2mpeg

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestExport(t *testing.T) {
	t.Parallel()
	c := newCamera(t)
	end := c.record(plain(t, 10), noon, "a", nil)
	c.record(plain(t, 4), end.Add(time.Minute), "b", nil)
	for _, tc := range []struct {
		name     string
		from, to time.Duration
		seconds  float64
		segments int
	}{
		{"inside a segment", 2500 * time.Millisecond, 3 * time.Second, 2, 1},
		{"over two", 3 * time.Second, 5 * time.Second, 4, 2},
		{"on the edges", 2 * time.Second, 4 * time.Second, 2, 1},
		{"over a gap", 8 * time.Second, 2 * time.Minute, 6, 3},
		{"everything, and the future", -time.Hour, 24 * 365 * time.Hour, 14, 7},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "clip.mp4")
			c.must(os.WriteFile(path, []byte("an older one"), 0o644))
			o := c.options()
			var last, total int64
			o.Progress = func(done, of int64) {
				if done <= last || of != total && total != 0 {
					t.Errorf("%d of %d after %d of %d", done, of, last, total)
				}
				last, total = done, of
			}
			m, err := Export(t.Context(), o, noon.Add(tc.from), noon.Add(tc.to), path)
			if err != nil {
				t.Fatal(err)
			}
			if len(m.Segments) != tc.segments || last != total || total == 0 {
				t.Errorf("%d segments, want %d; copied %d of %d", len(m.Segments), tc.segments, last, total)
			}
			decodes(t, path)
			// With B-frames a segment begins with up to two frames of sound alone.
			near(t, "the clip", duration(t, path), tc.seconds, 3)
			left, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
			if err != nil || len(left) != 1 {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
}

func TestExportRefuses(t *testing.T) {
	t.Parallel()
	c := newCamera(t)
	c.every(noon)
	path := filepath.Join(t.TempDir(), "clip.mp4")
	if _, err := Export(t.Context(), c.options(), noon.Add(time.Hour), noon.Add(2*time.Hour), path); !errors.Is(err, ErrEmpty) {
		t.Errorf("nothing recorded: %v", err)
	}
	if _, err := Export(t.Context(), c.options(), noon, noon, path); err == nil {
		t.Error("no time between from and to")
	}
	if _, err := Export(t.Context(), c.options(), noon, noon.Add(time.Hour), "/nowhere/clip.mp4"); err == nil {
		t.Error("made a file in a folder that is not there")
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("there is a file")
	}
}
