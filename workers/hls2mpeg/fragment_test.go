package hls2mpeg

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// box is a box of boxes.
func box(kind string, kids ...node) node { return node{kind: kind, kids: kids} }

// file writes boxes behind each other; media is the body of the mdat after them.
func file(t testing.TB, media string, boxes ...node) []byte {
	t.Helper()
	var b bytes.Buffer
	out := bufio.NewWriter(&b)
	for _, n := range append(boxes, leaf("mdat").str(media)) {
		n.write(out)
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Two tracks with defaults, as trex gives them.
func twoTracks() []initTrack {
	return []initTrack{
		{id: 1, handler: videoHandler, timescale: 90000, entry: []byte("....avc1"), duration: 3600, size: 5, flags: nonSync},
		{id: 2, handler: audioHandler, timescale: 48000, entry: []byte("....mp4a"), duration: 1024, size: 3},
	}
}

// TestForms reads the ways in which ISO/IEC 14496-12 §8.8 lets a fragment say
// the same.
func TestForms(t *testing.T) {
	t.Parallel()
	tfdt := full("tfdt", 0, 0).u32(90000)
	head := full("tfhd", 0, tfhdBaseIsMoof).u32(1)
	for _, tc := range []struct {
		name  string
		boxes []node
		media string
		video string // each sample: dts/pts+duration size sync
		at    string // video's spans
	}{
		{"defaults of trex", []node{box("moof", box("traf", head, tfdt, full("trun", 0, trunOffset).u32(2, 76)))}, "aaaaabbbbb",
			"90000/90000+3600 5 false,93600/93600+3600 5 false", "[{76 10}]"},
		{"defaults of tfhd", []node{box("moof", box("traf",
			full("tfhd", 0, tfhdBaseIsMoof|tfhdDescription|tfhdDuration|tfhdSize|tfhdFlags).u32(1, 1, 1800, 4, 0), tfdt,
			full("trun", 0, trunOffset).u32(2, 92)))}, "aaaabbbb",
			"90000/90000+1800 4 true,91800/91800+1800 4 true", "[{92 8}]"},
		{"first sample's flags", []node{box("moof", box("traf", head, tfdt, full("trun", 0, trunOffset|trunFirstFlags).u32(2, 80, 0)))}, "aaaaabbbbb",
			"90000/90000+3600 5 true,93600/93600+3600 5 false", "[{80 10}]"},
		{"all of its own", []node{box("moof", box("traf", head, tfdt,
			full("trun", 1, trunOffset|trunDuration|trunSize|trunFlags|trunComposing).u32(2, 108, 100, 4, 0, 7, 200, 6, nonSync, ^uint32(8))))}, "aaaabbbbbb",
			"90000/90007+100 4 true,90100/90091+200 6 false", "[{108 10}]"},
		{"64-bit decode time", []node{box("moof", box("traf", head, full("tfdt", 1, 0).u64(1<<40), full("trun", 0, trunOffset).u32(1, 80)))}, "aaaaa",
			fmt.Sprintf("%d/%d+3600 5 false", int64(1)<<40, int64(1)<<40), "[{80 5}]"},
		{"base offset", []node{box("moof", box("traf", full("tfhd", 0, tfhdBaseOffset).u32(1).u64(70), tfdt, full("trun", 0, trunOffset).u32(1, 14)))}, "aaaaa",
			"90000/90000+3600 5 false", "[{84 5}]"},
		{"two runs behind each other", []node{box("moof", box("traf", head, tfdt,
			full("trun", 0, trunOffset).u32(1, 92), full("trun", 0, 0).u32(1)))}, "aaaaabbbbb",
			"90000/90000+3600 5 false,93600/93600+3600 5 false", "[{92 10}]"},
		{"two fragments", []node{
			box("moof", box("traf", head, tfdt, full("trun", 0, trunOffset).u32(1, 76))), leaf("mdat").str("aaaaa"),
			box("moof", box("traf", head, full("tfdt", 0, 0).u32(93600), full("trun", 0, trunOffset).u32(1, 76))),
		}, "bbbbb",
			"90000/90000+3600 5 false,93600/93600+3600 5 false", "[{76 5} {157 5}]"},
		{"a track nobody knows", []node{box("moof",
			box("traf", full("tfhd", 0, tfhdBaseIsMoof).u32(9), tfdt, full("trun", 0, trunOffset).u32(7, 999)),
			box("traf", head, tfdt, full("trun", 0, trunOffset).u32(1, 136)))}, "aaaaa",
			"90000/90000+3600 5 false", "[{136 5}]"},
		{"boxes around it", []node{leaf("styp").str("msdh"), leaf("free"),
			box("moof", leaf("mfhd"), box("traf", head, tfdt, full("trun", 0, trunOffset).u32(1, 84)))}, "aaaaa",
			"90000/90000+3600 5 false", "[{104 5}]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := file(t, tc.media, tc.boxes...)
			var s segment
			if err := s.read(bytes.NewReader(b), int64(len(b)), twoTracks()); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, sm := range s.tracks[0].samples {
				got = append(got, fmt.Sprintf("%d/%d+%d %d %v", sm.dts, sm.pts, sm.duration, sm.size, sm.sync))
			}
			if g := strings.Join(got, ","); g != tc.video {
				t.Errorf("samples\n%s, want\n%s", g, tc.video)
			}
			if g := fmt.Sprint(s.tracks[0].spans); g != tc.at {
				t.Errorf("at %s, want %s; the file ends at %d", g, tc.at, len(b))
			}
		})
	}
}

func TestFormsRefused(t *testing.T) {
	t.Parallel()
	tfdt := full("tfdt", 0, 0).u32(0)
	head := full("tfhd", 0, tfhdBaseIsMoof).u32(1)
	one := func(kids ...node) []node { return []node{box("moof", box("traf", kids...))} }
	for _, tc := range []struct {
		name, want string
		boxes      []node
	}{
		{"no moof", "no samples", nil},
		{"run before its head", "comes before tfhd", one(tfdt, full("trun", 0, 0).u32(1))},
		{"another description", "sample description 2", one(full("tfhd", 0, tfhdDescription).u32(1, 2))},
		{"more samples than bytes say", "too short", one(head, tfdt, full("trun", 0, trunSize).u32(100, 5))},
		{"samples of no bytes, by the billion", "more than", one(head, tfdt, full("trun", 0, 0).u32(1<<32-1))},
		{"before the file", "outside the media", one(head, tfdt, full("trun", 0, trunOffset).u32(1, ^uint32(99)))},
		{"in the moof", "outside the media", one(head, tfdt, full("trun", 0, trunOffset).u32(1, 8))},
		{"behind the file", "outside the media", one(head, tfdt, full("trun", 0, trunOffset).u32(1, 1<<30))},
		{"a base beyond all", "a base offset", one(full("tfhd", 0, tfhdBaseOffset).u32(1).u64(1<<63), tfdt)},
		{"a time beyond all", "a decode time", one(head, full("tfdt", 1, 0).u64(1<<62), full("trun", 0, 0).u32(1))},
		{"a tfhd of nothing", "too short", one(leaf("tfhd"))},
		{"a moof of boxes of nothing", "fewer than its header", []node{leaf("moof").u32(3).str("traf")}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := file(t, "aaaaa", tc.boxes...)
			var s segment
			if err := s.read(bytes.NewReader(b), int64(len(b)), twoTracks()); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}

// Every beginning of a segment is refused, and none panics.
func TestEveryCut(t *testing.T) {
	t.Parallel()
	init, err := parseInit(makeInit(t, pps, aac))
	if err != nil {
		t.Fatal(err)
	}
	b := made{frames: 3, payload: []byte{0, 0, 0, 1, 9}, sound: 2}.segment(t)
	var s segment
	for n := range b {
		if err := s.read(bytes.NewReader(b[:n]), int64(n), init); err == nil {
			t.Errorf("the first %d bytes of %d are taken", n, len(b))
		}
	}
	if err := s.read(bytes.NewReader(b), int64(len(b)), init); err != nil || s.samples != 5 {
		t.Errorf("%d samples, %v", s.samples, err)
	}
}
