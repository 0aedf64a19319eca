package rtsp2hls

import (
	"math"
	"os"
	"strings"
	"testing"

	"camfleet.dev/workers/archive"
	"camfleet.dev/workers/fakecam"
)

const (
	x264 = "keyint=25:scenecut=0:bframes=0:repeat-headers=1"
	x265 = "keyint=25:bframes=0:repeat-headers=1:log-level=none"
)

func TestFormats(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, file string
		args       []string
		codec      string
		audio      string // as ffprobe says
	}{
		{"H.264 and AAC", "a.ts", []string{"-c:v", "libx264", "-x264-params", x264, "-c:a", "aac"}, "h264", "aac"},
		{"H.265 and Opus", "b.ts", []string{"-c:v", "libx265", "-x265-params", x265, "-c:a", "libopus"}, "h265", "opus"},
		{"H.264 in slices", "c.ts", []string{"-an", "-c:v", "libx264", "-x264-params", x264 + ":slices=4"}, "h264", ""},
		{"H.264, B-frames", "d.ts", []string{"-an", "-c:v", "libx264", "-x264-params", "keyint=25:scenecut=0:bframes=3:b-adapt=0"}, "h264", ""},
		{"H.265, B-frames", "e.ts", []string{"-an", "-c:v", "libx265", "-x265-params", "keyint=25:bframes=3:open-gop=0:log-level=none"}, "h265", ""},
		{"H.265, open GOP", "f.ts", []string{"-an", "-c:v", "libx265", "-x265-params", "keyint=25:bframes=3:open-gop=1:log-level=none"}, "h265", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			clips := clip(t, c.file, c.args...)
			r := newRigServer(t, &fakecam.Server{Clips: clips, Cameras: map[string]fakecam.Camera{path: {Clip: "own"}}})
			r.record()
			if s := r.state(archive.Live); s.Codec != c.codec || s.Width != 160 || s.Height != 120 {
				t.Errorf("status %+v", s)
			}
			r.segments(4)
			all := r.judge()
			if len(sessions(all)) != 1 {
				t.Errorf("%d sessions", len(sessions(all)))
			}
			r.continuous(all, c.audio)
		})
	}
}

// continuous checks that a session's segments, put together, have neither
// holes nor overlaps in either track.
func (r *rig) continuous(all []archive.Located, audio string) {
	r.t.Helper()
	path := r.join(all)
	dts := timestamps(r.t, path, "v", "dts_time")
	for i := 1; i < len(dts); i++ {
		if dts[i] <= dts[i-1] || dts[i]-dts[i-1] > 0.2 {
			r.t.Errorf("video frame %d is decoded %.4f s after the one before", i, dts[i]-dts[i-1])
		}
	}
	if audio == "" {
		return
	}
	out, _ := tool(r.t, "ffprobe", "-v", "error", "-select_streams", "a", "-show_entries", "stream=codec_name", "-of", "csv=p=0", path)
	if got := strings.TrimSpace(out); got != audio {
		r.t.Errorf("audio is %q, want %q", got, audio)
	}
	pts := timestamps(r.t, path, "a", "pts_time")
	for i := 2; i < len(pts); i++ {
		if step := pts[i] - pts[i-1]; math.Abs(step-(pts[1]-pts[0])) > 0.001 {
			r.t.Errorf("audio frame %d of %d is %.4f s after the one before", i, len(pts), step)
		}
	}
	if len(pts) < 2*len(all) {
		r.t.Errorf("%d audio frames in %d segments", len(pts), len(all))
	}
}

// join puts segments of one session together.
func (r *rig) join(part []archive.Located) string {
	r.t.Helper()
	file, err := os.CreateTemp(r.t.TempDir(), "*.mp4")
	if err != nil {
		r.t.Fatal(err)
	}
	defer file.Close()
	paths := []string{part[0].InitPath}
	for _, e := range part {
		paths = append(paths, e.Path)
	}
	for _, p := range paths {
		data, err := os.ReadFile(p)
		if err == nil {
			_, err = file.Write(data)
		}
		if err != nil {
			r.t.Fatal(err)
		}
	}
	return file.Name()
}

func TestBuiltinBFrames(t *testing.T) {
	t.Parallel()
	r := newRig(t, fakecam.Camera{Clip: fakecam.BFrames}).record()
	r.segments(4)
	all := r.judge()
	for i, e := range all[:len(all)-1] {
		// Told by presentation: a segment ends where the next one begins.
		if hole := all[i+1].Time().Sub(e.End()); hole.Abs().Milliseconds() > 5 {
			t.Errorf("segment %d ends %v before the next begins", i, hole)
		}
	}
}

func TestAudioThatCannotBeKept(t *testing.T) {
	t.Parallel()
	r := newRig(t, fakecam.Camera{PCMU: true}).record()
	r.until("the message", func() bool {
		s, err := archive.ReadStatus(r.dir)
		return err == nil && s.State == archive.Live && strings.Contains(s.Message, "audio is left out: PCMU")
	})
	r.segments(2)
	r.judge()
	if n := strings.Count(r.log.String(), "audio is left out"); n > 2 {
		t.Errorf("said %d times", n)
	}
}

func TestParametersInOnePlace(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]fakecam.Faults{"SDP": {SDPOnly: true}, "stream": {StreamOnly: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, fakecam.Camera{Faults: f}).record()
			if s := r.state(archive.Live); s.Width != 640 {
				t.Errorf("status %+v", s)
			}
			r.segments(2)
			r.judge()
		})
	}
}
