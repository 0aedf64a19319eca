package rtsp2hls

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"

	"camfleet.dev/workers/media"
)

// normalizer makes of a camera's access units what sinks expect: without
// delimiters and parameter sets, which it keeps in the track, and with a DTS.
type normalizer struct {
	track   media.Track
	picture picture
	err     error // why the parameter sets cannot be used

	extract func(au [][]byte, pts int64) (int64, error) // nil: begin at the next random frame
	last    int64                                       // DTS before, valid if any
	any     bool
	scratch [][]byte
}

func newNormalizer(t media.Track) *normalizer {
	n := &normalizer{track: t}
	n.picture, n.err = describe(t)
	return n
}

// split takes the parameter sets out of an access unit. changed tells that
// they are others than before, so that what follows up to the next random
// frame cannot be decoded.
func (n *normalizer) split(au [][]byte) (out [][]byte, random, changed bool) {
	if n.clean(au) { // nothing to copy
		return au, slices.ContainsFunc(au, n.random), false
	}
	out = make([][]byte, 0, len(au))
	for _, u := range au {
		if len(u) < minNALU {
			continue
		}
		switch kindOf(n.track.Codec, u) {
		case naluVPS:
			changed = keep(&n.track.VPS, u) || changed
			continue
		case naluSPS:
			changed = keep(&n.track.SPS, u) || changed
			continue
		case naluPPS:
			// A second PPS beside the track's own stays where it is.
			if n.track.PPS == nil || samePPS(n.track.Codec, n.track.PPS, u) {
				changed = keep(&n.track.PPS, u) || changed
				continue
			}
		case naluDrop:
			continue
		case naluRandom:
			random = true
		}
		out = append(out, u)
	}
	if changed {
		n.picture, n.err = describe(n.track)
		n.extract = nil
	}
	return out, random, changed
}

// minNALU is the length of the longer of the two codecs' headers.
const minNALU = 2

// clean tells that all of an access unit stays.
func (n *normalizer) clean(au [][]byte) bool {
	return !slices.ContainsFunc(au, func(u []byte) bool {
		return len(u) < minNALU || kindOf(n.track.Codec, u) > naluRandom
	})
}

func (n *normalizer) random(u []byte) bool { return kindOf(n.track.Codec, u) == naluRandom }

// keep remembers a parameter set; packets' memory is not held on to.
func keep(to *[]byte, u []byte) (changed bool) {
	if bytes.Equal(*to, u) {
		return false
	}
	*to = bytes.Clone(u)
	return true
}

// dts is the decoding time of an access unit without parameter sets. After
// an error, decoding can only go on at a random frame.
func (n *normalizer) dts(au [][]byte, pts int64, random bool) (int64, error) {
	dts, err := n.decodingTime(au, pts, random)
	if err == nil && n.any && dts <= n.last && n.last < pts {
		dts = n.last + 1 // the extractors allow two frames at one time
	}
	if err == nil && n.any && dts <= n.last {
		err = fmt.Errorf("decoding time %d does not come after %d", dts, n.last)
	}
	if err != nil {
		n.extract = nil
		return 0, err
	}
	n.last, n.any = dts, true
	return dts, nil
}

func (n *normalizer) decodingTime(au [][]byte, pts int64, random bool) (int64, error) {
	if !n.picture.reordered {
		return pts, nil
	}
	if n.extract == nil {
		n.extract = newExtractor(n.track.Codec)
	}
	if random { // the extractors want the parameter sets in front
		n.scratch = append(n.scratch[:0], n.parameters()...)
		au = append(n.scratch, au...)
	}
	return n.extract(au, pts)
}

func (n *normalizer) parameters() [][]byte {
	if n.track.Codec == media.H265 {
		return [][]byte{n.track.VPS, n.track.SPS, n.track.PPS}
	}
	return [][]byte{n.track.SPS, n.track.PPS}
}

// restart forgets the times, for a new session.
func (n *normalizer) restart() { n.extract, n.any = nil, false }

func newExtractor(c media.Codec) func([][]byte, int64) (int64, error) {
	if c == media.H265 {
		e := &h265.DTSExtractor{}
		e.Initialize()
		return e.Extract
	}
	e := &h264.DTSExtractor{}
	e.Initialize()
	return e.Extract
}
