package hls2mpeg

import (
	"os"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"camfleet.dev/workers/archive"
)

// Parameter sets of 1080p, and of another size, for archives whose media is
// never decoded.
var (
	sps = []byte{
		0x67, 0x42, 0xc0, 0x28, 0xd9, 0x00, 0x78, 0x02, 0x27, 0xe5, 0x84, 0x00, 0x00, 0x03, 0x00, 0x04,
		0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x60, 0xc9, 0x20,
	}
	pps = []byte{0x68, 0xcb, 0x8c, 0xb2}
	aac = &codecs.MPEG4Audio{Config: mpeg4audio.AudioSpecificConfig{
		Type: mpeg4audio.ObjectTypeAACLC, SampleRate: 48000, ChannelConfig: 2,
	}}
)

// makeInit is an initialization segment as the recorder makes it: H.264, and
// sound if there is any.
func makeInit(t testing.TB, pps []byte, audio codecs.Codec) []byte {
	t.Helper()
	in := fmp4.Init{Tracks: []*fmp4.InitTrack{{ID: 1, TimeScale: 90000, Codec: &codecs.H264{SPS: sps, PPS: pps}}}}
	if audio != nil {
		in.Tracks = append(in.Tracks, &fmp4.InitTrack{ID: 2, TimeScale: 48000, Codec: audio})
	}
	var b seekablebuffer.Buffer
	if err := in.Marshal(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// made describes a segment to make.
type made struct {
	dts     int64 // of the first video sample, 90 kHz
	frames  int
	frame   uint32 // duration; 3600 if 0
	offsets []int32
	payload []byte // of each frame
	sound   int    // samples of 1024 ticks, 48 kHz
	soundAt int64
}

// segment makes a segment as the recorder does.
func (m made) segment(t testing.TB) []byte {
	t.Helper()
	if m.frame == 0 {
		m.frame = 3600
	}
	video := &fmp4.PartTrack{ID: 1, BaseTime: uint64(m.dts)}
	for i := range m.frames {
		s := &fmp4.Sample{Duration: m.frame, IsNonSyncSample: i > 0, Payload: m.payload}
		if len(m.offsets) > 0 {
			s.PTSOffset = m.offsets[i%len(m.offsets)]
		}
		video.Samples = append(video.Samples, s)
	}
	part := fmp4.Part{Tracks: []*fmp4.PartTrack{video}}
	if m.sound > 0 {
		audio := &fmp4.PartTrack{ID: 2, BaseTime: uint64(m.soundAt)}
		for range m.sound {
			audio.Samples = append(audio.Samples, &fmp4.Sample{Duration: 1024, Payload: []byte{1, 2, 3}})
		}
		part.Tracks = append(part.Tracks, audio)
	}
	var b seekablebuffer.Buffer
	if err := part.Marshal(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// entry journals what m makes.
func (m made) entry(seq uint64, start time.Time, session string, bytes int) archive.Entry {
	return archive.Entry{
		Seq: seq, Start: start.UnixMilli(), Duration: int64(m.frames) * 3600, Frames: m.frames, Bytes: int64(bytes),
		Session: session, Init: archive.InitName("0011223344556677"),
	}
}

// planOf plans what was recorded at noon's day.
func planOf(t testing.TB, c *camera) *plan {
	t.Helper()
	pick := func(archive.Entry) bool { return true }
	p, err := makePlan(t.Context(), c.dir, noon.Add(-12*time.Hour), noon.Add(12*time.Hour), pick, c.options().Log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.plan.free)
	return &p.plan
}

// written is a file with a part of a plan in it.
func written(t testing.TB, c *camera, pt *part) *os.File {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	c.must(err)
	t.Cleanup(func() { f.Close() })
	_, err = writePart(t.Context(), c.dir, pt, f, nil)
	c.must(err)
	return f
}
