package hls2mpeg

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"camfleet.dev/workers/archive"
)

// BenchmarkTenMinutes makes a day file of 10 minutes of 1080p at 4 Mbit/s and
// 25 frames per second, beside ffmpeg's with the moov first and without.
func BenchmarkTenMinutes(b *testing.B) {
	c := newCamera(b)
	segments, list := loop(b, c, 300)
	out := filepath.Join(b.TempDir(), "ffmpeg.mp4")
	b.Logf("%d segments", segments)
	b.Run("hls2mpeg", func(b *testing.B) {
		var peak int64
		var cpu float64
		for range b.N {
			b.StopTimer()
			if err := os.RemoveAll(filepath.Join(string(c.dir), archive.DaysFolder)); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			u := runChild(b, c.dir)
			peak, cpu = max(peak, u.PeakRSS), cpu+u.CPU
		}
		b.ReportMetric(float64(peak)/1024, "MB-RSS")
		b.ReportMetric(cpu/float64(b.N), "cpu-s/op")
	})
	for _, flags := range []string{"+faststart", "+use_metadata_tags"} {
		b.Run("ffmpeg"+flags, func(b *testing.B) {
			for range b.N {
				run(b, "ffmpeg", "-nostdin", "-y", "-v", "error", "-i", list, "-map", "0", "-c", "copy", "-movflags", flags, out)
			}
		})
	}
}

// loop records a 2 s segment of 1080p with sound n times, as one session, and
// also returns a playlist of it for ffmpeg.
func loop(b *testing.B, c *camera, n int) (int, string) {
	b.Helper()
	s := encode(b, "-f", "lavfi", "-i", "testsrc=size=1920x1080:rate=25:duration=2,noise=alls=12:allf=t",
		"-f", "lavfi", "-i", "sine=sample_rate=48000:duration=2", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p",
		"-b:v", "4M", "-minrate", "4M", "-maxrate", "4M", "-bufsize", "4M", "-nal-hrd", "cbr", "-g", "50", "-bf", "0", "-c:a", "aac")
	media, err := os.ReadFile(s.segments[0])
	if err != nil {
		b.Fatal(err)
	}
	init, err := parseInit(s.init)
	if err != nil {
		b.Fatal(err)
	}
	list := &strings.Builder{}
	fmt.Fprintf(list, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:2\n#EXT-X-MAP:URI=\"%s\"\n", filepath.Join(s.folder, "init.mp4"))
	start := noon
	for i := range n {
		e := archive.Entry{Seq: uint64(i), Start: start.UnixMilli(), Duration: 180000, Frames: 50, Bytes: int64(len(media)), Session: "a", Init: archive.InitName("x")}
		c.put(e, s.init, shifted(b, media, init, int64(i)*2))
		fmt.Fprintf(list, "#EXTINF:2.0,\n%s\n", c.dir.Segment(start))
		start = start.Add(2 * time.Second)
	}
	list.WriteString("#EXT-X-ENDLIST\n")
	path := filepath.Join(s.folder, "bench.m3u8")
	if err := os.WriteFile(path, []byte(list.String()), 0o644); err != nil {
		b.Fatal(err)
	}
	if err := exec.Command("sync").Run(); err != nil {
		b.Fatal(err)
	}
	return n, path
}

// shifted is a segment of one fragment, seconds later.
func shifted(t testing.TB, media []byte, init []initTrack, seconds int64) []byte {
	t.Helper()
	out := bytes.Clone(media)
	for i, at := 0, 0; i < len(init); i++ {
		n := bytes.Index(out[at:], []byte("tfdt"))
		if n < 0 || out[at+n+4] != 1 {
			t.Fatal("no 64-bit tfdt")
		}
		at += n + 8
		dts := seconds * int64(init[i].timescale)
		for b := 7; b >= 0; b-- {
			out[at+b] = byte(dts)
			dts >>= 8
		}
	}
	return out
}
