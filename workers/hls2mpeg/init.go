package hls2mpeg

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// Limits on what an initialization segment may claim.
const (
	maxInitBytes = 1 << 20
	maxTracks    = 8
	maxTimescale = 10_000_000
)

// Handler types of tracks that a day file carries.
var (
	videoHandler = fourCC{'v', 'i', 'd', 'e'}
	audioHandler = fourCC{'s', 'o', 'u', 'n'}
)

// initTrack is what a track's boxes in an initialization segment say.
type initTrack struct {
	id        uint32
	handler   fourCC
	timescale uint32
	entry     []byte // the sample entry, a whole box: avc1, hvc1, mp4a, Opus …
	// width and height are of the visual sample entry, in pixels.
	width, height uint16
	// sets are the entry's parameter sets, as they stand in a sample; only of
	// H.264 and H.265.
	sets []byte

	// defaults of trex
	duration, size, flags uint32
}

func (t *initTrack) video() bool   { return t.handler == videoHandler }
func (t *initTrack) codec() fourCC { return fourCC(t.entry[4:8]) }

// sameFile says whether samples of t and o can be in one track of one file; see
// DESIGN.md for what players make of it. Video may change its parameters, for
// which the samples carry them; a changed audio configuration has no such place.
func (t *initTrack) sameFile(o *initTrack) bool {
	if t.handler != o.handler || t.timescale != o.timescale || t.codec() != o.codec() {
		return false
	}
	return bytes.Equal(t.entry, o.entry) || t.sets != nil && o.sets != nil
}

// readInit reads the initialization segment at path. Video comes first in the
// result, whatever its order in the file.
func readInit(path string) ([]initTrack, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the initialization segment: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxInitBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading the initialization segment: %w", err)
	}
	tracks, err := parseInit(b)
	if err != nil {
		return nil, fmt.Errorf("initialization segment %s: %w", path, err)
	}
	return tracks, nil
}

// parseInit reads an initialization segment, ISO/IEC 14496-12 §8.
func parseInit(b []byte) ([]initTrack, error) {
	if len(b) > maxInitBytes {
		return nil, fmt.Errorf("larger than %d bytes", maxInitBytes)
	}
	var all, tracks []initTrack
	err := eachBox(b, func(kind fourCC, body []byte) error {
		if kind.String() != "moov" || all != nil {
			return nil
		}
		var err error
		all, err = parseMoov(body)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, want := range []fourCC{videoHandler, audioHandler} {
		for _, t := range all {
			// One track of each kind: that is all the archive's writer makes.
			if t.handler == want && (len(tracks) == 0 || tracks[len(tracks)-1].handler != want) {
				tracks = append(tracks, t)
			}
		}
	}
	if len(tracks) == 0 {
		return nil, errors.New("no video or audio track")
	}
	return tracks, nil
}

func parseMoov(b []byte) (tracks []initTrack, err error) {
	var extends []initTrack
	err = eachBox(b, func(kind fourCC, body []byte) error {
		switch kind.String() {
		case "trak":
			if len(tracks) == maxTracks {
				return fmt.Errorf("more than %d tracks", maxTracks)
			}
			var t initTrack
			if err := t.parse(body); err != nil {
				return err
			}
			tracks = append(tracks, t)
		case "mvex":
			return eachBox(body, func(kind fourCC, body []byte) error {
				if kind.String() == "trex" && len(extends) < maxTracks {
					f := &fields{b: body}
					f.full()
					e := initTrack{id: f.u32()}
					f.u32() // sample description index
					e.duration, e.size, e.flags = f.u32(), f.u32(), f.u32()
					extends = append(extends, e)
					return f.err()
				}
				return nil
			})
		}
		return nil
	})
	for i := range tracks {
		for _, e := range extends {
			if e.id == tracks[i].id {
				tracks[i].duration, tracks[i].size, tracks[i].flags = e.duration, e.size, e.flags
			}
		}
	}
	return tracks, err
}

// parse reads the boxes of a trak, whatever their depth.
func (t *initTrack) parse(b []byte) error {
	if err := t.walk(b); err != nil {
		return err
	}
	if t.handler != videoHandler && t.handler != audioHandler {
		return nil // left out by parseInit
	}
	if t.timescale == 0 || t.timescale > maxTimescale {
		return fmt.Errorf("track %d has a timescale of %d ticks per second", t.id, t.timescale)
	}
	if t.entry == nil {
		return fmt.Errorf("track %d has no sample entry", t.id)
	}
	return nil
}

func (t *initTrack) walk(b []byte) error {
	return eachBox(b, func(kind fourCC, body []byte) error {
		f := &fields{b: body}
		switch kind.String() {
		case "mdia", "minf", "stbl":
			return t.walk(body)
		case "tkhd":
			v, _ := f.full()
			f.wide(v)
			f.wide(v)
			t.id = f.u32()
		case "mdhd":
			v, _ := f.full()
			f.wide(v)
			f.wide(v)
			t.timescale = f.u32()
		case "hdlr":
			f.full()
			f.u32()
			t.handler = fourCC(f.take(4))
		case "stsd":
			return t.parseStsd(f)
		}
		return f.err()
	})
}

// parseStsd keeps the first sample entry: mediacommon and ffmpeg write one.
func (t *initTrack) parseStsd(f *fields) error {
	f.full()
	if n := f.u32(); f.bad || n == 0 {
		return errors.New("no sample entry")
	}
	h, err := parseHeader(f.b, int64(len(f.b)))
	if err != nil {
		return err
	}
	t.entry = bytes.Clone(f.b[:h.size])
	if t.video() {
		v := &fields{b: t.entry[h.header:]}
		v.take(24)
		t.width, t.height = v.u16(), v.u16()
		if t.sets, err = parameterSets(t.entry); err != nil {
			return err
		}
	}
	return nil
}
