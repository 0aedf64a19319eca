package hls2mpeg

import (
	"bufio"
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestParseHeader(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		b    string
		left int64
		want boxHeader
		err  string
	}{
		{"plain", "\x00\x00\x00\x0cfree....", 12, boxHeader{fourCC{'f', 'r', 'e', 'e'}, 8, 12}, ""},
		{"empty", "\x00\x00\x00\x08free", 100, boxHeader{fourCC{'f', 'r', 'e', 'e'}, 8, 8}, ""},
		{"to the end", "\x00\x00\x00\x00mdat", 100, boxHeader{fourCC{'m', 'd', 'a', 't'}, 8, 100}, ""},
		{"64 bits", "\x00\x00\x00\x01mdat\x00\x00\x00\x02\x00\x00\x00\x00", 1 << 40, boxHeader{fourCC{'m', 'd', 'a', 't'}, 16, 1 << 33}, ""},
		{"half a header", "\x00\x00\x00", 3, boxHeader{}, "cut off: 3 bytes"},
		{"half a large header", "\x00\x00\x00\x01mdat\x00", 100, boxHeader{}, "cut off: in the header of box mdat"},
		{"smaller than its header", "\x00\x00\x00\x07free", 100, boxHeader{}, "fewer than its header"},
		{"large, smaller than its header", "\x00\x00\x00\x01free\x00\x00\x00\x00\x00\x00\x00\x0f", 100, boxHeader{}, "fewer than its header"},
		{"beyond every file", "\x00\x00\x00\x01free\xff\xff\xff\xff\xff\xff\xff\xff", 100, boxHeader{}, "says it has"},
		{"cut", "\x00\x00\x00\x0cfree", 11, boxHeader{}, "cut off: box free has 12 bytes, 11 are there"},
		{"a name of no letters", "\x00\x00\x00\x0c\x00\xff\x01\x02", 11, boxHeader{}, "cut off: box 00ff0102"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h, err := parseHeader([]byte(tc.b), tc.left)
			if tc.err == "" {
				if err != nil || h != tc.want {
					t.Errorf("%+v, %v", h, err)
				}
			} else if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("error %v, want %q", err, tc.err)
			}
			if strings.HasPrefix(tc.err, "cut off") != errors.Is(err, errCut) {
				t.Errorf("%v is errCut, or is not", err)
			}
		})
	}
}

func TestFieldsPastTheEnd(t *testing.T) {
	t.Parallel()
	f := &fields{b: []byte{1, 2, 3, 4, 5}}
	if v := f.u32(); v != 0x01020304 || f.err() != nil {
		t.Errorf("%x, %v", v, f.err())
	}
	if v := f.u16(); v != 0 || f.err() == nil {
		t.Errorf("past the end: %x, %v", v, f.err())
	}
	if v := f.u8(); v != 0 {
		t.Errorf("and after: %x", v)
	}
}

// What node writes, eachBox reads.
func TestNodeRoundTrip(t *testing.T) {
	t.Parallel()
	var w words
	defer w.free()
	w.add(7)
	w.add(8)
	n := node{kind: "moov", kids: []node{leaf("free").str("abc"), table("stts", 1, 1, &w), {kind: "trak"}}}
	var b bytes.Buffer
	out := bufio.NewWriter(&b)
	n.write(out)
	if err := out.Flush(); err != nil || int64(b.Len()) != n.size() {
		t.Fatalf("%d bytes of %d, %v", b.Len(), n.size(), err)
	}
	var got []string
	err := eachBox(b.Bytes(), func(_ fourCC, body []byte) error {
		return eachBox(body, func(kind fourCC, body []byte) error {
			got = append(got, kind.String()+" "+string(body))
			return nil
		})
	})
	want := "free abc|stts \x01\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x07\x00\x00\x00\x08|trak "
	if err != nil || strings.Join(got, "|") != want {
		t.Errorf("%q, %v", got, err)
	}
}
