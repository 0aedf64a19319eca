package rtsp2hls

import (
	"fmt"
	"strings"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/pion/rtp"

	"camfleet.dev/workers/media"
)

// tracks are what is used of a camera's offer.
type tracks struct {
	medias      []*description.Media // video, and audio if there is any
	videoFormat format.Format
	audioFormat format.Format
	video       *videoTrack
	audio       *audioTrack
	leftOut     string // what is not, for a person
}

const videoClock = 90000 // RFC 6184, RFC 7798

// choose takes the first H.264 or H.265 track and the first audio track that
// files and players understand.
func choose(desc *description.Session) (*tracks, error) {
	t := &tracks{}
	var audio, unknown []string
	for _, m := range desc.Medias {
		for _, f := range m.Formats {
			switch {
			case m.IsBackChannel:
			case t.video == nil && t.takeVideo(m, f):
			case t.audio == nil && t.takeAudio(m, f):
			case m.Type == description.MediaTypeAudio:
				audio = append(audio, name(f))
			case m.Type == description.MediaTypeVideo:
				unknown = append(unknown, name(f))
			}
		}
	}
	if t.video == nil {
		return nil, fmt.Errorf("%w (it offers: %s)", errNoVideo, strings.Join(append(unknown, audio...), ", "))
	}
	if len(audio) > 0 && t.audio == nil {
		t.leftOut = fmt.Sprintf("audio is left out: %s cannot be kept in HLS; set the camera to AAC or Opus", strings.Join(audio, ", "))
	}
	t.medias = []*description.Media{mediaOf(desc, t.videoFormat)}
	if t.audio != nil {
		t.medias = append(t.medias, mediaOf(desc, t.audioFormat))
	}
	return t, nil
}

func mediaOf(desc *description.Session, f format.Format) *description.Media {
	for _, m := range desc.Medias {
		for _, own := range m.Formats {
			if own == f {
				return m
			}
		}
	}
	return nil
}

// takeVideo makes f the video track, if it can be.
func (t *tracks) takeVideo(_ *description.Media, f format.Format) bool {
	v := &videoTrack{wall: wallClock{rate: videoClock}}
	track := media.Track{ClockRate: videoClock}
	switch f := f.(type) {
	case *format.H264:
		track.Codec = media.H264
		track.SPS, track.PPS = f.SPS, f.PPS
		v.starts = startsH264
		v.renew = func() (decodeFunc, error) {
			d, err := f.CreateDecoder()
			if err != nil {
				return nil, err
			}
			return d.Decode, nil
		}
	case *format.H265:
		track.Codec = media.H265
		track.VPS, track.SPS, track.PPS = f.VPS, f.SPS, f.PPS
		v.starts = startsH265
		v.renew = func() (decodeFunc, error) {
			d, err := f.CreateDecoder()
			if err != nil {
				return nil, err
			}
			return d.Decode, nil
		}
	default:
		return false
	}
	if _, err := v.renew(); err != nil {
		return false // an option of RFC 6184 or 7798 that nobody can decode
	}
	v.normal = newNormalizer(track)
	t.video, t.videoFormat = v, f
	return true
}

// takeAudio makes f the audio track, if it can be.
func (t *tracks) takeAudio(_ *description.Media, f format.Format) bool {
	switch f := f.(type) {
	case *format.MPEG4Audio:
		d, err := f.CreateDecoder()
		if err != nil || f.Config == nil {
			return false
		}
		track := media.Track{Codec: media.AAC, ClockRate: f.ClockRate(), AAC: f.Config}
		t.audio = &audioTrack{track: track, decode: d.Decode, step: 1024}
	case *format.Opus:
		d, err := f.CreateDecoder()
		if err != nil {
			return false
		}
		decode := func(pkt *rtp.Packet) ([][]byte, error) {
			au, err := d.Decode(pkt)
			return [][]byte{au}, err
		}
		track := media.Track{Codec: media.Opus, ClockRate: f.ClockRate(), Channels: max(f.ChannelCount, 1)}
		t.audio = &audioTrack{track: track, decode: decode, step: int64(20 * time.Millisecond * 48000 / time.Second)}
	default:
		return false
	}
	t.audioFormat = f
	return true
}

// name is a format's own name, such as PCMU/8000.
func name(f format.Format) string {
	if m := f.RTPMap(); m != "" {
		return m
	}
	return fmt.Sprintf("payload type %d", f.PayloadType())
}
