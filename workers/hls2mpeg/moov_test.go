package hls2mpeg

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// every box of a kind in a header, with version and flags in front.
func (pt *part) find(t testing.TB, kind string) (found [][]byte) {
	t.Helper()
	var b bytes.Buffer
	if err := pt.writeHeader(&b); err != nil {
		t.Fatal(err)
	}
	var walk func(k fourCC, body []byte) error
	walk = func(k fourCC, body []byte) error {
		switch k.String() {
		case kind:
			found = append(found, body)
		case "moov", "trak", "edts", "mdia", "minf", "stbl":
			return eachBox(body, walk)
		}
		return nil
	}
	mdat := bytes.LastIndex(b.Bytes(), []byte("mdat")) - 4
	if err := eachBox(b.Bytes()[:mdat], walk); err != nil {
		t.Fatal(err)
	}
	return found
}

// All that could be 32 bits is 64, whatever the size.
func TestSixtyFourBits(t *testing.T) {
	t.Parallel()
	c := newCamera(t)
	m := made{frames: 25, payload: []byte{0, 0, 0, 1, 9}, sound: 47}
	b := m.segment(t)
	c.put(m.entry(0, noon, "a", len(b)), makeInit(t, pps, aac), b)
	pt := planOf(t, c).parts[0]
	for kind, n := range map[string]int{"mvhd": 1, "tkhd": 2, "mdhd": 2, "elst": 2} {
		boxes := pt.find(t, kind)
		if len(boxes) != n {
			t.Errorf("%d %s, want %d", len(boxes), kind, n)
		}
		for _, b := range boxes {
			if b[0] != 1 {
				t.Errorf("%s has version %d", kind, b[0])
			}
		}
	}
	if len(pt.find(t, "co64")) != 2 || len(pt.find(t, "stco")) != 0 {
		t.Error("offsets are not in co64")
	}
	if len(pt.find(t, "stss")) != 1 {
		t.Error("the picture has no stss, or the sound has one")
	}
}

// The edit list is by presentation: from the first frame shown to the end of the
// last, after what another track shows before.
func TestEditList(t *testing.T) {
	for _, tc := range []struct {
		name         string
		made         made
		video, audio []uint64 // duration, media time of each edit; 1<<64 - 1: empty
	}{
		{"plain", made{frames: 25, sound: 40}, []uint64{90000, 0}, []uint64{76800, 0}},
		{"b-frames", made{frames: 3, offsets: []int32{3600, 10800, 0}, sound: 5, soundAt: 1920}, []uint64{14400, 3600}, []uint64{9600, 0}},
		{"sound later", made{frames: 25, sound: 40, soundAt: 4800}, []uint64{90000, 0}, []uint64{9000, 1<<64 - 1, 76800, 0}},
		{"sound earlier", made{dts: 9000, frames: 25, sound: 40}, []uint64{9000, 1<<64 - 1, 90000, 0}, []uint64{76800, 0}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := newCamera(t)
			tc.made.payload = []byte{0, 0, 0, 1, 9}
			b := tc.made.segment(t)
			c.put(tc.made.entry(0, noon, "a", len(b)), makeInit(t, pps, aac), b)
			lists := planOf(t, c).parts[0].find(t, "elst")
			for i, want := range [][]uint64{tc.video, tc.audio} {
				var got []uint64
				for b := lists[i][8:]; len(b) > 0; b = b[20:] {
					got = append(got, binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:]))
				}
				if len(got) != len(want) {
					t.Fatalf("track %d: edits %v, want %v", i, got, want)
				}
				for k := range want {
					if got[k] != want[k] {
						t.Errorf("track %d: edits %v, want %v", i, got, want)
					}
				}
			}
		})
	}
}
