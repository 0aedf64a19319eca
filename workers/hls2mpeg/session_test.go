package hls2mpeg

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"camfleet.dev/workers/archive"
)

// plain is a short H.264 stream with B-frames and sound.
func plain(t testing.TB, seconds int) stream {
	t.Helper()
	return encode(t, testVideo(seconds, "-f", "lavfi", "-i", fmt.Sprintf("sine=sample_rate=48000:duration=%d", seconds),
		"-c:v", "libx264", "-bf", "2", "-g", "50", "-c:a", "aac")...)
}

// near fails unless got is want, to one frame per session.
func near(t testing.TB, what string, got, want float64, sessions int) {
	t.Helper()
	if math.Abs(got-want) > 0.0401*float64(sessions) {
		t.Errorf("%s: %.3f s, want %.3f s", what, got, want)
	}
}

func TestSessionsFollowEachOther(t *testing.T) {
	t.Parallel()
	c := newCamera(t)
	s := plain(t, 4)
	end := c.record(s, noon, "a", &archive.Gap{Since: noon.Add(-time.Hour).UnixMilli(), Cause: "unreachable"})
	second := end.Add(90 * time.Second)
	end = c.record(s, second, "b", &archive.Gap{Since: end.UnixMilli(), Cause: "stalled"})
	third := end.Add(time.Hour)
	end = c.record(s, third, "c", nil)
	if err := Day(t.Context(), c.options(), date); err != nil {
		t.Fatal(err)
	}
	path := c.dir.DayFile(date)
	decodes(t, path)
	near(t, "the file", duration(t, path), 12, 3)
	if got := packets(t, path, "v:0"); got != 300 {
		t.Errorf("%d frames, want 300", got)
	}
	m := c.manifest(date)
	if m.Sessions != 3 || len(m.Files) != 1 || m.Frames != 300 || len(m.Segments) != 6 {
		t.Errorf("manifest: %+v", m)
	}
	for i, want := range []struct {
		start time.Time
		at    float64
	}{{noon, 0}, {second, 4}, {third, 8}} {
		s := m.Files[0].Stretches[i]
		if s.Start != want.start.UnixMilli() || s.Segments != 2 {
			t.Errorf("stretch %d: %+v", i, s)
		}
		near(t, "a stretch begins", s.At, want.at, i+1)
		near(t, "a stretch lasts", s.Seconds, 4, 1)
	}
	gaps := []Gap{
		{noon.Add(-time.Hour).UnixMilli(), noon.UnixMilli(), "unreachable"},
		{noon.Add(4 * time.Second).UnixMilli(), second.UnixMilli(), "stalled"},
		{second.Add(4 * time.Second).UnixMilli(), third.UnixMilli(), ""},
		{end.UnixMilli(), noon.Add(12 * time.Hour).UnixMilli(), ""},
	}
	if fmt.Sprint(m.Gaps) != fmt.Sprint(gaps) {
		t.Errorf("gaps\n%v, want\n%v", m.Gaps, gaps)
	}
}

// In every session sound stays with its picture: a tone begins with a white frame.
func TestSoundStaysInStep(t *testing.T) {
	t.Parallel()
	c := newCamera(t)
	// A beep of 100 ms and a white flash, both 1 s into every 4 s.
	s := encode(t, "-f", "lavfi", "-i", "color=black:size=160x120:rate=25:duration=4,drawbox=color=white:t=fill:enable='between(t,0.99,1.19)'",
		"-f", "lavfi", "-i", "aevalsrc='if(between(t,1,1.2),sin(2*PI*t*1000),0)':s=48000:d=4", "-c:v", "libx264", "-bf", "2", "-g", "50", "-sc_threshold", "0", "-c:a", "aac")
	start := noon
	for i := range 5 {
		start = c.record(s, start, fmt.Sprint(i), nil).Add(10 * time.Second)
	}
	if err := Day(t.Context(), c.options(), date); err != nil {
		t.Fatal(err)
	}
	path := c.dir.DayFile(date)
	flashes := detect(t, path, "-vf", "blackdetect=d=0.1", "black_end:")
	beeps := detect(t, path, "-af", "silencedetect=n=-30dB:d=0.3", "silence_end: ")
	if len(flashes) < 5 || len(beeps) < 5 {
		t.Fatalf("flashes %v, beeps %v", flashes, beeps)
	}
	for i := range 5 {
		// AAC's own delay is 21 ms; a frame is 40 ms.
		if d := beeps[i] - flashes[i]; math.Abs(d) > 0.065 {
			t.Errorf("session %d: the beep is %.3f s after the flash", i, d)
		}
	}
}

// detect are the times that a filter of ffmpeg prints behind a word.
func detect(t *testing.T, path, kind, filter, word string) (at []float64) {
	t.Helper()
	out := runAll(t, "ffmpeg", "-nostdin", "-i", path, kind, filter, "-f", "null", "-")
	for rest := out; ; {
		_, after, ok := strings.Cut(rest, word)
		if !ok {
			return at
		}
		var v float64
		if _, err := fmt.Sscan(after, &v); err != nil {
			t.Fatal(err)
		}
		at, rest = append(at, v), after
	}
}

func TestDamagedSegmentsAreLeftOut(t *testing.T) {
	for _, tc := range []struct {
		name, reason string
		damage       func(path string, b []byte) error
	}{
		{"half", "cut off", func(path string, b []byte) error { return os.WriteFile(path, b[:len(b)/2], 0o644) }},
		{"empty", "cut off", func(path string, _ []byte) error { return os.WriteFile(path, nil, 0o644) }},
		{"zeroes", "no samples", func(path string, b []byte) error { return os.WriteFile(path, make([]byte, len(b)), 0o644) }},
		{"gone", "gone", func(path string, _ []byte) error { return os.Remove(path) }},
		{"folder", "not a file", func(path string, _ []byte) error {
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.Mkdir(path, 0o755)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := newCamera(t)
			c.record(plain(t, 6), noon, "a", nil)
			hurt := c.dir.Segment(noon.Add(2 * time.Second))
			b, err := os.ReadFile(hurt)
			c.must(err)
			c.must(tc.damage(hurt, b))
			c.must(Day(t.Context(), c.options(), date))
			decodes(t, c.dir.DayFile(date))
			near(t, "the file", duration(t, c.dir.DayFile(date)), 4, 2)
			m := c.manifest(date)
			if len(m.Skipped) != 1 || !strings.Contains(m.Skipped[0].Reason, tc.reason) || m.Skipped[0].Seconds != 2 ||
				m.Skipped[0].Segment != fmt.Sprintf("2026-11-22/12/%s", archive.SegmentName(noon.Add(2*time.Second))) {
				t.Errorf("skipped: %+v", m.Skipped)
			}
			want := Gap{noon.Add(2 * time.Second).UnixMilli(), noon.Add(4 * time.Second).UnixMilli(), CauseDamaged}
			if len(m.Gaps) != 2 || m.Gaps[0] != want {
				t.Errorf("gaps: %+v", m.Gaps)
			}
		})
	}
}

func TestNothingReadable(t *testing.T) {
	t.Parallel()
	c := newCamera(t)
	c.record(plain(t, 2), noon, "a", nil)
	c.must(os.Truncate(c.dir.Segment(noon), 100))
	err := Day(t.Context(), c.options(), date)
	if err == nil || !strings.Contains(err.Error(), "1 segments are damaged") {
		t.Errorf("error: %v", err)
	}
	if made, err := Run(t.Context(), c.options()); len(made) > 0 || err != nil {
		t.Errorf("made %v, %v", made, err)
	}
}
