package live

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
	tscodecs "github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/codecs"

	"camfleet.dev/workers/media"
)

// source is a film that a test feeds to a Stream, as rtsp2hls does: units
// without parameter sets and delimiters, for as long as it is asked.
type source struct {
	tracks []media.Track
	units  []media.Unit // one turn of the loop, in the order of sending
	length int64        // of the loop, in ticks of the video
	sent   int
	origin time.Time
}

var origin = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

// next is the next unit.
func (s *source) next() media.Unit {
	turn, i := s.sent/len(s.units), s.sent%len(s.units)
	s.sent++
	u := s.units[i]
	shift := int64(turn) * s.length * int64(s.tracks[u.Track].ClockRate) / 90000
	u.PTS, u.DTS = u.PTS+shift, u.DTS+shift
	u.Time = s.origin.Add(time.Duration(u.PTS) * time.Second / time.Duration(s.tracks[u.Track].ClockRate))
	return u
}

// feed writes n video frames, and the audio between them.
func (s *source) feed(to media.Sink, n int) {
	for n > 0 {
		u := s.next()
		to.Write(u)
		if u.Track == 0 {
			n--
		}
	}
}

// untilKey feeds up to and including the next key frame.
func (s *source) untilKey(to media.Sink) {
	for {
		u := s.next()
		to.Write(u)
		if u.Track == 0 && u.Random {
			return
		}
	}
}

// clip reads a built-in clip: 25 frames per second.
func clip(t testing.TB, name string) *source {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "fakecam", "clips", name))
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Ext(name) == ".ts" {
		return readTS(t, data)
	}
	s := &source{tracks: []media.Track{{Codec: media.H264, ClockRate: 90000}}, origin: origin}
	for part := range bytes.SplitSeq(data, []byte{0, 0, 1}) {
		if nalu := bytes.TrimRight(part, "\x00"); len(nalu) > 0 {
			s.h264(nalu)
		}
	}
	for i := range s.units {
		s.units[i].PTS, s.units[i].DTS = int64(i)*3600, int64(i)*3600
	}
	s.length = int64(len(s.units)) * 3600
	return s
}

// h264 adds a NAL unit; each slice is a frame.
func (s *source) h264(nalu []byte) {
	switch typ := h264.NALUType(nalu[0] & 0x1f); typ {
	case h264.NALUTypeSPS:
		s.tracks[0].SPS = nalu
	case h264.NALUTypePPS:
		s.tracks[0].PPS = nalu
	case h264.NALUTypeIDR, h264.NALUTypeNonIDR:
		if nalu[1]&0x80 == 0 { // first_mb_in_slice is not 0
			last := &s.units[len(s.units)-1]
			last.AU = append(last.AU, nalu)
			return
		}
		s.units = append(s.units, media.Unit{AU: [][]byte{nalu}, Random: typ == h264.NALUTypeIDR})
	}
}

// film encodes a film with ffmpeg; args choose codecs.
func film(t testing.TB, args ...string) *source {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("ffmpeg is needed")
		}
		t.Skip("ffmpeg is not installed: it encodes this test's film")
	}
	out := filepath.Join(t.TempDir(), "film.ts")
	full := append([]string{
		"-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=4",
		"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=4",
	}, args...)
	if msg, err := exec.CommandContext(t.Context(), "ffmpeg", append(full, "-f", "mpegts", out)...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, msg)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return readTS(t, data)
}

// readTS reads MPEG-TS with one video and perhaps one audio track.
func readTS(t testing.TB, data []byte) *source {
	t.Helper()
	s := &source{origin: origin, length: 4 * 90000}
	r := &mpegts.Reader{R: bytes.NewReader(data)}
	if err := r.Initialize(); err != nil {
		t.Fatal(err)
	}
	base := int64(-1)
	for _, track := range r.Tracks() {
		s.addTrack(t, r, track, &base)
	}
	for r.Read() == nil { //nolint:revive // until the end
	}
	for i := range s.units {
		s.units[i].AU = s.clean(s.units[i])
	}
	video := 0
	for _, u := range s.units {
		if u.Track == 0 {
			video++
		}
	}
	s.length = int64(video) * 3600
	return s
}

func (s *source) addTrack(t testing.TB, r *mpegts.Reader, track *mpegts.Track, base *int64) {
	n := len(s.tracks)
	video := func(pts, dts int64, au [][]byte) error {
		if *base < 0 {
			*base = dts
		}
		random := h264.IsRandomAccess(au)
		if s.tracks[n].Codec == media.H265 {
			random = h265.IsRandomAccess(au)
		}
		s.units = append(s.units, media.Unit{Track: n, PTS: pts - *base, DTS: dts - *base, AU: au, Random: random})
		return nil
	}
	audio := func(rate int, step int64) func(pts int64, aus [][]byte) error {
		return func(pts int64, aus [][]byte) error {
			for i, au := range aus {
				at := (pts-max(*base, 0))*int64(rate)/90000 + int64(i)*step
				s.units = append(s.units, media.Unit{Track: n, PTS: at, DTS: at, AU: [][]byte{au}, Random: true})
			}
			return nil
		}
	}
	switch codec := track.Codec.(type) {
	case *tscodecs.H264:
		s.tracks = append(s.tracks, media.Track{Codec: media.H264, ClockRate: 90000})
		r.OnDataH264(track, video)
	case *tscodecs.H265:
		s.tracks = append(s.tracks, media.Track{Codec: media.H265, ClockRate: 90000})
		r.OnDataH265(track, video)
	case *tscodecs.MPEG4Audio:
		s.tracks = append(s.tracks, media.Track{Codec: media.AAC, ClockRate: codec.Config.SampleRate, AAC: &codec.Config})
		r.OnDataMPEG4Audio(track, audio(codec.Config.SampleRate, 1024))
	case *tscodecs.Opus: // of film: libopus makes what -ac says
		s.tracks = append(s.tracks, media.Track{Codec: media.Opus, ClockRate: 48000, Channels: 2})
		r.OnDataOpus(track, audio(48000, 960))
	default:
		t.Fatalf("codec %T", codec)
	}
}

// clean takes parameter sets and delimiters out of a video frame.
func (s *source) clean(u media.Unit) [][]byte {
	track := &s.tracks[u.Track]
	var au [][]byte
	for _, nalu := range u.AU {
		switch {
		case track.Codec == media.H265:
			switch h265.NALUType(nalu[0] >> 1 & 0x3f) {
			case h265.NALUType_VPS_NUT:
				track.VPS = nalu
				continue
			case h265.NALUType_SPS_NUT:
				track.SPS = nalu
				continue
			case h265.NALUType_PPS_NUT:
				track.PPS = nalu
				continue
			case h265.NALUType_AUD_NUT:
				continue
			}
		case track.Codec == media.H264:
			switch h264.NALUType(nalu[0] & 0x1f) {
			case h264.NALUTypeSPS:
				track.SPS = nalu
				continue
			case h264.NALUTypePPS:
				track.PPS = nalu
				continue
			case h264.NALUTypeAccessUnitDelimiter:
				continue
			}
		}
		au = append(au, nalu)
	}
	return au
}
