package fakecam

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bluenviron/gortsplib/v5"

	"camfleet.dev/workers/media"
)

func TestBuiltinClips(t *testing.T) {
	t.Parallel()
	total := 0
	for _, c := range []struct {
		name          string
		width, height int
		frames        int
	}{{Quiet, 640, 360, 1000}, {Motion, 480, 270, 1000}, {BFrames, 320, 180, 200}} {
		clip, err := OpenClip(c.name)
		if err != nil {
			t.Fatal(err)
		}
		w, h := clip.Size()
		if w != c.width || h != c.height || clip.Frames() != c.frames || clip.FPS() != 25 || clip.Codec() != media.H264 || clip.Name() != c.name {
			t.Errorf("%s: %dx%d, %d frames at %v, %s", c.name, w, h, clip.Frames(), clip.FPS(), clip.Codec())
		}
		reorders := false
		for i, u := range clip.tracks[0].units {
			if u.key != (i%10 == 0) {
				t.Errorf("%s: frame %d: key %v", c.name, i, u.key)
			}
			reorders = reorders || u.offset != clip.tracks[0].units[0].offset
		}
		if reorders != (c.name == BFrames) {
			t.Errorf("%s: frames in another order: %v", c.name, reorders)
		}
		file, _ := builtin(c.name)
		data, err := embedded.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		total += len(data)
	}
	if total > 1_500_000 {
		t.Errorf("the clips are %d bytes together", total)
	}
}

// pictures decodes frames of a clip with ffmpeg, each a PNG.
func pictures(t *testing.T, file string, frames []int, scale string) []image.Image {
	t.Helper()
	dir := t.TempDir()
	var pick []string
	for _, n := range frames {
		pick = append(pick, fmt.Sprintf("eq(n,%d)", n))
	}
	filter := "select='" + strings.Join(pick, "+") + "',scale=" + scale
	if _, msg, err := run(t, "ffmpeg", "-v", "error", "-i", file, "-vf", filter, "-vsync", "0", filepath.Join(dir, "%d.png")); err != nil || msg != "" {
		t.Fatalf("ffmpeg on %s: %v: %s", file, err, msg)
	}
	var all []image.Image
	for i := range frames {
		data, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("%d.png", i+1)))
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, img)
	}
	return all
}

// TestCounterInClips reads the counter back from pictures that ffmpeg decodes,
// in sizes that a page may show them in.
func TestCounterInClips(t *testing.T) {
	t.Parallel()
	frames := []int{0, 1, 9, 10, 123, 199, 255, 256, 511, 512, 700, 998, 999}
	for _, name := range []string{Quiet, Motion, BFrames} {
		for _, scale := range []string{"iw:ih", "iw/2:ih/2", "iw*1.37:ih*1.37:flags=bilinear", "200:-2", "iw*0.8:ih*0.8,pad=iw+90:ih+70:37:41:gray"} {
			t.Run(name+" "+scale, func(t *testing.T) {
				t.Parallel()
				clip, err := OpenClip(name)
				if err != nil {
					t.Fatal(err)
				}
				var in []int
				for _, n := range frames {
					if n < clip.Frames() {
						in = append(in, n)
					}
				}
				file, _ := builtin(name)
				for i, img := range pictures(t, file, in, scale) {
					if got, ok := ReadCounter(img); !ok || got != in[i] {
						t.Errorf("frame %d reads %d, %v", in[i], got, ok)
					}
				}
			})
		}
	}
}

// encode makes a clip with ffmpeg, from a test picture and a tone.
func encode(t *testing.T, name string, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	all := append([]string{
		"-v", "error", "-f", "lavfi", "-i", "testsrc=size=160x120:rate=30:duration=2",
		"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=2", "-pix_fmt", "yuv420p",
	}, args...)
	if _, msg, err := run(t, "ffmpeg", append(all, path)...); err != nil {
		t.Fatalf("ffmpeg: %v: %s", err, msg)
	}
	return path
}

const x264, x265 = "keyint=15:scenecut=0:bframes=0:repeat-headers=1", "keyint=15:bframes=0:repeat-headers=1:log-level=none"

// TestClipsFromFiles serves files of each kind, and asks ffprobe what comes.
func TestClipsFromFiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, file, want string
		args             []string
	}{
		{"H.264 and AAC", "a.ts", "h264,160,120,30/1 aac,0/0", []string{"-c:v", "libx264", "-x264-params", x264, "-c:a", "aac"}},
		{"H.265 and Opus", "b.ts", "hevc,160,120,30/1 opus,0/0", []string{"-c:v", "libx265", "-x265-params", x265, "-c:a", "libopus"}},
		{"raw H.265", "c.h265", "hevc,160,120,30/1", []string{"-an", "-c:v", "libx265", "-x265-params", x265}},
		{"raw H.264", "d.h264", "h264,160,120,30/1", []string{"-an", "-c:v", "libx264", "-x264-params", x264}},
		{"H.264 in slices", "e.h264", "h264,160,120,30/1", []string{"-an", "-c:v", "libx264", "-x264-params", x264 + ":slices=4"}},
		{"H.264, B-frames, 29.97", "f.ts", "h264,160,120,30000/1001", []string{"-an", "-r", "30000/1001", "-c:v", "libx264"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			clip, err := ReadClip(encode(t, c.file, c.args...))
			if err != nil {
				t.Fatal(err)
			}
			if n := clip.Frames(); n < 59 || n > 60 {
				t.Errorf("%d frames, want 60", n)
			}
			s := start(t, &Server{Clips: map[string]*Clip{"own": clip}, Cameras: map[string]Camera{"/a": {Clip: "own"}}})
			out, msg, err := run(t, "ffprobe", "-v", "error", "-rtsp_transport", "tcp", "-of", "csv=p=0",
				"-show_entries", "stream=codec_name,width,height,r_frame_rate", s.URL("/a"))
			if got := strings.Join(strings.Fields(out), " "); err != nil || got != c.want {
				t.Errorf("ffprobe: %v, %q, want %q; it said %q", err, got, c.want, msg)
			}
		})
	}
}

// TestEveryFrameArrives compares what a client gets with the file itself, NAL
// unit by NAL unit, over more than two turns of the loop.
func TestEveryFrameArrives(t *testing.T) {
	t.Parallel()
	for codec, args := range map[media.Codec][]string{
		media.H264: {"-c:v", "libx264", "-x264-params", x264 + ":slices=3", "-b:v", "3M", "-c:a", "aac"},
		media.H265: {"-c:v", "libx265", "-x265-params", x265, "-b:v", "3M", "-c:a", "aac"},
	} {
		t.Run(string(codec), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(encode(t, "a.ts", args...))
			if err != nil {
				t.Fatal(err)
			}
			streams, err := demuxTS(data)
			if err != nil {
				t.Fatal(err)
			}
			clip, err := ParseClip("own", data)
			if err != nil {
				t.Fatal(err)
			}
			everyFrame(t, codec, clip, streams[0].aus)
		})
	}
}

func everyFrame(t *testing.T, codec media.Codec, clip *Clip, aus []accessUnit) {
	t.Helper()
	clock := newStepClock(noon)
	s := start(t, &Server{Clock: clock, Clips: map[string]*Clip{"own": clip}, Cameras: map[string]Camera{"/a": {Clip: "own"}}})
	v := play(t, s.URL("/a"), gortsplib.ProtocolTCP)
	for range 400 { // some 150 video frames, some 250 of audio
		clock.step(t, 0)
	}
	for range 140 {
		f := v.frame(t)
		n := (noon.Unix()*90000>>32<<32 + int64(f.stamp)) / 3000
		var got, want [][]byte
		for _, nalu := range f.nalus {
			if parameterSet(codec, nalu) == 0 {
				got = append(got, nalu)
			}
		}
		for _, nalu := range aus[n%int64(len(aus))].nalus {
			if parameterSet(codec, nalu) == 0 && !delimiter(codec, nalu) {
				want = append(want, nalu)
			}
		}
		if !slices.EqualFunc(got, want, bytes.Equal) {
			t.Fatalf("frame %d: %d NAL units, want the file's %d", n, len(got), len(want))
		}
	}
	last := get(t, v.audio, "audio packet").Timestamp
	for range 200 {
		p := get(t, v.audio, "audio packet")
		if p.Timestamp != last+1024 {
			t.Fatalf("audio timestamp %d after %d, want 1024 more", p.Timestamp, last)
		}
		last = p.Timestamp
	}
}

func TestBadClips(t *testing.T) {
	t.Parallel()
	if _, err := OpenClip("loud"); err == nil || !strings.Contains(err.Error(), "quiet") {
		t.Errorf("an unknown name: %v", err)
	}
	if _, err := ReadClip(filepath.Join(t.TempDir(), "none.ts")); err == nil {
		t.Error("a file that is not there")
	}
	for name, data := range map[string]string{
		"empty": "", "text": "hello", "start code": "\x00\x00\x01", "garbage": "\x00\x00\x01\x67\x01\x02\x03\x00\x00\x01\x65\x88",
		"half a packet": "\x47\x40\x00", "no picture": "\x00\x00\x01\x09\xf0",
	} {
		if _, err := ParseClip(name, []byte(data)); err == nil || !strings.Contains(err.Error(), "clip "+name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUnsuitableFiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file, want string
		args       []string
	}{
		{"b.h264", "use MPEG-TS", []string{"-an", "-c:v", "libx264", "-bf", "3"}},
		{"sound.ts", "no H.264 or H.265", []string{"-vn", "-c:a", "aac"}},
		{"vfr.ts", "constant frame rate", []string{"-an", "-vf", "select='gt(mod(n,3),0)'", "-vsync", "vfr", "-c:v", "libx264", "-bf", "0"}},
	} {
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			if _, err := ReadClip(encode(t, c.file, c.args...)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q in it", err, c.want)
			}
		})
	}
}

// FuzzParseClip: no file may crash the simulated camera.
func FuzzParseClip(f *testing.F) {
	for _, name := range []string{Quiet, BFrames} {
		file, _ := builtin(name)
		data, err := embedded.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data[:4*188])
		f.Add(data[:20*188])
	}
	f.Add([]byte("\x00\x00\x01\x40\x01\x0c\x00\x00\x01\x42\x01\x01\x00\x00\x01\x26\x01\xaf"))
	f.Fuzz(func(t *testing.T, data []byte) {
		clip, err := ParseClip("fuzzed", data)
		if err == nil && (clip.Frames() == 0 || clip.FPS() <= 0) {
			t.Errorf("a clip of %d frames at %v", clip.Frames(), clip.FPS())
		}
	})
}
