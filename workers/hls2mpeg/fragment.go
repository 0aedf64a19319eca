package hls2mpeg

import (
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// Limits on what a segment may claim. A segment of an hour at 60 frames per
// second with 100 audio frames per second stays below them.
const (
	maxMoofBytes      = 32 << 20
	maxSegmentSamples = 1 << 20
	maxDecodeSeconds  = 1 << 32
	maxLength         = 2 * 3600 // seconds
)

// Flags of tfhd and trun, ISO/IEC 14496-12 §8.8.7 and §8.8.8, and the bit of
// sample flags that says a sample is no sync sample (§8.8.3.1).
const (
	tfhdBaseOffset  = 0x1
	tfhdDescription = 0x2
	tfhdDuration    = 0x8
	tfhdSize        = 0x10
	tfhdFlags       = 0x20
	tfhdBaseIsMoof  = 0x20000

	trunOffset     = 0x1
	trunFirstFlags = 0x4
	trunDuration   = 0x100
	trunSize       = 0x200
	trunFlags      = 0x400
	trunComposing  = 0x800

	nonSync = 0x10000
)

// sample is one access unit; times are in the track's timescale.
type sample struct {
	dts, pts int64
	duration uint32
	size     uint32
	sync     bool
}

// span is a range of bytes in a segment file.
type span struct{ offset, size int64 }

// segmentTrack is the part of one track in a segment.
type segmentTrack struct {
	samples []sample
	spans   []span // where the samples' bytes are, in order
	bytes   int64
}

// segment is what the moof boxes of a segment file say. It is read into again
// and again, so that a day costs no memory per segment.
type segment struct {
	tracks  []segmentTrack // as in the initialization segment
	samples int            // of all tracks
	media   []span         // bodies of mdat boxes
	buf     []byte
	next    int64 // where data without an offset of its own begins
}

func (s *segment) reset(tracks int) {
	for len(s.tracks) < tracks {
		s.tracks = append(s.tracks, segmentTrack{})
	}
	s.tracks = s.tracks[:tracks]
	for i := range s.tracks {
		t := &s.tracks[i]
		t.samples, t.spans, t.bytes = t.samples[:0], t.spans[:0], 0
	}
	s.samples, s.media = 0, s.media[:0]
}

// read reads the moof boxes of a segment file of the given size; the media
// itself is not read.
func (s *segment) read(r io.ReaderAt, size int64, init []initTrack) error {
	s.reset(len(init))
	if s.buf == nil {
		s.buf = make([]byte, 16<<10)
	}
	var at, have, from int64 // buf[:have] is the file from offset from
	for at < size {
		if at < from || at+16 > from+have {
			var err error
			from = at
			if have, err = s.fill(r, at, min(size-at, int64(len(s.buf)))); err != nil {
				return err
			}
		}
		h, err := parseHeader(s.buf[at-from:have], size-at)
		if err != nil {
			return err
		}
		switch h.kind.String() {
		case "moof":
			if h.size > maxMoofBytes {
				return fmt.Errorf("a moof box of %d bytes", h.size)
			}
			if at+h.size > from+have {
				if from = at; int64(len(s.buf)) < h.size {
					s.buf = make([]byte, h.size)
				}
				if have, err = s.fill(r, at, h.size); err != nil {
					return err
				}
			}
			if err := s.parseMoof(s.buf[at-from+h.header:at-from+h.size], at, init); err != nil {
				return fmt.Errorf("moof at byte %d: %w", at, err)
			}
		case "mdat":
			s.media = append(s.media, span{at + h.header, h.size - h.header})
		}
		at += h.size
	}
	return s.check(init)
}

func (s *segment) fill(r io.ReaderAt, at, n int64) (int64, error) {
	got, err := r.ReadAt(s.buf[:n], at)
	if int64(got) < n {
		if err == nil || errors.Is(err, io.EOF) {
			err = errCut
		}
		return 0, fmt.Errorf("reading at byte %d: %w", at, err)
	}
	return n, nil
}

// check says whether all samples are inside the segment's media, and what they
// say of time can be.
func (s *segment) check(init []initTrack) error {
	if s.samples == 0 {
		return errors.New("no samples")
	}
	for i, t := range s.tracks {
		if n := len(t.samples); n > 0 {
			length := t.samples[n-1].dts + int64(t.samples[n-1].duration) - t.samples[0].dts
			if limit := maxLength * int64(init[i].timescale); length > limit || length < 0 {
				return fmt.Errorf("its %s lasts longer than a segment can", init[i].codec())
			}
		}
		for _, sp := range t.spans {
			if !s.inMedia(sp) {
				return fmt.Errorf("%w: samples at bytes %d to %d are outside the media", errCut, sp.offset, sp.offset+sp.size)
			}
		}
	}
	return nil
}

func (s *segment) inMedia(sp span) bool {
	for _, m := range s.media {
		if sp.offset >= m.offset && sp.offset+sp.size <= m.offset+m.size {
			return true
		}
	}
	return false
}

func (s *segment) parseMoof(b []byte, at int64, init []initTrack) error {
	s.next = at
	return eachBox(b, func(kind fourCC, body []byte) error {
		if kind.String() != "traf" {
			return nil
		}
		return s.parseTraf(body, at, init)
	})
}

// fragment is the state of reading one traf.
type fragment struct {
	track          *segmentTrack
	base           int64
	dts            int64
	timescale      uint32
	duration, size uint32 // defaults
	flags          uint32
	haveHeader     bool
}

func (s *segment) parseTraf(b []byte, moof int64, init []initTrack) error {
	f := fragment{timescale: 1}
	return eachBox(b, func(kind fourCC, body []byte) error {
		switch kind.String() {
		case "tfhd":
			return s.parseTfhd(&f, body, moof, init)
		case "tfdt":
			in := &fields{b: body}
			v, _ := in.full()
			t := in.wide(v)
			if t/uint64(f.timescale) > maxDecodeSeconds {
				return fmt.Errorf("a decode time of %d", t)
			}
			f.dts = int64(t)
			return in.err()
		case "trun":
			if !f.haveHeader {
				return errors.New("comes before tfhd")
			}
			if f.track == nil {
				return nil
			}
			return s.parseTrun(&f, body)
		}
		return nil
	})
}

func (s *segment) parseTfhd(f *fragment, b []byte, moof int64, init []initTrack) error {
	in := &fields{b: b}
	_, flags := in.full()
	id := in.u32()
	for i, t := range init {
		if t.id == id {
			f.track, f.timescale = &s.tracks[i], t.timescale
			f.duration, f.size, f.flags = t.duration, t.size, t.flags
		}
	}
	f.haveHeader = true
	switch {
	case flags&tfhdBaseOffset != 0:
		base := in.u64()
		if base > math.MaxInt64/2 {
			return fmt.Errorf("a base offset of %d", base)
		}
		f.base = int64(base)
	case flags&tfhdBaseIsMoof != 0:
		f.base = moof
	default:
		f.base = s.next // the end of the track fragment before, §8.8.7
	}
	if flags&tfhdDescription != 0 {
		if n := in.u32(); n > 1 {
			return fmt.Errorf("sample description %d: only one is supported", n)
		}
	}
	if flags&tfhdDuration != 0 {
		f.duration = in.u32()
	}
	if flags&tfhdSize != 0 {
		f.size = in.u32()
	}
	if flags&tfhdFlags != 0 {
		f.flags = in.u32()
	}
	s.next = f.base
	return in.err()
}

func (s *segment) parseTrun(f *fragment, b []byte) error {
	in := &fields{b: b}
	_, flags := in.full()
	count := in.u32()
	if uint64(s.samples)+uint64(count) > maxSegmentSamples {
		return fmt.Errorf("more than %d samples", maxSegmentSamples)
	}
	offset := s.next
	if flags&trunOffset != 0 {
		offset = f.base + int64(int32(in.u32()))
	}
	first := f.flags
	if flags&trunFirstFlags != 0 {
		first = in.u32()
	}
	start := f.track.bytes
	for i := range count {
		sm := sample{dts: f.dts, duration: f.duration, size: f.size}
		sf := f.flags
		if i == 0 {
			sf = first
		}
		sm.read(in, flags, sf)
		if in.bad {
			return in.err()
		}
		f.dts += int64(sm.duration)
		f.track.bytes += int64(sm.size)
		f.track.samples = append(f.track.samples, sm)
	}
	s.samples += int(count)
	s.next = offset + f.track.bytes - start
	if s.next > offset {
		f.track.addSpan(span{offset, s.next - offset})
	}
	return in.err()
}

// read reads a sample's fields of a trun; pts follows from dts.
func (sm *sample) read(in *fields, present, flags uint32) {
	if present&trunDuration != 0 {
		sm.duration = in.u32()
	}
	if present&trunSize != 0 {
		sm.size = in.u32()
	}
	if present&trunFlags != 0 {
		flags = in.u32()
	}
	sm.sync = flags&nonSync == 0
	sm.pts = sm.dts
	if present&trunComposing != 0 {
		// Unsigned in version 0, but writers put negative offsets there too.
		sm.pts += int64(int32(in.u32()))
	}
}

// addSpan joins ranges that follow each other, so that they are copied at once.
func (t *segmentTrack) addSpan(sp span) {
	if n := len(t.spans); n > 0 && t.spans[n-1].offset+t.spans[n-1].size == sp.offset {
		t.spans[n-1].size += sp.size
		return
	}
	t.spans = append(t.spans, sp)
}

// shown is when the first frame is shown: with B-frames it is not the first decoded.
func (t *segmentTrack) shown() int64 {
	shown := t.samples[0].pts
	for _, s := range t.samples {
		shown = min(shown, s.pts)
	}
	return shown
}

// lag is how long after the first track's track i begins; both have samples.
func (s *segment) lag(i int, init []initTrack) time.Duration {
	at := func(i int) time.Duration {
		if len(s.tracks[i].samples) == 0 {
			return 0
		}
		return time.Duration(scale(s.tracks[i].samples[0].dts, init[i].timescale, 1e9))
	}
	return at(i) - at(0)
}

// dropBefore drops the samples before a decode time.
func (t *segmentTrack) dropBefore(dts int64) {
	n, bytes := 0, int64(0)
	for n < len(t.samples) && t.samples[n].dts < dts {
		bytes += int64(t.samples[n].size)
		n++
	}
	t.samples = append(t.samples[:0], t.samples[n:]...)
	t.bytes -= bytes
	for bytes > 0 {
		if first := &t.spans[0]; first.size > bytes {
			first.offset, first.size = first.offset+bytes, first.size-bytes
			return
		}
		bytes -= t.spans[0].size
		t.spans = append(t.spans[:0], t.spans[1:]...)
	}
}
