package hls2mpeg

import (
	"bytes"
	"math"
)

// track is a track of the file that is made: its sample tables, packed.
type track struct {
	init    initTrack
	entries [][]byte // sample entries, one per parameter set

	samples int
	bytes   int64
	sizes   words
	stts    runs
	ctts    runs
	stss    words // the sync samples; empty as long as all are
	unsync  bool  // not all are
	chunks  chunks

	// start is when the first sample is decoded, on the file's time line; the
	// track's own decode times count from there.
	start int64
	// dts is the newest sample's decode time and duration its length, so far
	// as they are known: the next sample's decode time settles it.
	dts      int64
	duration uint32
	// first and end are the first and the last moment that the track shows, on
	// the file's time line.
	first, end int64
}

// add adds a sample that is wanted at dts, pts of the file's time line. Decode
// times that stand still or run backwards are moved on by one tick; which frame
// is shown when does not change by that. Sound is heard when it is decoded.
func (t *track) add(s sample, dts, pts int64) {
	if t.samples == 0 {
		dts = min(dts, pts)
		t.start, t.first = dts, pts
	} else {
		dts = max(dts, t.dts+1)
		t.stts.addRun(uint32(dts - t.dts))
	}
	if !t.init.video() {
		pts = dts
	}
	t.dts, t.duration = dts, max(s.duration, 1)
	t.ctts.addRun(uint32(int32(clamp32(pts - dts))))
	t.sizes.add(s.size)
	t.samples++
	t.bytes += int64(s.size)
	t.mark(s.sync)
	t.first = min(t.first, pts)
	t.end = max(t.end, pts+int64(t.duration))
}

// mark notes whether the newest sample is a sync sample. A table of all of them
// says nothing, and of sound it would be the largest.
func (t *track) mark(sync bool) {
	if !sync && !t.unsync {
		t.unsync = true
		for i := 1; i < t.samples; i++ {
			t.stss.add(uint32(i))
		}
	}
	if sync && t.unsync {
		t.stss.add(uint32(t.samples))
	}
}

// finish settles the last sample's duration.
func (t *track) finish() {
	if t.samples > 0 {
		t.stts.addRun(t.duration)
	}
}

// free gives the tables' memory back.
func (t *track) free() {
	for _, w := range []*words{&t.sizes, &t.stts.words, &t.ctts.words, &t.stss, &t.chunks.stsc, &t.chunks.offsets} {
		w.free()
	}
}

// media is the track's length by decode times, for mdhd; call it after finish.
func (t *track) media() int64 { return t.dts - t.start + int64(t.duration) }

// composed says whether some sample is not shown when it is decoded.
func (t *track) composed() bool { return t.ctts.entries() > 1 || t.ctts.n > 0 && t.ctts.at(1) != 0 }

// entry is the number of sample entry e, counted from 1; a new one is added.
func (t *track) entry(e []byte) uint32 {
	for i, have := range t.entries {
		if bytes.Equal(have, e) {
			return uint32(i + 1)
		}
	}
	t.entries = append(t.entries, e)
	return uint32(len(t.entries))
}

// fits says whether a sample at dts can follow: a duration is 32 bits, and
// ffmpeg takes more than 31 for damage.
func (t *track) fits(dts int64) bool { return t.samples == 0 || dts-t.dts < math.MaxInt32 }

func clamp32(v int64) int64 { return max(math.MinInt32, min(math.MaxInt32, v)) }

// scale is v ticks of timescale from in ticks of timescale to, rounded down.
func scale(v int64, from, to uint32) int64 {
	f, t := int64(from), int64(to)
	q, r := v/f, v%f
	if r < 0 {
		q, r = q-1, r+f
	}
	return q*t + r*t/f
}
