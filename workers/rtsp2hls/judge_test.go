package rtsp2hls

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"camfleet.dev/workers/archive"
	"camfleet.dev/workers/fakecam"
)

// tool runs an external program and returns what it printed, and its messages.
func tool(t *testing.T, name string, args ...string) (stdout, stderr string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is missing", name)
		}
		t.Skipf("%s is not installed (Debian: apt-get install ffmpeg)", name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var out, msg bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &msg
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, msg.String())
	}
	return out.String(), msg.String()
}

// clip makes a clip with ffmpeg and reads it.
func clip(t *testing.T, file string, args ...string) map[string]*fakecam.Clip {
	t.Helper()
	path := filepath.Join(t.TempDir(), file)
	all := append([]string{
		"-v", "error", "-f", "lavfi", "-i", "testsrc=size=160x120:rate=25:duration=4",
		"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=4", "-pix_fmt", "yuv420p",
	}, args...)
	tool(t, "ffmpeg", append(all, path)...)
	c, err := fakecam.ReadClip(path)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]*fakecam.Clip{"own": c}
}

// judge stops the camera and has the archive checked, and each session decoded
// by ffmpeg without an error: all journalled frames, and no other.
func (r *rig) judge() []archive.Located {
	r.t.Helper()
	r.stop()
	report, err := archive.Check(context.Background(), r.dir)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := report.Err(); err != nil {
		r.t.Errorf("archive: %v", err)
	}
	all := r.entries()
	for from := 0; from < len(all); {
		to := from + 1
		for to < len(all) && all[to].Session == all[from].Session && all[to].Init == all[from].Init {
			to++
		}
		r.decode(all[from:to])
		from = to
	}
	return all
}

// decode has ffmpeg decode segments that belong together.
func (r *rig) decode(part []archive.Located) {
	r.t.Helper()
	var file bytes.Buffer
	frames := 0
	for i, e := range part {
		paths := []string{e.Path}
		if i == 0 {
			paths = []string{e.InitPath, e.Path}
		}
		for _, p := range paths {
			data, err := os.ReadFile(p)
			if err != nil {
				r.t.Fatal(err)
			}
			file.Write(data)
		}
		frames += e.Frames
	}
	path := filepath.Join(r.t.TempDir(), "session.mp4")
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		r.t.Fatal(err)
	}
	if _, msg := tool(r.t, "ffmpeg", "-v", "error", "-i", path, "-map", "0", "-f", "null", "-"); msg != "" {
		r.t.Errorf("ffmpeg on session %s: %s", part[0].Session, msg)
	}
	out, _ := tool(r.t, "ffprobe", "-v", "error", "-select_streams", "v", "-count_packets", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", path)
	if n, err := strconv.Atoi(strings.Trim(out, " \n,")); err != nil || n != frames {
		r.t.Errorf("session %s: ffprobe counts %q frames, the journal %d", part[0].Session, out, frames)
	}
}

// timestamps has ffprobe print one field of each packet of a stream.
func timestamps(t *testing.T, path, stream, field string) []float64 {
	t.Helper()
	out, _ := tool(t, "ffprobe", "-v", "error", "-select_streams", stream, "-show_entries", "packet="+field, "-of", "csv=p=0", path)
	var all []float64
	for _, line := range strings.Fields(out) {
		v, err := strconv.ParseFloat(strings.Trim(line, ","), 64)
		if err != nil {
			t.Fatalf("ffprobe says %q", line)
		}
		all = append(all, v)
	}
	return all
}

// noSecrets greps everything that was written for a password.
func (r *rig) noSecrets(passwords ...string) {
	r.t.Helper()
	texts := map[string]string{"the log": r.log.String(), "the metrics": r.scrape()}
	err := filepath.WalkDir(string(r.dir), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		texts[path] = string(data)
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	for where, text := range texts {
		for _, p := range passwords {
			if strings.Contains(text, p) {
				r.t.Errorf("%s holds the password", where)
			}
		}
	}
}

// scrape is /metrics.
func (r *rig) scrape() string {
	r.t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range families {
		b.WriteString(f.String() + "\n")
	}
	return b.String()
}

// metric is a metric's value; label is one of its labels' values, or "".
func (r *rig) metric(name, label string) float64 {
	r.t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if label == "" || l.GetValue() == label {
					return m.GetCounter().GetValue() + m.GetGauge().GetValue()
				}
			}
		}
	}
	return 0
}
