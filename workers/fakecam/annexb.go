package fakecam

import (
	"bytes"
	"fmt"
	"math"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"

	"camfleet.dev/workers/media"
)

// defaultFPS is for a stream whose parameter sets do not say.
const defaultFPS = 25

// splitAnnexB reads raw H.264 or H.265 (ITU-T H.264, H.265: Annex B). It has no
// timestamps, so the frame rate is the parameter sets', and frames must be in
// the order in which they are shown.
func splitAnnexB(data []byte) ([]elementary, error) {
	nalus := splitNALUs(data)
	if len(nalus) == 0 {
		return nil, fmt.Errorf("no NAL unit in it")
	}
	codec := sniff(nalus[0])
	es := elementary{codec: codec}
	var au [][]byte
	hasSlice := false
	flush := func() {
		if hasSlice {
			es.aus = append(es.aus, accessUnit{nalus: au})
		}
		au, hasSlice = nil, false
	}
	for _, nalu := range nalus {
		slice, first := slice(codec, nalu)
		if hasSlice && (first || !slice && beforeFrame(codec, nalu)) {
			flush()
		}
		au = append(au, nalu)
		hasSlice = hasSlice || slice
	}
	flush()
	fps, reorders, err := es.rate()
	if err != nil {
		return nil, err
	}
	if reorders {
		return nil, fmt.Errorf("it has B-frames and no timestamps: use MPEG-TS (ffmpeg -i FILE -c copy -f mpegts clip.ts)")
	}
	step := int64(math.Round(90000 / fps))
	for i := range es.aus {
		es.aus[i].dts, es.aus[i].pts = int64(i)*step, int64(i)*step
	}
	return []elementary{es}, nil
}

func splitNALUs(data []byte) [][]byte {
	var nalus [][]byte
	for _, part := range bytes.Split(data, []byte{0, 0, 1}) {
		// Zeros at the end belong to the next, longer start code (or are padding).
		if part = bytes.TrimRight(part, "\x00"); len(part) > 0 {
			nalus = append(nalus, part)
		}
	}
	return nalus
}

// sniff tells H.265 from H.264 by the first NAL unit: a delimiter or a
// parameter set in either.
func sniff(nalu []byte) media.Codec {
	if len(nalu) < 2 || nalu[0]&0x81 != 0 || nalu[1] != 1 {
		return media.H264
	}
	switch h265.NALUType(nalu[0] >> 1) {
	case h265.NALUType_VPS_NUT, h265.NALUType_SPS_NUT, h265.NALUType_PPS_NUT,
		h265.NALUType_AUD_NUT, h265.NALUType_PREFIX_SEI_NUT:
		return media.H265
	}
	return media.H264
}

// slice tells whether a NAL unit is (a part of) a picture, and its first part.
func slice(codec media.Codec, nalu []byte) (slice, first bool) {
	if codec == media.H265 {
		slice = nalu[0]>>1 < 32
		return slice, slice && len(nalu) > 2 && nalu[2]&0x80 != 0 // first_slice_segment_in_pic_flag
	}
	typ := h264.NALUType(nalu[0] & 0x1f)
	slice = typ >= h264.NALUTypeNonIDR && typ <= h264.NALUTypeIDR
	return slice, slice && len(nalu) > 1 && nalu[1]&0x80 != 0 // first_mb_in_slice = 0
}

// beforeFrame tells whether a NAL unit that is no picture starts the next frame.
func beforeFrame(codec media.Codec, nalu []byte) bool {
	if codec == media.H265 {
		typ := h265.NALUType(nalu[0] >> 1)
		return typ >= h265.NALUType_VPS_NUT && typ <= h265.NALUType_AUD_NUT || typ == h265.NALUType_PREFIX_SEI_NUT
	}
	typ := h264.NALUType(nalu[0] & 0x1f)
	return typ >= h264.NALUTypeSEI && typ <= h264.NALUTypeAccessUnitDelimiter
}

// rate reads the frame rate, and whether frames are shown in another order than
// they are sent, from the parameter sets.
func (es *elementary) rate() (fps float64, reorders bool, err error) {
	_, sps, _ := es.params()
	if es.codec == media.H265 {
		var s h265.SPS
		if err := s.Unmarshal(sps); err != nil {
			return 0, false, fmt.Errorf("no readable SPS: %w", err)
		}
		for _, n := range s.MaxNumReorderPics {
			reorders = reorders || n > 0
		}
		fps = s.FPS()
	} else {
		var s h264.SPS
		if err := s.Unmarshal(sps); err != nil {
			return 0, false, fmt.Errorf("no readable SPS: %w", err)
		}
		if s.VUI != nil && s.VUI.BitstreamRestriction != nil {
			reorders = s.VUI.BitstreamRestriction.MaxNumReorderFrames > 0
		}
		fps = s.FPS()
	}
	if fps <= 0 || fps > 1000 {
		fps = defaultFPS
	}
	return fps, reorders, nil
}

// params returns the first parameter sets of a video stream; vps is H.265's.
func (es *elementary) params() (vps, sps, pps []byte) {
	for _, au := range es.aus {
		for _, nalu := range au.nalus {
			switch which := parameterSet(es.codec, nalu); {
			case which == 'v' && vps == nil:
				vps = nalu
			case which == 's' && sps == nil:
				sps = nalu
			case which == 'p' && pps == nil:
				pps = nalu
			}
		}
		if sps != nil && pps != nil && (vps != nil || es.codec == media.H264) {
			break
		}
	}
	return vps, sps, pps
}

// parameterSet tells which one a NAL unit is: 'v', 's', 'p', or 0 for none.
func parameterSet(codec media.Codec, nalu []byte) byte {
	if codec == media.H265 {
		switch h265.NALUType(nalu[0] >> 1 & 0x3f) {
		case h265.NALUType_VPS_NUT:
			return 'v'
		case h265.NALUType_SPS_NUT:
			return 's'
		case h265.NALUType_PPS_NUT:
			return 'p'
		}
		return 0
	}
	switch h264.NALUType(nalu[0] & 0x1f) {
	case h264.NALUTypeSPS:
		return 's'
	case h264.NALUTypePPS:
		return 'p'
	}
	return 0
}
