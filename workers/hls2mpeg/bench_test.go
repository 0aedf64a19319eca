package hls2mpeg

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
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
	for _, more := range [][]string{{"-movflags", "+faststart"}, {"-f", "mp4"}} {
		b.Run("ffmpeg"+more[1], func(b *testing.B) {
			for range b.N {
				args := []string{"-nostdin", "-y", "-v", "error", "-i", list, "-map", "0", "-c", "copy"}
				run(b, "ffmpeg", append(append(args, more...), out)...)
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

// BenchmarkDay24h makes a day file of 24 h at 25 frames per second with sound:
// what it needs of memory is what its samples' tables need. In the worst case
// every frame has a duration and an offset of its own.
func BenchmarkDay24h(b *testing.B) {
	for _, worst := range []bool{false, true} {
		c := newCamera(b)
		day(b, c, worst)
		b.Run(fmt.Sprintf("worst=%v", worst), func(b *testing.B) {
			var u usage
			for range b.N {
				if err := os.RemoveAll(filepath.Join(string(c.dir), archive.DaysFolder)); err != nil {
					b.Fatal(err)
				}
				u = runChild(b, c.dir)
			}
			b.ReportMetric(float64(u.PeakRSS)/1024, "MB-RSS")
			b.ReportMetric(u.CPU, "cpu-s/op")
		})
	}
}

// day records 24 h of two-second segments of almost nothing.
func day(b *testing.B, c *camera, worst bool) {
	b.Helper()
	init := makeInit(b, pps, aac)
	start := noon.Add(-12 * time.Hour)
	m := made{frames: 50, payload: []byte{0, 0, 0, 1, 9}, sound: 94}
	media := m.segment(b)
	if worst {
		m.frame = 3599 // and 3601: see below
		for i := range 50 {
			m.offsets = append(m.offsets, int32(i*40))
		}
		media = m.segment(b)
		jitter(b, media, m.frames)
	}
	tracks, err := parseInit(init)
	c.must(err)
	var journal []byte
	for i := range 43200 {
		at := start.Add(time.Duration(i) * 2 * time.Second)
		e := m.entry(uint64(i), at, "0123456789abcdef", len(media))
		hour := c.dir.Hour(at)
		if i%1800 == 0 {
			c.must(os.MkdirAll(hour, 0o755))
			c.must(os.WriteFile(filepath.Join(hour, e.Init), init, 0o644))
			journal = nil
		}
		c.must(os.WriteFile(c.dir.Segment(at), shifted(b, media, tracks, int64(i)*2), 0o644))
		line, err := json.Marshal(e)
		c.must(err)
		journal = append(append(journal, line...), '\n')
		if i%1800 == 1799 {
			c.must(os.WriteFile(filepath.Join(hour, archive.JournalName), journal, 0o644))
		}
	}
}

// jitter makes every other frame of a segment two ticks longer.
func jitter(b *testing.B, media []byte, frames int) {
	b.Helper()
	at := bytes.Index(media, []byte("trun")) + 16
	for i := range frames {
		if entry := media[at+16*i:]; i%2 == 1 {
			binary.BigEndian.PutUint32(entry, 3601)
		} else if binary.BigEndian.Uint32(entry) != 3599 {
			b.Fatal("this is not the fragment that was asked for")
		}
	}
}
