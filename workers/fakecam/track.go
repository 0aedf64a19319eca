package fakecam

import (
	"bytes"
	"fmt"
	"math"

	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"
	"github.com/pion/rtp"

	"camfleet.dev/workers/media"
)

// Dynamic payload types (RFC 3551 §3), as cameras number their tracks.
const (
	videoType = 96
	audioType = 97
)

// encoder is what gortsplib's packetisers have in common.
type encoder interface {
	Encode(parts [][]byte) ([]*rtp.Packet, error)
}

// track packetises a stream.
func (es *elementary) track() (*track, error) {
	if len(es.aus) == 0 {
		return nil, fmt.Errorf("no frame in it")
	}
	switch es.codec {
	case media.H264, media.H265:
		return es.video()
	case media.AAC:
		return es.audioAAC()
	default:
		return es.audioOpus()
	}
}

func (es *elementary) video() (*track, error) {
	vps, sps, pps := es.params()
	t := &track{codec: es.codec, clock: 90000}
	var enc encoder
	var err error
	if es.codec == media.H265 {
		var s h265.SPS
		if err := s.Unmarshal(sps); err != nil {
			return nil, fmt.Errorf("reading the SPS: %w", err)
		}
		t.width, t.height = s.Width(), s.Height()
		enc, err = (&format.H265{PayloadTyp: videoType}).CreateEncoder()
		t.newFormat = func() format.Format {
			return &format.H265{PayloadTyp: videoType, VPS: vps, SPS: sps, PPS: pps}
		}
	} else {
		var s h264.SPS
		if err := s.Unmarshal(sps); err != nil {
			return nil, fmt.Errorf("reading the SPS: %w", err)
		}
		t.width, t.height = s.Width(), s.Height()
		enc, err = (&format.H264{PayloadTyp: videoType, PacketizationMode: 1}).CreateEncoder()
		t.newFormat = func() format.Format {
			return &format.H264{PayloadTyp: videoType, SPS: sps, PPS: pps, PacketizationMode: 1}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("making a packetiser: %w", err)
	}
	if t.step, err = es.step(); err != nil {
		return nil, err
	}
	sets := [][]byte{sps, pps}
	if vps != nil {
		sets = [][]byte{vps, sps, pps}
	}
	if t.params, err = packetise(enc, sets); err != nil {
		return nil, err
	}
	for i := range t.params { // the frame goes on after them
		t.params[i].marker = false
	}
	return t, es.frames(t, enc, sets)
}

// frames fills in a video track's units, without parameter sets and delimiters.
func (es *elementary) frames(t *track, enc encoder, sets [][]byte) error {
	for i, au := range es.aus {
		var nalus [][]byte
		key := false
		for _, nalu := range au.nalus {
			if parameterSet(es.codec, nalu) != 0 {
				if !within(sets, nalu) {
					return fmt.Errorf("frame %d changes the parameter sets: a clip has one each of VPS, SPS and PPS", i)
				}
				continue
			}
			if slice, _ := slice(es.codec, nalu); !slice && delimiter(es.codec, nalu) {
				continue
			}
			nalus = append(nalus, nalu)
			key = key || random(es.codec, nalu)
		}
		if i == 0 && !key {
			return fmt.Errorf("it does not start with a key frame")
		}
		if len(nalus) == 0 {
			return fmt.Errorf("frame %d is empty", i)
		}
		packets, err := packetise(enc, nalus)
		if err != nil {
			return fmt.Errorf("frame %d: %w", i, err)
		}
		t.units = append(t.units, unit{packets: packets, offset: au.pts - au.dts, key: key})
	}
	return nil
}

func within(sets [][]byte, nalu []byte) bool {
	for _, s := range sets {
		if bytes.Equal(s, nalu) {
			return true
		}
	}
	return false
}

func delimiter(codec media.Codec, nalu []byte) bool {
	if codec == media.H265 {
		return h265.NALUType(nalu[0]>>1&0x3f) == h265.NALUType_AUD_NUT
	}
	return h264.NALUType(nalu[0]&0x1f) == h264.NALUTypeAccessUnitDelimiter
}

// random tells whether decoding can start at a picture of this kind.
func random(codec media.Codec, nalu []byte) bool {
	if codec == media.H265 {
		return h265.IsRandomAccess([][]byte{nalu})
	}
	return h264.IsRandomAccess([][]byte{nalu})
}

// step is the time from one frame to the next, which must be the same for all:
// frame n of a camera is due at n steps since 1970.
func (es *elementary) step() (int64, error) {
	n := len(es.aus)
	if n == 1 {
		return 90000 / defaultFPS, nil
	}
	mean := float64(es.aus[n-1].dts-es.aus[0].dts) / float64(n-1)
	step := int64(math.Round(mean))
	if step < 90 {
		return 0, fmt.Errorf("%.1f ticks of 1/90000 s from frame to frame: not a frame rate", mean)
	}
	for i := 1; i < n; i++ {
		if d := es.aus[i].dts - es.aus[i-1].dts; d < step-2 || d > step+2 {
			return 0, fmt.Errorf("frame %d comes after %d ticks of 1/90000 s, the others after %d: a clip needs a constant frame rate", i, d, step)
		}
	}
	return step, nil
}

func packetise(enc encoder, parts [][]byte) ([]packet, error) {
	pkts, err := enc.Encode(parts)
	if err != nil {
		return nil, fmt.Errorf("packetising: %w", err)
	}
	out := make([]packet, len(pkts))
	for i, p := range pkts {
		out[i] = packet{payload: p.Payload, marker: p.Marker}
	}
	return out, nil
}

func (es *elementary) audioAAC() (*track, error) {
	newFormat := func() format.Format {
		return &format.MPEG4Audio{PayloadTyp: audioType, Config: es.aac, SizeLength: 13, IndexLength: 3, IndexDeltaLength: 3}
	}
	enc, err := newFormat().(*format.MPEG4Audio).CreateEncoder()
	if err != nil {
		return nil, fmt.Errorf("making a packetiser: %w", err)
	}
	t := &track{codec: es.codec, clock: es.aac.SampleRate, step: mpeg4audio.SamplesPerAccessUnit, newFormat: newFormat}
	return t, es.audio(t, enc)
}

func (es *elementary) audioOpus() (*track, error) {
	channels := max(es.channels, 1)
	t := &track{codec: es.codec, clock: 48000, newFormat: func() format.Format {
		return &format.Opus{PayloadTyp: audioType, ChannelCount: channels}
	}}
	t.step = opus.PacketDuration2(es.aus[0].nalus[0])
	if t.step <= 0 {
		return nil, fmt.Errorf("the first packet has no duration")
	}
	for _, au := range es.aus {
		if opus.PacketDuration2(au.nalus[0]) != t.step {
			return nil, fmt.Errorf("packets of different durations")
		}
		t.units = append(t.units, unit{packets: []packet{{payload: au.nalus[0]}}, key: true})
	}
	return t, nil
}

func (es *elementary) audio(t *track, enc encoder) error {
	for i, au := range es.aus {
		packets, err := packetise(enc, au.nalus)
		if err != nil {
			return fmt.Errorf("frame %d: %w", i, err)
		}
		t.units = append(t.units, unit{packets: packets, key: true})
	}
	return nil
}
