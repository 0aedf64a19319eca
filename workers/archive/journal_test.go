package archive

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"
)

// TestEntryIsJSON: the hand-written line is what encoding/json writes.
func TestEntryIsJSON(t *testing.T) {
	entries := entriesOf(2)
	entries[1].Gap = &Gap{Since: 12, Cause: "killed"}
	for _, e := range entries {
		want, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.append(nil); !bytes.Equal(got, append(want, '\n')) {
			t.Errorf("line is %s; want %s", got, want)
		}
		back, err := ParseEntry(want)
		if err != nil || !reflect.DeepEqual(back, e) {
			t.Errorf("%s reads as %+v, %v", want, back, err)
		}
	}
}

func line(change func(*Entry)) string {
	e := entriesOf(1)[0]
	change(&e)
	return string(e.append(nil))
}

var badEntries = []struct{ name, line, want string }{
	{"empty", "\n", "journal"},
	{"zeros", "\x00\x00\x00\n", "journal"},
	{"not an object", "[]\n", "journal"},
	{"no start", line(func(e *Entry) { e.Start = 0 }), "not a time"},
	{"sequence", line(func(e *Entry) { e.Seq = maxSequence }), "out of range"},
	{"discontinuity", line(func(e *Entry) { e.Discontinuity = maxSequence }), "out of range"},
	{"duration", line(func(e *Entry) { e.Duration = -1 }), "out of range"},
	{"bytes", line(func(e *Entry) { e.Bytes = -1 }), "less than nothing"},
	{"session", line(func(e *Entry) { e.Session = "" }), "session"},
	{"no frames", strings.Replace(line(func(*Entry) {}), "frames", "fr", 1), "less than nothing"},
	{"init is a path", line(func(e *Entry) { e.Init = "init-/../../x.mp4" }), "init"},
	{"cause", line(func(e *Entry) { e.Gap = &Gap{Since: 1, Cause: "<b>"} }), "gap"},
}

func TestEntryErrors(t *testing.T) {
	for _, c := range badEntries {
		if _, err := ParseEntry([]byte(c.line)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v; want %q", c.name, err, c.want)
		}
	}
}

// TestJournalTorn: wherever a journal is cut, the whole lines before count and
// nothing else.
func TestJournalTorn(t *testing.T) {
	entries := entriesOf(3)
	data := appendJournal(nil, entries)
	size := bytes.IndexByte(data, '\n') + 1
	for cut := range len(data) + 1 {
		got, err := ParseJournal(data[:cut])
		if want := cut / size; len(got) != want || want > 0 && !reflect.DeepEqual(got, entries[:want]) {
			t.Fatalf("cut at %d: %d entries, want %d", cut, len(got), want)
		}
		if torn := cut%size != 0; onlyTorn(err) != torn || !torn && err != nil {
			t.Fatalf("cut at %d: error %v", cut, err)
		}
	}
}

func TestJournalDamage(t *testing.T) {
	entries := entriesOf(5)
	lines := bytes.SplitAfter(appendJournal(nil, entries), []byte("\n"))
	for name, c := range map[string]struct {
		data [][]byte
		keep int
		want string
	}{
		"a line of zeros":   {[][]byte{lines[0], []byte("\x00\x00\n"), lines[2]}, 2, "line 2"},
		"out of order":      {[][]byte{lines[1], lines[0], lines[2]}, 2, "line 2"},
		"twice":             {[][]byte{lines[0], lines[0]}, 1, "line 2"},
		"no discontinuity":  {[][]byte{lines[0], []byte(line(func(e *Entry) { e.Seq++; e.Start++; e.Session, e.Discontinuity = "other", 7 }))}, 1, "no discontinuity"},
		"damaged and torn":  {[][]byte{lines[0], []byte("x\n"), lines[2][:9]}, 1, "not whole"},
		"a line too little": {[][]byte{lines[0], lines[2]}, 2, ""},
	} {
		got, err := ParseJournal(bytes.Join(c.data, nil))
		if len(got) != c.keep || (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || onlyTorn(err) {
			t.Errorf("%s: %d entries, %v", name, len(got), err)
		}
	}
}

// FuzzJournal: no input panics; what is read is in order, and is read the same
// when it is written again.
func FuzzJournal(f *testing.F) {
	for _, c := range badEntries {
		f.Add([]byte(c.line))
	}
	data := appendJournal(nil, entriesOf(3))
	f.Add(data)
	f.Add(data[:len(data)-5])
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, _ := ParseJournal(data)
		again, err := ParseJournal(appendJournal(nil, entries))
		if err != nil || len(entries) > 0 && !reflect.DeepEqual(again, entries) {
			t.Fatalf("%+v\nis read again as %+v\n%v", entries, again, err)
		}
		for i := 1; i < len(entries); i++ {
			if err := entries[i].follows(entries[i-1]); err != nil {
				t.Fatal(err)
			}
		}
		_ = hourPlaylist(entries, 2, true).Marshal()
	})
}

// TestRecoverAnyJournal opens archives whose journal a power cut has damaged,
// zeros and a torn tail: it never fails, and what it leaves is right.
func TestRecoverAnyJournal(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 40 {
		b := newBenchIn(t, memoryDir(t))
		b.o.FS = newFaults(0, nil)
		b.open().record(4, 500)
		b.close()
		path := b.w.store.journalPath(hourOf(b.w.store.floor))
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for range 1 + r.IntN(3) {
			clear(data[r.IntN(len(data)):][:1])
		}
		data = data[:len(data)-r.IntN(len(data)/2)]
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		before, _ := b.w.Last()
		next := b.open().record(1, 500)[0]
		if err := next.follows(before); err != nil {
			t.Errorf("does not go on: %v", err)
		}
		b.close()
		b.check(false)
	}
}
