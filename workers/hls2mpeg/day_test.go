package hls2mpeg

import (
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const date = "2026-11-22"

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// decodes fails if ffmpeg says anything while it decodes the file.
func decodes(t testing.TB, path string) {
	t.Helper()
	run(t, "ffmpeg", "-nostdin", "-v", "error", "-xerror", "-i", path, "-map", "0", "-f", "null", "-")
}

// reading are ffmpeg's arguments to read one kind of stream. Edit lists of audio
// are ignored: ffmpeg's own cut the codec's delay off, for which segments have no
// place. Those of video count: a wrong one hides frames.
func reading(path, kind string) []string {
	if strings.HasPrefix(kind, "a") {
		return []string{"-v", "error", "-ignore_editlist", "1", "-i", path}
	}
	return []string{"-v", "error", "-i", path}
}

// frames are the checksums of a file's decoded frames, of one kind of stream.
func frames(t testing.TB, path, kind string) []string {
	t.Helper()
	out := run(t, "ffmpeg", append(reading(path, kind), "-nostdin", "-map", "0:"+kind, "-f", "framemd5", "-")...)
	var sums []string
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "#") {
			f := strings.Split(strings.TrimSpace(line), ",")
			sums = append(sums, strings.TrimSpace(f[len(f)-1]))
		}
	}
	return sums
}

// packets is the number of packets of a file's stream.
func packets(t testing.TB, path, kind string) int {
	t.Helper()
	out := run(t, "ffprobe", append(reading(path, kind), "-count_packets", "-select_streams", kind, "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0")...)
	n, err := strconv.Atoi(strings.Trim(strings.TrimSpace(out), ","))
	if err != nil {
		t.Fatalf("ffprobe: %q", out)
	}
	return n
}

func duration(t testing.TB, path string) float64 {
	t.Helper()
	out := run(t, "ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", path)
	d, err := strconv.ParseFloat(strings.TrimSpace(out), 64)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDayAgainstFFmpeg(t *testing.T) {
	for _, tc := range []struct {
		name  string
		args  []string
		audio bool
	}{
		{"h264", testVideo(10, "-c:v", "libx264", "-bf", "0", "-g", "50"), false},
		{"h264-b-frames", testVideo(10, "-c:v", "libx264", "-bf", "3", "-b_strategy", "0", "-g", "50"), false},
		{"h265", testVideo(6, "-c:v", "libx265", "-x265-params", "log-level=error:keyint=50:min-keyint=50", "-tag:v", "hvc1"), false},
		{"aac", testVideo(10, "-f", "lavfi", "-i", "sine=sample_rate=44100:duration=10", "-c:v", "libx264", "-bf", "2", "-g", "50", "-c:a", "aac"), true},
		{"opus", testVideo(10, "-f", "lavfi", "-i", "sine=sample_rate=48000:duration=10", "-c:v", "libx264", "-bf", "0", "-g", "50", "-c:a", "libopus", "-strict", "-2"), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := encode(t, tc.args...)
			c := newCamera(t)
			end := c.record(s, noon, "a", nil)
			if err := Day(t.Context(), c.options(), date); err != nil {
				t.Fatal(err)
			}
			day := c.dir.DayFile(date)
			decodes(t, day)
			judge := filepath.Join(t.TempDir(), "judge.mp4")
			run(t, "ffmpeg", "-nostdin", "-v", "error", "-i", filepath.Join(s.folder, "all.m3u8"), "-map", "0", "-c", "copy", judge)
			same(t, day, judge, "v:0")
			if tc.audio {
				same(t, day, judge, "a:0")
			}
			if got, want := duration(t, day), end.Sub(noon).Seconds(); math.Abs(got-want) > 0.05 {
				t.Errorf("the file plays %.3f s, %.3f s are recorded", got, want)
			}
		})
	}
}

// same fails unless both files have the same packets and decode to the same frames.
func same(t *testing.T, got, want, kind string) {
	t.Helper()
	if g, w := packets(t, got, kind), packets(t, want, kind); g != w {
		t.Errorf("%s: %d packets, ffmpeg has %d", kind, g, w)
	}
	g, w := frames(t, got, kind), frames(t, want, kind)
	if len(g) != len(w) {
		t.Errorf("%s: %d frames, ffmpeg has %d", kind, len(g), len(w))
	}
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			t.Fatalf("%s: frame %d differs from ffmpeg's", kind, i)
		}
	}
}
