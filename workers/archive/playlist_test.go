package archive

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func entriesOf(n int) []Entry {
	var all []Entry
	for i := range n {
		e := Entry{
			Seq: 100 + uint64(i), Start: began.UnixMilli() + int64(i)*2000, Duration: twoSeconds, Frames: 50, Bytes: 1000,
			Session: "abcd-1", Init: "init-0011.mp4", Discontinuity: 7,
		}
		if i >= n/2 {
			e.Session, e.Discontinuity = "abcd-2", 8
		}
		all = append(all, e)
	}
	return all
}

// TestPlaylistGolden holds the exact text that players get.
func TestPlaylistGolden(t *testing.T) {
	entries := entriesOf(4)
	for name, list := range map[string]Playlist{
		"live": playlistOf(entries, 2, fromCamera),
		"open": hourPlaylist(entries[:3], 2, false),
		"over": hourPlaylist(entries, 2, true),
	} {
		path := filepath.Join("testdata", name+".m3u8")
		got := list.Marshal()
		if os.Getenv("UPDATE") != "" {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is\n%s\nwant\n%s", name, got, want)
		}
		if back, err := ParsePlaylist(want); err != nil || !reflect.DeepEqual(back, list) {
			t.Errorf("%s reads as %+v, %v", name, back, err)
		}
	}
}

// TestPlaylistRoundTrip: parse(write(x)) = x, for any durations and sizes.
func TestPlaylistRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		list := Playlist{Type: []PlaylistType{Sliding, Event, VOD}[r.IntN(3)], Sequence: r.Uint64(), Discontinuity: r.Uint64(), Ended: r.IntN(2) == 0}
		m := "i0"
		for i := range r.IntN(20) {
			if r.IntN(4) == 0 {
				m = strings.Repeat("i", 1+r.IntN(9))
			}
			it := Item{URI: "u", Map: m, Start: r.Int64N(maxTime), Duration: r.Int64N(100 * Timescale), Discontinuity: i > 0 && r.IntN(3) == 0}
			list.Items = append(list.Items, it)
			list.Target = max(list.Target, targetOf(it.Duration))
		}
		back, err := ParsePlaylist(list.Marshal())
		if err != nil || !reflect.DeepEqual(back, list) {
			t.Fatalf("%+v\nreads as %+v\n%v", list, back, err)
		}
	}
}

// TestSecondsExact: every duration of a minute survives being written.
func TestSecondsExact(t *testing.T) {
	for ticks := int64(0); ticks < 60*Timescale; ticks += 101 {
		if got, err := parseSeconds(string(appendSeconds(nil, ticks))); err != nil || got != ticks {
			t.Fatalf("%d ticks are read as %d, %v", ticks, got, err)
		}
	}
}

const head = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n"
const entry = "#EXT-X-MAP:URI=\"i\"\n#EXT-X-PROGRAM-DATE-TIME:2026-11-23T04:00:00.000Z\n#EXTINF:2,\n"

var badPlaylists = []struct{ name, text, want string }{
	{"empty", "", "line 1"},
	{"other", "hello", "line 1"},
	{"no target", "#EXTM3U\n", "no #EXT-X-TARGETDURATION"},
	{"bad target", "#EXTM3U\n#EXT-X-TARGETDURATION:two\n", "line 2"},
	{"huge target", "#EXTM3U\n#EXT-X-TARGETDURATION:99999999999\n", "line 2"},
	{"too long", head + strings.Replace(entry, ":2,", ":3,", 1) + "a\n", "entry 1 is longer"},
	{"bad sequence", head + "#EXT-X-MEDIA-SEQUENCE:-1\n", "line 3"},
	{"bad type", head + "#EXT-X-PLAYLIST-TYPE:LIVE\n", "neither"},
	{"no duration", head + "a\n", "no EXTINF"},
	{"no time", head + "#EXTINF:2,\na\n", "no EXT-X-PROGRAM"},
	{"no map", head + strings.SplitAfterN(entry, "\n", 2)[1] + "a\n", "no EXT-X-MAP"},
	{"bad map", head + "#EXT-X-MAP:i\n", "EXT-X-MAP is not"},
	{"byte range", head + "#EXT-X-MAP:URI=\"i\",BYTERANGE=\"1@2\"\n", "EXT-X-MAP is not"},
	{"bad time", head + "#EXT-X-PROGRAM-DATE-TIME:yesterday\n", "not a time"},
	{"bad duration", head + "#EXTINF:2s,\n", "not a duration"},
	{"negative duration", head + "#EXTINF:-2,\n", "not a duration"},
	{"cut off", head + entry, "in the middle"},
	{"after the end", head + "#EXT-X-ENDLIST\n" + entry + "a\n", "after"},
	{"first discontinuity", head + "#EXT-X-DISCONTINUITY\n" + entry + "a\n", "DISCONTINUITY-SEQUENCE"},
	{"space", head + entry + "a b\n", "not an address"},
}

func TestPlaylistErrors(t *testing.T) {
	for _, c := range badPlaylists {
		if _, err := ParsePlaylist([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v; want %q", c.name, err, c.want)
		}
	}
	if _, err := ParsePlaylist([]byte(head + "#EXT-X-NEW:1\n# a remark\n\r\n" + entry + "a\n")); err != nil {
		t.Errorf("what is unknown is not skipped: %v", err)
	}
}

// FuzzPlaylist: no input panics, and what was read once is written and read
// the same for ever.
func FuzzPlaylist(f *testing.F) {
	for _, c := range badPlaylists {
		f.Add([]byte(c.text))
	}
	f.Add(hourPlaylist(entriesOf(5), 2, true).Marshal())
	f.Add(playlistOf(entriesOf(3), 2, fromCamera).Marshal())
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := ParsePlaylist(data)
		if err != nil {
			return
		}
		again, err := ParsePlaylist(list.Marshal())
		if err != nil || !reflect.DeepEqual(again, list) {
			t.Fatalf("%+v\nis read again as %+v\n%v", list, again, err)
		}
	})
}

func TestFiller(t *testing.T) {
	for at := int64(0); at < 2*pageSize; at += 13 {
		n := 150
		fill := filler(at, n)
		first, last := (at+int64(len(fill)))/pageSize, (at+int64(len(fill)+n)-1)/pageSize
		if first != last {
			t.Fatalf("an entry of %d bytes at %d lies on two pages", n, at)
		}
		if len(fill) > 0 && (fill[len(fill)-1] != '\n' || len(fill) > 1 && fill[0] != '#') {
			t.Fatalf("filler %q is no comment", fill)
		}
	}
}
