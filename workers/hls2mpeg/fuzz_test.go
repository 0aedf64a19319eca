package hls2mpeg

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"camfleet.dev/workers/archive"
)

// seeds are initialization segments and segments, whole and broken.
func seeds(t testing.TB) (inits, segments [][]byte) {
	payload := []byte{0, 0, 0, 1, 9}
	inits = [][]byte{makeInit(t, pps, nil), makeInit(t, pps, aac), makeInit(t, pps, &codecs.Opus{ChannelCount: 2})}
	segments = [][]byte{
		made{frames: 5, payload: payload}.segment(t),
		made{dts: 90000, frames: 5, payload: payload, offsets: []int32{3600, 7200, 0}, sound: 9, soundAt: 48000}.segment(t),
		append(made{frames: 2, payload: payload}.segment(t), made{dts: 7200, frames: 2, payload: payload}.segment(t)...),
	}
	for _, b := range segments[:3] {
		segments = append(segments, b[:len(b)/2], append([]byte{0, 0, 0, 0}, b[4:]...))
	}
	for _, b := range inits[:3] {
		inits = append(inits, b[:len(b)/2])
	}
	// Counts that would take gigabytes, if they were believed.
	huge := bytes.Clone(segments[0])
	at := bytes.Index(huge, []byte("trun"))
	binary.BigEndian.PutUint32(huge[at+4:], 0)
	binary.BigEndian.PutUint32(huge[at+8:], 1<<32-1)
	return inits, append(segments, huge)
}

// FuzzSegment: whatever is on disk is read or refused, and what is read is
// inside the file and can be made into a file that passes its own check.
func FuzzSegment(f *testing.F) {
	inits, segments := seeds(f)
	for _, i := range inits {
		for _, s := range segments {
			f.Add(i, s)
		}
	}
	f.Fuzz(func(t *testing.T, initBytes, media []byte) {
		init, err := parseInit(initBytes)
		if err != nil {
			return
		}
		var seg segment
		if err := seg.read(bytes.NewReader(media), int64(len(media)), init); err != nil {
			return
		}
		for i, tr := range seg.tracks {
			var bytes int64
			for _, sp := range tr.spans {
				if sp.offset < 0 || sp.size <= 0 || sp.offset+sp.size > int64(len(media)) {
					t.Fatalf("track %d: %+v is outside the file", i, sp)
				}
				bytes += sp.size
			}
			if bytes != tr.bytes {
				t.Fatalf("track %d: the samples have %d bytes, their ranges %d", i, tr.bytes, bytes)
			}
		}
	})
}

// FuzzDay makes a day of a segment, twice, if it can be read.
func FuzzDay(f *testing.F) {
	inits, segments := seeds(f)
	for _, i := range inits {
		for _, s := range segments {
			f.Add(i, s)
		}
	}
	f.Fuzz(func(t *testing.T, init, media []byte) {
		if len(init) > 1<<16 || len(media) > 1<<16 {
			return
		}
		c := newCamera(t)
		m := made{frames: 25}
		c.put(m.entry(0, noon, "a", 1), init, media)
		c.put(m.entry(1, noon.Add(1e9), "b", 1), init, media)
		pick := func(archive.Entry) bool { return true }
		p, err := makePlan(t.Context(), c.dir, noon, noon.Add(1e10), pick, c.options().Log)
		if err != nil {
			return
		}
		defer p.plan.free()
		for _, pt := range p.plan.parts {
			out := written(t, c, pt)
			info, err := out.Stat()
			c.must(err)
			if err := verify(out, info.Size(), pt); err != nil {
				t.Fatal(err)
			}
		}
	})
}
