package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestScan(t *testing.T) {
	b := memoryBench(t, Policy{MinFree: -1})
	all := b.hours(3, 10, 100)
	at := func(i int, d time.Duration) time.Time { return all[i].Time().Add(d) }
	for _, c := range []struct {
		name     string
		from, to time.Time
		want     []Entry
	}{
		{"everything", time.Time{}, time.Time{}, all},
		{"from a start", at(5, 0), time.Time{}, all[5:]},
		{"from within", at(5, time.Second), time.Time{}, all[5:]},
		{"to a start", time.Time{}, at(5, 0), all[:5]},
		{"to within", time.Time{}, at(5, time.Millisecond), all[:6]},
		{"an instant", at(5, time.Second), at(5, time.Second+1), all[5:6]},
		{"over an hour's end", at(9, 0), at(11, 0), all[9:11]},
		{"before", time.Time{}, at(0, 0), nil},
		{"after", at(29, 2*time.Second), time.Time{}, nil},
		{"nothing", at(5, 0), at(5, 0), nil},
	} {
		found, err := Scan(context.Background(), b.o.Dir, c.from, c.to)
		if err != nil {
			t.Fatal(err)
		}
		var got []Entry
		for _, l := range found {
			got = append(got, l.Entry)
			for _, path := range []string{l.Path, l.InitPath} {
				if _, err := os.Stat(path); err != nil {
					t.Errorf("%s: %v", c.name, err)
				}
			}
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %d entries; want %d", c.name, len(got), len(c.want))
		}
	}
	if found, err := Scan(context.Background(), Dir(b.path("nowhere")), time.Time{}, time.Time{}); len(found) != 0 || err != nil {
		t.Errorf("an archive that is not there has %d entries, %v", len(found), err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Scan(ctx, b.o.Dir, time.Time{}, time.Time{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestScanWhileWriting reads beside a writer that records and drops: what is
// found is in order, and is read or was dropped; playlists always parse.
func TestScanWhileWriting(t *testing.T) {
	b := newBenchIn(t, memoryDir(t))
	b.o.FS = newFaults(0, nil)
	b.o.Policy = Policy{Window: 3, MinFree: -1, Segments: Limits{Bytes: 4000}}
	b.open().record(3, 100)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					readAll(t, b.o.Dir)
				}
			}
		})
	}
	b.hours(6, 30, 100)
	close(stop)
	readers.Wait()
	b.check(true)
}

func readAll(t *testing.T, dir Dir) {
	found, err := Scan(context.Background(), dir, time.Time{}, time.Time{})
	if err != nil {
		t.Error(err)
	}
	for i, l := range found {
		if i > 0 {
			if err := l.follows(found[i-1].Entry); err != nil {
				t.Error(err)
			}
		}
		if data, err := os.ReadFile(l.Path); !errors.Is(err, fs.ErrNotExist) && (err != nil || int64(len(data)) != l.Bytes) {
			t.Errorf("sequence %d has %d bytes, %v", l.Seq, len(data), err)
		}
	}
	lists, _ := filepath.Glob(filepath.Join(string(dir), "*", "*.m3u8"))
	for _, path := range append(lists, filepath.Join(string(dir), LiveName)) {
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if _, perr := ParsePlaylist(data); perr != nil || err != nil {
			t.Errorf("%s: %v, %v\n%s", path, perr, err, data)
		}
	}
}

func TestIndex(t *testing.T) {
	b := newBench(t).open()
	b.hours(2, 1, 100)
	b.dayFile("2026-11-22", 77)
	if err := os.WriteFile(b.o.Dir.DayFile("2026-11-21"), nil, fileMode); err != nil { // no manifest yet
		t.Fatal(err)
	}
	if err := UpdateIndex(b.o.Dir); err != nil {
		t.Fatal(err)
	}
	want := Index{Hours: []string{"2026-11-23/04", "2026-11-23/05"}, Days: []IndexDay{{Date: "2026-11-22", Bytes: 77, Seconds: 12.5}}}
	if got, err := ReadIndex(b.o.Dir); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("index is %+v, %v", got, err)
	}
	before, err := os.Stat(b.path(IndexName))
	if err != nil {
		t.Fatal(err)
	}
	if err := UpdateIndex(b.o.Dir); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(b.path(IndexName)); err != nil || !os.SameFile(before, after) {
		t.Errorf("an index that says the same is written again: %v", err)
	}
	// A day whose camera changed its codec, many times.
	want.Days[0].Files = []string{"2026-11-22.mp4"}
	for i := 2; i <= 10; i++ {
		name := fmt.Sprintf("2026-11-22-%d.mp4", i)
		want.Days[0].Files = append(want.Days[0].Files, name)
		if err := os.WriteFile(b.path(DaysFolder, name), nil, fileMode); err != nil {
			t.Fatal(err)
		}
	}
	if err := UpdateIndex(b.o.Dir); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadIndex(b.o.Dir); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("index is %+v, %v", got, err)
	}
	empty := Dir(t.TempDir())
	if err := UpdateIndex(empty); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(filepath.Join(string(empty), IndexName)); string(data) != "{\"hours\":[],\"days\":[]}\n" {
		t.Errorf("an empty index is %s, %v", data, err)
	}
	if err := UpdateIndex(Dir(b.path("nowhere"))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}

func TestStatus(t *testing.T) {
	dir := Dir(filepath.Join(t.TempDir(), "gate", "north"))
	if _, err := ReadStatus(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no status yet: %v", err)
	}
	s := Status{State: Live, Since: began, Codec: "h264", Width: 1920, Height: 1080, FPS: 25, Bitrate: 4_000_000}
	if err := WriteStatus(dir, s); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(string(dir), StatusName)
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteStatus(dir, s); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
		t.Errorf("a status that says the same is written again: %v", err)
	}
	if got, err := ReadStatus(dir); err != nil || got != s {
		t.Errorf("status is %+v, %v", got, err)
	}
	if err := WriteStatus(dir, Status{State: "fine"}); err == nil {
		t.Error("a state that does not exist is written")
	}
	for _, bad := range []string{"", "{", `{"state":"fine"}`} {
		if err := os.WriteFile(path, []byte(bad), fileMode); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadStatus(dir); err == nil {
			t.Errorf("%q is read as a status", bad)
		}
	}
	if len(States()) != 9 || slices.ContainsFunc(States(), func(s State) bool { return !s.Valid() || s.String() == "" }) {
		t.Errorf("states are %v", States())
	}
}

// TestSteadyState: one segment is its file, one journal line, one entry in the
// hour's playlist and live.m3u8, and nothing else.
func TestSteadyState(t *testing.T) {
	b := newBenchIn(t, memoryDir(t))
	f := newFaults(0, nil)
	b.o.FS = f
	b.open().record(10, 100)
	f.trace = nil
	b.record(1, 100)
	var writes []string
	for _, op := range f.trace {
		if !reads(op) {
			writes = append(writes, op)
		}
	}
	want := []string{
		"segment.open", "segment.write", "segment.sync", "segment.rename", "segment.folder",
		"journal.write", "journal.sync", "hour.playlist.write", "live.open.open", "live.open.write", "live.rename",
	}
	if writes = slices.DeleteFunc(writes, func(s string) bool { return s == "" }); !slices.Equal(slices.Compact(writes), want) {
		t.Errorf("a segment costs %v", writes)
	}
}
