package hls2mpeg

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"camfleet.dev/workers/archive"
)

// filler is how much a segment of the sparse archive grows: a filler NAL unit
// (ITU-T H.264 §7.4.1, type 12) that is a hole on disk and that decoders skip.
const filler = 5<<20 + 200<<10

// grow makes the last sample of a segment of one fragment filler bytes larger;
// the file's new bytes are a hole but for the NAL unit's head.
func grow(t testing.TB, path string, media []byte) (size int64) {
	t.Helper()
	out := bytes.Clone(media)
	trun, mdat := bytes.Index(out, []byte("trun")), bytes.Index(out, []byte("mdat"))
	if trun < 0 || mdat < 0 || binary.BigEndian.Uint32(out[trun+4:])&0xffffff != trunOffset|trunFirstFlags|trunSize {
		t.Fatal("this is not the segment that was asked for")
	}
	add := func(at int) { binary.BigEndian.PutUint32(out[at:], binary.BigEndian.Uint32(out[at:])+filler) }
	add(mdat - 4)
	add(trun - 4 + int(binary.BigEndian.Uint32(out[trun-4:])) - 4)
	out = binary.BigEndian.AppendUint32(out, filler-4)
	out = append(out, 12)
	size = int64(len(media)) + filler
	if err := os.WriteFile(path, out, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
	return size
}

// A day of more than 4 GiB, over more than 13.3 h of time stamps: 32 bits are
// enough for neither. The segments are sparse, and so is the day file.
func TestDayBeyond32Bits(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: reads 4 GB of holes")
	}
	t.Parallel()
	const n, length = 850, 60 // seconds
	c := newCamera(t)
	s := encode(t, "-f", "lavfi", "-i", "testsrc=size=160x120:rate=1:duration=60", "-c:v", "libx264", "-bf", "0", "-g", "60", "-refs", "1", "-hls_time", "60")
	if len(s.segments) != 1 {
		t.Fatalf("%d segments", len(s.segments))
	}
	init, err := parseInit(s.init)
	c.must(err)
	media, err := os.ReadFile(s.segments[0])
	c.must(err)
	start := noon.Add(-12 * time.Hour)
	for i := range n {
		at := start.Add(time.Duration(i) * length * time.Second)
		c.put(archive.Entry{
			Seq: uint64(i), Start: at.UnixMilli(), Duration: length * archive.Timescale, Frames: 60,
			Bytes: int64(len(media)) + filler, Session: "a", Init: archive.InitName("0123456789abcdef"),
		}, s.init, nil)
		grow(t, c.dir.Segment(at), shifted(t, media, init, int64(i)*length))
	}
	c.must(Day(t.Context(), c.options(), date))
	day := c.dir.DayFile(date)
	info, err := os.Stat(day)
	c.must(err)
	if used := info.Sys().(*syscall.Stat_t).Blocks * 512; info.Size() < 1<<32 || used > 100<<20 {
		t.Errorf("the file has %d bytes and takes %d", info.Size(), used)
	}
	if got := duration(t, day); got != n*length {
		t.Errorf("the file plays %v s, want %v", got, n*length)
	}
	if got := c.manifest(date).Frames; got != n*60 {
		t.Errorf("%d frames, want %d", got, n*60)
	}
	// The last minute, which begins beyond 4 GiB and beyond 2^32 ticks, is like the first.
	first := minute(t, day, "0")
	if last := minute(t, day, "50940"); first == "" || last != first {
		t.Errorf("the last minute decodes to\n%s, the first to\n%s", last, first)
	}
}

// minute are the checksums of the first frames from a moment on.
func minute(t *testing.T, path, at string) string {
	t.Helper()
	out := run(t, "ffmpeg", "-nostdin", "-v", "error", "-xerror", "-ss", at, "-i", path, "-frames:v", "20", "-f", "framemd5", "-")
	var sums strings.Builder
	for line := range strings.Lines(out) {
		if f := strings.Split(strings.TrimSpace(line), ","); !strings.HasPrefix(line, "#") {
			sums.WriteString(f[len(f)-1] + "\n")
		}
	}
	return sums.String()
}

func TestCopySparse(t *testing.T) {
	t.Parallel()
	const hole = 1 << 20
	for _, tc := range []struct {
		name string
		data []int64 // offsets of 4 KiB of data
		span span
	}{
		{"only a hole", nil, span{0, 3 * hole}},
		{"data, hole, data", []int64{0, 2 * hole}, span{100, 2*hole + 1000}},
		{"hole at the end", []int64{hole}, span{hole - 5, hole}},
		{"inside data", []int64{hole}, span{hole + 5, 100}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			in, err := os.Create(filepath.Join(t.TempDir(), "in"))
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			for _, at := range tc.data {
				if _, err := in.WriteAt(bytes.Repeat([]byte("data"), 1024), at); err != nil {
					t.Fatal(err)
				}
			}
			if err := in.Truncate(3 * hole); err != nil {
				t.Fatal(err)
			}
			out, err := os.Create(filepath.Join(t.TempDir(), "out"))
			if err != nil {
				t.Fatal(err)
			}
			defer out.Close()
			s := newSink(out)
			if _, err := s.Write([]byte("before")); err != nil {
				t.Fatal(err)
			}
			if err := copySparse(s, in, tc.span); err != nil {
				t.Fatal(err)
			}
			sum, err := s.close()
			if err != nil {
				t.Fatal(err)
			}
			want := make([]byte, tc.span.size)
			if _, err := in.ReadAt(want, tc.span.offset); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(out.Name())
			if err != nil || !bytes.Equal(got, append([]byte("before"), want...)) {
				t.Errorf("copied %d bytes, want %d; %v", len(got), tc.span.size+6, err)
			}
			if want := fmt.Sprintf("%x", sha256.Sum256(got)); sum != want {
				t.Errorf("hash %s, want %s", sum, want)
			}
		})
	}
}
