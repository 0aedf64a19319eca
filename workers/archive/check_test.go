package archive

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCheckFinds breaks an archive in every way that the invariants forbid.
func TestCheckFinds(t *testing.T) {
	type damage struct {
		name string
		do   func(b *bench, all []Entry) error
		want string // in a problem; with a leading ? in a note
	}
	write := func(path string, data string) error { return os.WriteFile(path, []byte(data), fileMode) }
	journal := func(b *bench) string { return b.path("2026-11-23", "04", JournalName) }
	edit := func(path, from, to string) error {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(path, bytes.Replace(data, []byte(from), []byte(to), 1), fileMode)
	}
	for _, d := range []damage{
		{"a segment is gone", func(b *bench, all []Entry) error { return os.Remove(b.o.Dir.Segment(all[3].Time())) }, "no such file"},
		{"a segment is short", func(b *bench, all []Entry) error { return os.Truncate(b.o.Dir.Segment(all[3].Time()), 50) }, "the journal says"},
		{"a segment is garbage", func(b *bench, all []Entry) error {
			return write(b.o.Dir.Segment(all[3].Time()), strings.Repeat("x", 100))
		}, "at byte 0"},
		{"an init is gone", func(b *bench, all []Entry) error { return os.Remove(b.path("2026-11-23", "04", all[3].Init)) }, "no such file"},
		{"an init is another", func(b *bench, all []Entry) error { return write(b.path("2026-11-23", "04", all[3].Init), "x") }, "holds init-"},
		{"a line is damaged", func(b *bench, _ []Entry) error { return edit(journal(b), "seq", "\x00") }, "line 1"},
		{"the wrong hour", func(b *bench, all []Entry) error {
			return edit(journal(b), string(all[9].append(nil)), string(all[9].append(nil))+line(func(e *Entry) {
				*e = all[9]
				e.Seq, e.Start = e.Seq+1, e.Start+3_600_000
			}))
		}, "another hour"},
		{"a playlist says more", func(b *bench, _ []Entry) error { return edit(journal(b), "{", "[") }, "entries, the journal has"},
		{"a playlist says else", func(b *bench, _ []Entry) error { return edit(b.path("2026-11-23", "04.m3u8"), "2.000000", "1.000000") }, "the journal says"},
		{"a playlist is garbage", func(b *bench, _ []Entry) error { return write(b.path("2026-11-23", "04.m3u8"), "x\n") }, "line 1"},
		{"a playlist leads out", func(b *bench, _ []Entry) error { return edit(b.path(LiveName), "2026-11-23/04/1", "../1") }, "leads out"},
		{"live is garbage", func(b *bench, _ []Entry) error { return write(b.path(LiveName), "x") }, "line 1"},
		{"live ends", func(b *bench, _ []Entry) error { return appendTo(b.path(LiveName), tagEnd+"\n") }, "it never ends"},
		{"live counts wrongly", func(b *bench, _ []Entry) error { return edit(b.path(LiveName), tagSequence+"1", tagSequence+"2") }, "the journals have"},
		{"live is behind", func(b *bench, all []Entry) error {
			return os.WriteFile(b.path(LiveName), playlistOf(all[:5], 2, fromCamera).Marshal(), fileMode)
		}, "?the journal's newest"},
		{"a playlist is behind", func(b *bench, all []Entry) error {
			return os.WriteFile(b.path("2026-11-23", "04.m3u8"), hourPlaylist(all[2:5], 2, false).Marshal(), fileMode)
		}, "?3 entries"},
		{"an hour is not ended", func(b *bench, all []Entry) error {
			return os.WriteFile(b.path("2026-11-23", "03.m3u8"), hourPlaylist(all[:2], 2, false).Marshal(), fileMode)
		}, "?the hour is over"},
		{"the index is old", func(b *bench, _ []Entry) error { return write(b.path(IndexName), `{"hours":[],"days":[]}`) }, "?there is"},
		{"a leftover", func(b *bench, _ []Entry) error { return write(b.path("2026-11-23", "04", "1.m4s.tmp"), "") }, "?temporary"},
		{"a stray", func(b *bench, _ []Entry) error { return write(b.path("2026-11-23", "04", "1.m4s"), "") }, "?does not know"},
		{"trash", func(b *bench, _ []Entry) error { return os.Mkdir(b.path(trashName, "x"), folderMode) }, "?left over"},
		{"half a day", func(b *bench, _ []Entry) error {
			b.dayFile("2026-11-22", 1)
			return os.Remove(b.o.Dir.Manifest("2026-11-22"))
		}, "?without its manifest"},
	} {
		t.Run(d.name, func(t *testing.T) {
			b := newBenchIn(t, memoryDir(t))
			b.o.FS = newFaults(0, nil)
			all := b.open().record(10, 100)
			b.close()
			if err := d.do(b, all); err != nil {
				t.Fatal(err)
			}
			r, err := Check(context.Background(), b.o.Dir)
			if err != nil {
				t.Fatal(err)
			}
			found, want := r.Problems, d.want
			if rest, note := strings.CutPrefix(want, "?"); note {
				found, want = r.Notes, rest
				if len(r.Problems) > 0 {
					t.Errorf("more than a note: %v", r.Problems)
				}
			}
			hit := want == "" && len(r.Problems)+len(r.Notes) == 0
			for _, p := range found {
				hit = hit || want != "" && strings.Contains(p.String(), want)
			}
			if !hit {
				t.Errorf("found %v, notes %v; want %q", r.Problems, r.Notes, d.want)
			}
		})
	}
	if _, err := Check(context.Background(), Dir(filepath.Join(t.TempDir(), "nowhere"))); err == nil {
		t.Error("a folder that is not there is checked")
	}
}

func appendTo(path, text string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, text...), fileMode)
}

func TestWalkBoxes(t *testing.T) {
	large := append([]byte{0, 0, 0, 1, 'm', 'd', 'a', 't', 0, 0, 0, 0, 0, 0, 0, 20}, 1, 2, 3, 4)
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"one", bytes.Join(fragment(100), nil), ""},
		{"two", bytes.Join(append(fragment(100), fragment(50)...), nil), ""},
		{"with a styp", append(box("styp", 8), bytes.Join(fragment(100), nil)...), ""},
		{"64 bits", append(box("moof", 0), large...), ""},
		{"empty", nil, "no whole fragment"},
		{"moof alone", box("moof", 8), "no whole fragment"},
		{"mdat alone", box("mdat", 8), "out of turn"},
		{"two moofs", append(box("moof", 8), box("moof", 8)...), "out of turn"},
		{"cut in a header", append(box("moof", 8), 0, 0), "cut off"},
		{"cut in a long header", append(box("moof", 0), large[:12]...), "cut off"},
		{"cut in a box", append(box("moof", 8), box("mdat", 8)[:12]...), "are left"},
		{"smaller than its header", []byte{0, 0, 0, 7, 'm', 'o', 'o', 'f'}, "are left"},
	} {
		err := walkBoxes(bytes.NewReader(c.data), int64(len(c.data)))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", c.name, err, c.want)
		}
	}
}
