package hls2mpeg

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"testing"
)

// Tables are the same over the borders of pages.
func TestTablesOverPages(t *testing.T) {
	t.Parallel()
	const n = 3*pageWords + 17
	var w words
	var r runs
	var c chunks
	defer func() { w.free(); r.free(); c.stsc.free(); c.offsets.free() }()
	for i := range n {
		w.add(uint32(i) * 7)
		r.addRun(uint32(i / 2))
		c.add(50+i/(n/2), 1, int64(i)<<20)
	}
	var b bytes.Buffer
	out := bufio.NewWriter(&b)
	w.writeTo(out)
	c.writeOffsets(out, 16)
	if err := out.Flush(); err != nil || b.Len() != 4*n+8*n {
		t.Fatalf("%d bytes, %v", b.Len(), err)
	}
	for i := range n {
		if got := binary.BigEndian.Uint32(b.Bytes()[4*i:]); got != uint32(i)*7 {
			t.Fatalf("word %d is %d", i, got)
		}
		if got := binary.BigEndian.Uint64(b.Bytes()[4*n+8*i:]); got != uint64(i)<<20+16 {
			t.Fatalf("chunk %d is at %d", i, got)
		}
	}
	if r.entries() != (n+1)/2 || r.at(0) != 2 || r.at(r.n-1) != uint32((n-1)/2) {
		t.Errorf("%d runs", r.entries())
	}
	if c.stsc.n != 3*3 || c.stsc.at(3) != n/2+1 || c.stsc.at(4) != 51 {
		t.Errorf("stsc has %d words", c.stsc.n)
	}
}

func TestScale(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		v        int64
		from, to uint32
		want     int64
	}{
		{0, 90000, 48000, 0},
		{90000, 90000, 48000, 48000},
		{-1, 90000, 48000, -1}, // down, on both sides of 0
		{1, 90000, 48000, 0},
		{-90000, 90000, 48000, -48000},
		{1 << 53, 90000, 10_000_000, 1<<53/90000*10_000_000 + (1<<53%90000)*10_000_000/90000},
	} {
		if got := scale(tc.v, tc.from, tc.to); got != tc.want {
			t.Errorf("scale(%d, %d, %d) = %d, want %d", tc.v, tc.from, tc.to, got, tc.want)
		}
	}
}
