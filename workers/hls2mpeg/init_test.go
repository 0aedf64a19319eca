package hls2mpeg

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
)

func TestParseInit(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		audio  codecs.Codec
		codecs []string
	}{
		{"picture", nil, []string{"avc1"}},
		{"aac", aac, []string{"avc1", "mp4a"}},
		{"opus", &codecs.Opus{ChannelCount: 2}, []string{"avc1", "Opus"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tracks, err := parseInit(makeInit(t, pps, tc.audio))
			if err != nil || len(tracks) != len(tc.codecs) {
				t.Fatalf("%+v, %v", tracks, err)
			}
			for i, want := range tc.codecs {
				if got := tracks[i].codec().String(); got != want || tracks[i].id != uint32(i+1) {
					t.Errorf("track %d is %s, want %s", tracks[i].id, got, want)
				}
			}
			v := tracks[0]
			sets := appendSet(appendSet(nil, 4, sps), 4, pps)
			if v.width != 1920 || v.height != 1080 || v.timescale != 90000 || !v.video() || !bytes.Equal(v.sets, sets) {
				t.Errorf("video: %+v", v)
			}
			if len(tracks) > 1 && (tracks[1].timescale != 48000 || tracks[1].video() || tracks[1].sets != nil) {
				t.Errorf("audio: %+v", tracks[1])
			}
		})
	}
}

func TestParseInitRefuses(t *testing.T) {
	t.Parallel()
	good := makeInit(t, pps, aac)
	// change writes words behind the name of a box; the first box of that name.
	change := func(box string, offset int, words ...uint32) []byte {
		b := bytes.Clone(good)
		at := bytes.Index(b, []byte(box)) + 4 + offset
		for i, w := range words {
			binary.BigEndian.PutUint32(b[at+4*i:], w)
		}
		return b
	}
	renamed := func(old, name string) []byte { return bytes.ReplaceAll(good, []byte(old), []byte(name)) }
	for _, tc := range []struct {
		name, want string
		b          []byte
	}{
		{"nothing", "no video or audio track", nil},
		{"no moov", "no video or audio track", renamed("moov", "free")},
		{"half", "cut off", good[:len(good)/2]},
		{"too large", "larger than", make([]byte, maxInitBytes+1)},
		{"no timescale", "0 ticks per second", change("mdhd", 12, 0)},
		{"a hopeless timescale", "ticks per second", change("mdhd", 12, 1<<31)},
		{"no sample entry", "no sample entry", change("stsd", 4, 0)},
		{"no stsd", "no sample entry", renamed("stsd", "free")},
		{"sample entry beyond its box", "cut off", change("stsd", 8, 1<<20)},
		{"short sample entry", "too short", change("stsd", 8, 16)},
		{"cut parameter sets", "avcC: too short", change("avcC", 5, 0x67e1ffff)},
		{"neither sees nor hears", "no video or audio track", bytes.ReplaceAll(renamed("vide", "meta"), []byte("soun"), []byte("meta"))},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if tracks, err := parseInit(tc.b); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%+v, %v; want %q", tracks, err, tc.want)
			}
		})
	}
}

func TestReadInit(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "init-1.mp4")
	if _, err := readInit(path); err == nil || !strings.Contains(err.Error(), "initialization segment") {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := os.WriteFile(path, []byte("this is not MP4"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := readInit(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a file of words: %v", err)
	}
}

// hevcSets reads what ISO/IEC 14496-15 §8.3.3.1 lays out, with any length size.
func TestHEVCSets(t *testing.T) {
	t.Parallel()
	record := append(make([]byte, 21), 0xf9, 2, // two-byte lengths, two arrays
		0x20, 0, 1, 0, 2, 'v', 'p',
		0x21, 0, 2, 0, 1, 's', 0, 3, 't', 'u', 'v')
	sets, err := hevcSets(record)
	if want := "\x00\x02vp\x00\x01s\x00\x03tuv"; err != nil || string(sets) != want {
		t.Errorf("%q, %v; want %q", sets, err, want)
	}
	for n := range record {
		if _, err := hevcSets(record[:n]); err == nil {
			t.Errorf("%d bytes of it are enough", n)
		}
	}
}
