package hls2mpeg

import (
	"bytes"
	"encoding/binary"
	"os"
	"strings"
	"testing"
)

// verify finds what a broken disk or a mistake of ours would do to a file.
func TestVerify(t *testing.T) {
	t.Parallel()
	c := newCamera(t)
	m := made{frames: 25, payload: []byte{0, 0, 0, 1, 9}, offsets: []int32{0, 3600}, sound: 47}
	b := m.segment(t)
	c.put(m.entry(0, noon, "a", len(b)), makeInit(t, pps, aac), b)
	pt := planOf(t, c).parts[0]
	good, err := os.ReadFile(written(t, c, pt).Name())
	c.must(err)
	if err := verify(bytes.NewReader(good), int64(len(good)), pt); err != nil {
		t.Fatal(err)
	}
	// word changes a 32-bit word some bytes behind the name of a box.
	word := func(box string, offset int, v uint32) func([]byte) []byte {
		return func(b []byte) []byte {
			binary.BigEndian.PutUint32(b[bytes.Index(b, []byte(box))+4+offset:], v)
			return b
		}
	}
	for _, tc := range []struct {
		name, want string
		change     func([]byte) []byte
	}{
		{"cut", "cut off", func(b []byte) []byte { return b[:len(b)-1] }},
		{"longer", "cut off", func(b []byte) []byte { return append(b, 0) }},
		{"no moov", "moov", func(b []byte) []byte { return bytes.Replace(b, []byte("moov"), []byte("free"), 1) }},
		{"no co64", "no co64", func(b []byte) []byte { return bytes.Replace(b, []byte("co64"), []byte("free"), 1) }},
		{"stts", "stts is for 24", word("stts", 8, 24)},
		{"ctts", "ctts is for", word("ctts", 8, 77)},
		{"stsz", "stsz", word("stsz", 8, 24)},
		{"a size", "the media", word("stsz", 12, 1<<20)},
		{"a smaller size", "the samples have", word("stsz", 12, 1)},
		{"an offset", "inside what is before it", word("co64", 12, 8)},
		{"a far offset", "after the media", word("co64", 8, 1)},
		{"stsc", "more samples than there are", word("stsc", 12, 26)},
		{"fewer in stsc", "are in no chunk", word("stsc", 12, 24)},
		{"zeroes", "moov", func(b []byte) []byte { return make([]byte, len(b)) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			bad := tc.change(bytes.Clone(good))
			if err := verify(bytes.NewReader(bad), int64(len(bad)), pt); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
		})
	}
}
