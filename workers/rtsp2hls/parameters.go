package rtsp2hls

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/bits"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"

	"camfleet.dev/workers/media"
)

// nalu is what a NAL unit means to us.
type nalu int

const (
	naluPicture nalu = iota // part of a frame: slices, SEI
	naluRandom              // a slice that decoding can start at
	naluDrop                // delimiters and padding that no file needs
	naluVPS
	naluSPS
	naluPPS
)

// kindOf tells what a NAL unit is (ITU-T H.264 table 7-1, H.265 table 7-1).
func kindOf(c media.Codec, n []byte) nalu {
	if c == media.H265 {
		return kindOfH265(n)
	}
	switch h264.NALUType(n[0] & 0x1f) {
	case h264.NALUTypeIDR:
		return naluRandom
	case h264.NALUTypeSPS:
		return naluSPS
	case h264.NALUTypePPS:
		return naluPPS
	case h264.NALUTypeAccessUnitDelimiter, h264.NALUTypeEndOfSequence, h264.NALUTypeEndOfStream, h264.NALUTypeFillerData:
		return naluDrop
	}
	return naluPicture
}

func kindOfH265(n []byte) nalu {
	switch t := h265.NALUType(n[0] >> 1 & 0x3f); {
	case t >= h265.NALUType_BLA_W_LP && t <= h265.NALUType_CRA_NUT:
		return naluRandom
	case t == h265.NALUType_VPS_NUT:
		return naluVPS
	case t == h265.NALUType_SPS_NUT:
		return naluSPS
	case t == h265.NALUType_PPS_NUT:
		return naluPPS
	case t >= h265.NALUType_AUD_NUT && t <= h265.NALUType_FD_NUT:
		return naluDrop
	}
	return naluPicture
}

// picture is what the parameter sets say about the frames.
type picture struct {
	width, height int
	fps           float64 // 0: not said
	reordered     bool    // frames may be sent in another order than they are shown in
}

var errNoParameters = errors.New("the parameter sets (SPS, PPS) have not arrived")

// describe reads a track's parameter sets.
func describe(t media.Track) (picture, error) {
	if t.SPS == nil || t.PPS == nil || t.Codec == media.H265 && t.VPS == nil {
		return picture{}, errNoParameters
	}
	if t.Codec == media.H265 {
		var sps h265.SPS
		if err := sps.Unmarshal(t.SPS); err != nil {
			return picture{}, fmt.Errorf("read the H.265 SPS: %w", err)
		}
		p := picture{width: sps.Width(), height: sps.Height(), fps: sps.FPS()}
		for _, n := range sps.MaxNumReorderPics {
			p.reordered = p.reordered || n != 0
		}
		return p, nil
	}
	var sps h264.SPS
	if err := sps.Unmarshal(t.SPS); err != nil {
		return picture{}, fmt.Errorf("read the H.264 SPS: %w", err)
	}
	return picture{width: sps.Width(), height: sps.Height(), fps: sps.FPS(), reordered: reorderedH264(&sps)}, nil
}

// reorderedH264 is false only where the SPS rules reordering out: the
// Baseline profile, picture order count type 2, or by its own word.
func reorderedH264(s *h264.SPS) bool {
	const baseline = 66
	if s.ProfileIdc == baseline || s.PicOrderCntType == 2 {
		return false
	}
	if s.VUI != nil && s.VUI.BitstreamRestriction != nil {
		return s.VUI.BitstreamRestriction.MaxNumReorderFrames != 0
	}
	return true
}

// samePPS tells whether two picture parameter sets have the same id, so that
// the later one replaces the earlier one.
func samePPS(c media.Codec, a, b []byte) bool {
	return bytes.Equal(a, b) || ppsID(c, a) == ppsID(c, b)
}

func ppsID(c media.Codec, n []byte) uint32 {
	header := 1
	if c == media.H265 {
		header = 2
	}
	if len(n) <= header {
		return 0
	}
	pos := 0
	id, err := bits.ReadGolombUnsigned(n[header:], &pos)
	if err != nil {
		return 0
	}
	return id
}
