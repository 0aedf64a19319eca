package archive

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// refuser is a disk that refuses some names; tests run as root, whom
// permissions do not hold back.
type refuser struct {
	OS
	refuse func(op, name string) error
}

func (r refuser) OpenFile(op, name string, flag int) (File, error) {
	if err := r.refuse(op, name); err != nil {
		return nil, err
	}
	return r.OS.OpenFile(op, name, flag)
}

func (r refuser) ReadFile(op, name string) ([]byte, error) {
	if err := r.refuse(op, name); err != nil {
		return nil, err
	}
	return r.OS.ReadFile(op, name)
}

func (r refuser) ReadDir(op, name string) ([]fs.DirEntry, error) {
	if err := r.refuse(op, name); err != nil {
		return nil, err
	}
	return r.OS.ReadDir(op, name)
}

func (r refuser) Rename(op, from, to string) error {
	if err := r.refuse(op, from); err != nil {
		return err
	}
	return r.OS.Rename(op, from, to)
}

func (r refuser) Remove(op, name string) error {
	if err := r.refuse(op, name); err != nil {
		return err
	}
	return r.OS.Remove(op, name)
}

// refusing refuses the paths with this ending.
func refusing(err error, endings ...string) FS {
	return refuser{refuse: func(op, name string) error {
		for _, e := range endings {
			if strings.HasSuffix(name, e) {
				return &fs.PathError{Op: op, Path: name, Err: err}
			}
		}
		return nil
	}}
}

// damaged is a way in which something of an archive is not as it was left.
type damaged struct {
	name string
	// do damages; hour is the path of an hour's folder that is over.
	do func(t *testing.T, dir, hour string)
	// fs refuses, instead.
	fs func(hour string) FS
	// said is a part of the message; empty where nothing is to be said.
	said string
	// keeps tells that the hour's recordings can still be read.
	keeps bool
}

func damages() []damaged {
	write := func(path func(dir, hour string) string, data string) func(*testing.T, string, string) {
		return func(t *testing.T, dir, hour string) { put(t, path(dir, hour), data) }
	}
	folder := func(path func(dir, hour string) string) func(*testing.T, string, string) {
		return func(t *testing.T, dir, hour string) {
			_ = os.RemoveAll(path(dir, hour))
			put(t, filepath.Join(path(dir, hour), "inside"), "x")
		}
	}
	link := func(path func(dir, hour string) string) func(*testing.T, string, string) {
		return func(t *testing.T, dir, hour string) {
			_ = os.RemoveAll(path(dir, hour))
			if err := os.Symlink("/nowhere/at/all", path(dir, hour)); err != nil {
				t.Fatal(err)
			}
		}
	}
	in := func(name string) func(dir, hour string) string {
		return func(_, hour string) string { return filepath.Join(hour, name) }
	}
	beside := func(suffix string) func(dir, hour string) string {
		return func(_, hour string) string { return hour + suffix }
	}
	root := func(name string) func(dir, hour string) string {
		return func(dir, _ string) string { return filepath.Join(dir, name) }
	}
	behind := func(t *testing.T, dir, hour string) { // so that the playlist has to be written
		if err := os.Remove(hour + ".m3u8"); err != nil {
			t.Fatal(err)
		}
	}
	both := func(do ...func(*testing.T, string, string)) func(*testing.T, string, string) {
		return func(t *testing.T, dir, hour string) {
			for _, d := range do {
				d(t, dir, hour)
			}
		}
	}
	return []damaged{
		{name: "playlist cannot be written", do: behind, said: "permission denied", keeps: true,
			fs: func(hour string) FS { return refusing(unix.EACCES, hour+".m3u8.tmp") }},
		{name: "playlist's temporary file is a folder", do: both(behind, folder(beside(".m3u8.tmp"))), said: ".m3u8.tmp", keeps: true},
		{name: "playlist's temporary file is an empty folder", keeps: true,
			do: both(behind, folder(beside(".m3u8.tmp")), func(_ *testing.T, _, hour string) { _ = os.Remove(hour + ".m3u8.tmp/inside") })},
		{name: "playlist's temporary file is a link", do: both(behind, link(beside(".m3u8.tmp"))), keeps: true},
		{name: "playlist is a folder", do: folder(beside(".m3u8")), said: ".m3u8", keeps: true},
		{name: "playlist is a link", do: link(beside(".m3u8")), keeps: true},
		{name: "journal is a folder", do: folder(in(JournalName)), said: "is a directory"},
		{name: "journal is a link", do: link(in(JournalName))},
		{name: "journal is empty", do: write(in(JournalName), "")},
		{name: "journal is junk", do: write(in(JournalName), "\x00\xff{]\n{}\nnull\n[1,2]\n\"x")},
		{name: "journal ends in junk", keeps: true, do: func(t *testing.T, _, hour string) {
			data, err := os.ReadFile(filepath.Join(hour, JournalName))
			if err != nil {
				t.Fatal(err)
			}
			put(t, filepath.Join(hour, JournalName), string(data)+"{\"seq\":\n\x00\n")
		}},
		{name: "journal in disorder cannot be written", said: "journal.jsonl.tmp", keeps: true,
			do: func(t *testing.T, dir, hour string) {
				folder(in(JournalName+".tmp"))(t, dir, hour)
				data, err := os.ReadFile(filepath.Join(hour, JournalName))
				if err != nil {
					t.Fatal(err)
				}
				put(t, filepath.Join(hour, JournalName), string(data)+"junk\n")
			}},
		{name: "journal cannot be read", said: "permission denied",
			fs: func(hour string) FS { return refusing(unix.EACCES, hour+"/"+JournalName) }},
		{name: "journal has a bad sector", said: "input/output error",
			fs: func(hour string) FS { return refusing(unix.EIO, hour+"/"+JournalName) }},
		{name: "hour cannot be read", said: "permission denied",
			fs: func(hour string) FS { return refusing(unix.EACCES, hour) }},
		{name: "date cannot be read", said: "cannot be read",
			fs: func(hour string) FS { return refusing(unix.EACCES, filepath.Dir(hour)) }},
		{name: "hour is a file", do: func(t *testing.T, _, hour string) { _ = os.RemoveAll(hour); put(t, hour, "x") }},
		{name: "hour is a link", do: link(beside(""))},
		{name: "a date is a link", do: link(root("2026-10-01")), keeps: true},
		{name: "a date is a file", do: write(root("2026-10-01"), "x"), keeps: true},
		{name: "a folder in the hour", do: folder(in("lost+found")), keeps: true},
		{name: "the trash is a file", do: both(func(_ *testing.T, dir, _ string) { _ = os.Remove(filepath.Join(dir, trashName)) }, write(root(trashName), "x")), keeps: true},
		{name: "the trash is a link", do: link(root(trashName)), keeps: true},
		{name: "the trash cannot be read", said: "cannot be deleted", keeps: true,
			fs: func(string) FS { return refusing(unix.EACCES, trashName) }},
		{name: "live playlist is a folder", do: folder(root(LiveName)), said: "live playlist", keeps: true},
		{name: "live playlist is junk", do: write(root(LiveName), "#EXTM3U\n\x00junk"), keeps: true},
		{name: "index is a folder", do: folder(root(IndexName)), keeps: true},
		{name: "days is a file", do: write(root(DaysFolder), "x"), keeps: true},
		{name: "days is a link", do: link(root(DaysFolder)), keeps: true},
		{name: "a manifest is empty", do: both(write(root("days/2026-11-20.mp4"), "x"), write(root("days/2026-11-20.json"), "")), keeps: true},
		{name: "a manifest is junk", do: both(write(root("days/2026-11-20.mp4"), "x"), write(root("days/2026-11-20.json"), "{\"seconds\":[{")), keeps: true},
		{name: "a manifest is a folder", do: both(write(root("days/2026-11-20.mp4"), "x"), folder(root("days/2026-11-20.json"))), keeps: true},
	}
}

func put(t *testing.T, path, data string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestDamageDoesNotStopTheRecorder damages one thing of an archive, in an hour
// that is over: the newest, one that Open looks at, and one that it does not.
func TestDamageDoesNotStopTheRecorder(t *testing.T) {
	t.Parallel()
	for _, d := range damages() {
		for back, of := range []string{"newest", "", "", "", "oldest"} {
			if of == "" {
				continue
			}
			t.Run(d.name+"/"+of, func(t *testing.T) {
				t.Parallel()
				d.test(t, back)
			})
		}
	}
}

func (d damaged) test(t *testing.T, back int) {
	b := newBenchIn(t, memoryDir(t))
	var said string
	b.o.Damaged = func(s string) { said = s }
	all := b.open().hours(5, 5, 1000)
	b.close()
	victim := all[len(all)-1-5*back]
	hour := b.o.Dir.Hour(victim.Time())
	if d.do != nil {
		d.do(t, string(b.o.Dir), hour)
	}
	if d.fs != nil {
		b.o.FS = d.fs(hour)
	}
	b.clock.now = b.clock.now.Truncate(24 * time.Hour).Add(26 * time.Hour)

	b.open()
	fresh := b.record(3, 1000)
	for range 5 {
		b.maintain()
	}
	if !strings.Contains(said, d.said) || (d.said == "") != (said == "") {
		t.Errorf("said %q, want %q in it", said, d.said)
	}
	b.close()

	b.o.FS = nil // whoever looks now can read everything
	b.goesOn(all, fresh, hourOf(victim.Start), d.keeps)
	if d.fs != nil { // and so can the next writer
		b.open()
		again := b.record(1, 1000)
		b.goesOn(all, append(fresh, again...), hourOf(victim.Start), true)
		b.maintain()
		if said != "" {
			t.Errorf("it is in order again, and %q is still said", said)
		}
		b.close()
		b.check(true)
	}
}

// goesOn checks that everything is there but, at most, what the victim had, and
// that the numbers grow.
func (b *bench) goesOn(all, fresh []Entry, victim time.Time, keeps bool) {
	b.t.Helper()
	have := map[int64]Entry{}
	found, err := Scan(context.Background(), b.o.Dir, fresh[0].Time(), time.Time{})
	if err != nil {
		b.t.Fatal(err)
	}
	if before, err := Scan(context.Background(), b.o.Dir, time.Time{}, fresh[0].Time()); err == nil {
		found = append(before, found...)
	} else if keeps || !errors.Is(err, unix.EISDIR) {
		b.t.Fatal(err)
	} else {
		return // a journal that is a folder, in the time that was asked for
	}
	for _, l := range found {
		have[l.Start] = l.Entry
	}
	for i, e := range append(append([]Entry(nil), all...), fresh...) {
		if _, ok := have[e.Start]; !ok && (keeps || !hourOf(e.Start).Equal(victim)) {
			b.t.Errorf("segment %d, of %s, is lost", i, e.Time())
		}
	}
	for i, e := range fresh {
		last := all[len(all)-1]
		if i > 0 {
			last = fresh[i-1]
		}
		if err := e.follows(last); err != nil {
			b.t.Errorf("segment %d of the new ones: %v", i, err)
		}
	}
}

// TestDamageIsLeft holds that an hour which is not understood stays untouched.
func TestDamageIsLeft(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	all := b.open().hours(4, 4, 1000)
	b.close()
	hour := b.o.Dir.Hour(all[0].Time())
	journal := filepath.Join(hour, JournalName)
	if err := errors.Join(os.Remove(journal), os.Mkdir(journal, 0o755)); err != nil {
		t.Fatal(err)
	}
	b.clock.advance(time.Hour)
	b.open().record(5, 1000)
	b.maintain()
	names, err := os.ReadDir(hour)
	if err != nil || len(names) != 6 { // four segments, an init, the journal
		t.Errorf("%v, %v are left", names, err)
	}
	if _, err := os.Stat(hour + ".m3u8"); err != nil {
		t.Error(err)
	}
}

// TestDanglingArchive does not go round in circles where a folder is a link
// that leads nowhere.
func TestDanglingArchive(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	link := filepath.Join(string(b.o.Dir), began.Format(DateLayout))
	if err := os.Symlink("/nowhere/at/all", link); err != nil {
		t.Fatal(err)
	}
	b.open()
	if _, err := b.try(1000); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("recorded, or: %v", err)
	}
	b.clock.advance(24 * time.Hour)
	b.record(3, 1000)
}
