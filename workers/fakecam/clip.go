package fakecam

import (
	"bytes"
	"embed"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/format"

	"camfleet.dev/workers/fakecam/counter"
	"camfleet.dev/workers/media"
)

//go:embed clips
var embedded embed.FS

// The built-in clips: a frame counter in each, H.264 High, 25 frames per second.
const (
	Quiet   = "quiet"   // 640x360, 40 s, nothing moves but a lamp
	Motion  = "motion"  // 480x270, 40 s, people and a car
	BFrames = "bframes" // 320x180, 8 s, like motion, with B-frames
)

// builtin maps a clip to its file; see hack/clips, which draws them.
func builtin(name string) (file string, ok bool) {
	switch name {
	case Quiet, Motion:
		return "clips/" + name + ".h264", true
	case BFrames:
		return "clips/" + name + ".ts", true
	}
	return "", false
}

// maxClip is the largest clip that is read into memory, in bytes.
const maxClip = 1 << 30

// Clip is a piece of film, packetised once and played in a loop by any number
// of cameras. It does not change.
type Clip struct {
	name   string
	tracks []*track // video first
}

// track is one elementary stream at a constant rate.
type track struct {
	codec         media.Codec
	clock         int   // RTP ticks per second
	step          int64 // ticks from one unit to the next
	units         []unit
	params        []packet // parameter sets, as packets before a key frame
	newFormat     func() format.Format
	width, height int
}

// unit is a frame: what is sent at one moment.
type unit struct {
	packets []packet
	offset  int64 // presentation after decoding, in ticks
	key     bool  // decoding can start here
}

type packet struct {
	payload []byte
	marker  bool
}

// OpenClip returns a built-in clip by its name.
func OpenClip(name string) (*Clip, error) {
	file, ok := builtin(name)
	if !ok {
		return nil, fmt.Errorf("there is no clip %q: use %s, %s or %s", name, Quiet, Motion, BFrames)
	}
	data, err := embedded.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the built-in clip %s: %w", name, err)
	}
	return ParseClip(name, data)
}

// ReadClip reads a clip from a file: MPEG-TS (H.264, H.265; AAC, Opus), or
// Annex B without B-frames, which has no timestamps.
func ReadClip(path string) (*Clip, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening a clip: %w", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxClip+1))
	if err != nil {
		return nil, fmt.Errorf("reading the clip %s: %w", path, err)
	}
	if len(data) > maxClip {
		return nil, fmt.Errorf("the clip %s has more than %d bytes: cut it shorter, it is played in a loop", path, maxClip)
	}
	return ParseClip(path, data)
}

// ParseClip makes a clip of a file's content; name is for messages.
func ParseClip(name string, data []byte) (*Clip, error) {
	var streams []elementary
	var err error
	switch {
	case len(data) > 0 && data[0] == 0x47: // the sync byte of MPEG-TS
		streams, err = demuxTS(data)
	case bytes.HasPrefix(data, []byte{0, 0, 1}), bytes.HasPrefix(data, []byte{0, 0, 0, 1}):
		streams, err = splitAnnexB(data)
	default:
		err = fmt.Errorf("neither MPEG-TS nor Annex B (ffmpeg -i FILE -c copy -f mpegts clip.ts makes one)")
	}
	if err != nil {
		return nil, fmt.Errorf("clip %s: %w", name, err)
	}
	clip := &Clip{name: name}
	for _, es := range streams {
		t, err := es.track()
		if err != nil {
			return nil, fmt.Errorf("clip %s: %s: %w", name, es.codec, err)
		}
		clip.tracks = append(clip.tracks, t)
	}
	if len(clip.tracks) == 0 || !clip.tracks[0].codec.IsVideo() {
		return nil, fmt.Errorf("clip %s: no H.264 or H.265 video in it", name)
	}
	return clip, nil
}

// Name is the built-in's name, or the file's.
func (c *Clip) Name() string { return c.name }

// Codec is the video's.
func (c *Clip) Codec() media.Codec { return c.tracks[0].codec }

// Size is the video's, in pixels.
func (c *Clip) Size() (width, height int) { return c.tracks[0].width, c.tracks[0].height }

// Frames is the number of video frames in one turn of the loop.
func (c *Clip) Frames() int { return len(c.tracks[0].units) }

// FPS is the video's frames per second.
func (c *Clip) FPS() float64 { return float64(c.tracks[0].clock) / float64(c.tracks[0].step) }

// SentAt is SentAt for this clip, whose counter starts at 0; frames per second
// must be a whole number. With B-frames it is when the frame is due to be
// decoded if it were in order, a few frames before it can be shown.
func (c *Clip) SentAt(frame int, now time.Time) time.Time {
	return counter.SentAt(frame, c.Frames(), int(c.FPS()), now)
}

// matches tells whether a camera can change from one clip to the other in the
// middle of a stream: the same tracks.
func (c *Clip) matches(other *Clip) bool {
	if len(c.tracks) != len(other.tracks) {
		return false
	}
	for i, t := range c.tracks {
		o := other.tracks[i]
		if t.codec != o.codec || t.clock != o.clock || !t.codec.IsVideo() && t.step != o.step {
			return false
		}
	}
	return true
}
