package hls2mpeg

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"camfleet.dev/workers/archive"
)

// tool is the path of a program that judges: a missing one is a failure where
// tests run for everybody, and a reason to skip elsewhere.
func tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("CI") != "" {
		t.Fatalf("%s is not installed", name)
	} else if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

// run runs a program to its end and returns what it prints; anything on stderr fails.
func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tool(t, name), args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil || errs.Len() > 0 {
		t.Fatalf("%s %q: %v\n%s", name, args, err, errs.String())
	}
	return out.String()
}

// runAll runs a program that prints on stderr what it finds, and returns that.
func runAll(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), tool(t, name), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// stream is what ffmpeg made: an initialization segment and segments.
type stream struct {
	folder   string
	init     []byte
	segments []string // paths
}

// encode lets ffmpeg make fMP4 segments; args are its inputs and codecs.
func encode(t testing.TB, args ...string) stream {
	t.Helper()
	s := stream{folder: t.TempDir()}
	at := func(name string) string { return filepath.Join(s.folder, name) }
	args = append([]string{"-nostdin", "-v", "error"}, args...)
	args = append(args, "-threads", "2", "-f", "hls", "-hls_time", "2", "-hls_segment_type", "fmp4", "-hls_playlist_type", "vod",
		"-hls_segment_options", "movflags=+frag_keyframe+empty_moov+default_base_moof+negative_cts_offsets:use_editlist=0:video_track_timescale=90000",
		"-hls_fmp4_init_filename", "init.mp4", "-hls_segment_filename", at("seg%04d.m4s"), at("all.m3u8"))
	run(t, "ffmpeg", args...)
	var err error
	if s.init, err = os.ReadFile(at("init.mp4")); err != nil {
		t.Fatal(err)
	}
	if s.segments, err = filepath.Glob(at("seg*.m4s")); err != nil || len(s.segments) == 0 {
		t.Fatalf("no segments: %v", err)
	}
	return s
}

// testVideo is a moving picture of some seconds.
func testVideo(seconds int, more ...string) []string {
	in := []string{"-f", "lavfi", "-i", fmt.Sprintf("testsrc=size=320x240:rate=25:duration=%d", seconds)}
	return append(in, more...)
}

// camera is an archive made by hand.
type camera struct {
	t   testing.TB
	dir archive.Dir
	seq uint64
	// discontinuity and session of the newest segment
	discontinuity uint64
	session       string
	init          string
}

func newCamera(t testing.TB) *camera { return &camera{t: t, dir: archive.Dir(t.TempDir())} }

// record puts a stream's segments into the archive as one session, and returns
// when it ends.
func (c *camera) record(s stream, start time.Time, session string, gap *archive.Gap) time.Time {
	c.t.Helper()
	hash := fmt.Sprintf("%x", sha256.Sum256(s.init))[:16]
	init, err := parseInit(s.init)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, path := range s.segments {
		b, err := os.ReadFile(path)
		if err != nil {
			c.t.Fatal(err)
		}
		var seg segment
		if err := seg.read(bytes.NewReader(b), int64(len(b)), init); err != nil {
			c.t.Fatal(err)
		}
		e := archive.Entry{
			Seq: c.seq, Start: start.UnixMilli(), Frames: len(seg.tracks[0].samples), Bytes: int64(len(b)),
			Session: session, Init: archive.InitName(hash), Gap: gap,
		}
		for _, sm := range seg.tracks[0].samples {
			e.Duration += int64(sm.duration) * archive.Timescale / int64(init[0].timescale)
		}
		c.seq, gap = c.seq+1, nil
		c.put(e, s.init, b)
		start = start.Add(e.Length())
	}
	return start
}

func (c *camera) put(e archive.Entry, init, media []byte) {
	c.t.Helper()
	if c.session != "" && (e.Session != c.session || e.Init != c.init) {
		c.discontinuity++
	}
	c.session, c.init, e.Discontinuity = e.Session, e.Init, c.discontinuity
	hour := c.dir.Hour(e.Time())
	c.must(os.MkdirAll(hour, 0o755))
	c.must(os.WriteFile(filepath.Join(hour, e.Init), init, 0o644))
	c.must(os.WriteFile(c.dir.Segment(e.Time()), media, 0o644))
	line, err := json.Marshal(e)
	c.must(err)
	f, err := os.OpenFile(filepath.Join(hour, archive.JournalName), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	c.must(err)
	_, err = f.Write(append(line, '\n'))
	c.must(err)
	c.must(f.Close())
}

func (c *camera) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// options are for a camera whose days are all over.
func (c *camera) options() Options {
	return Options{
		Dir: c.dir, Location: time.UTC, Log: slog.New(slog.NewTextHandler(testWriter{c.t}, nil)),
		Now: func() time.Time { return time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC) },
	}
}

// manifest reads a day's manifest.
func (c *camera) manifest(date string) (m Manifest) {
	c.t.Helper()
	b, err := os.ReadFile(c.dir.Manifest(date))
	c.must(err)
	c.must(json.Unmarshal(b, &m))
	return m
}

// testWriter puts a log into the test's.
type testWriter struct{ t testing.TB }

var _ io.Writer = testWriter{}

func (w testWriter) Write(b []byte) (int, error) { w.t.Logf("%s", b); return len(b), nil }
