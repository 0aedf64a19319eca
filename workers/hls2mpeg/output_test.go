package hls2mpeg

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestPartPath(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		path string
		n    int
		want string
	}{
		{"/a/2026-11-22.mp4", 0, "/a/2026-11-22.mp4"},
		{"/a/2026-11-22.mp4", 1, "/a/2026-11-22-2.mp4"},
		{"/a.b/clip", 2, "/a.b/clip-3"},
	} {
		if got := partPath(tc.path, tc.n); got != tc.want {
			t.Errorf("part %d of %s is %s, want %s", tc.n, tc.path, got, tc.want)
		}
	}
}

func TestRoom(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := room(dir, 1); err != nil {
		t.Errorf("one byte: %v", err)
	}
	err := room(dir, 1<<60)
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "shorten the retention") {
		t.Errorf("an exabyte: %v", err)
	}
	if err := room(dir+"/none", 1); err == nil {
		t.Error("a folder that is not there has room")
	}
}

func TestSweep(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"left.mp4.part", "2026-11-22.mp4", "2026-11-22.json"} {
		if err := os.WriteFile(at(name), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	held, err := openPart(at("held.mp4.part"))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := sweep(dir); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(at("*"))
	want := []string{at("2026-11-22.json"), at("2026-11-22.mp4"), at("held.mp4.part")}
	if err != nil || fmt.Sprint(left) != fmt.Sprint(want) {
		t.Errorf("left %v, want %v", left, want)
	}
	if err := sweep(at("none")); err != nil {
		t.Errorf("a folder that is not there: %v", err)
	}
}

func TestSink(t *testing.T) {
	t.Parallel()
	source, err := os.Create(filepath.Join(t.TempDir(), "source"))
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	data := bytes.Repeat([]byte("0123456789abcde"), 3*sinkSize/10) // several buffers, and not whole ones
	if _, err := source.Write(data); err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	s := newSink(out)
	want := []byte("head")
	fatal := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err = s.Write(want)
	fatal(err)
	for _, sp := range []span{{0, int64(len(data))}, {5, 1}, {7, 2 * sinkSize}, {0, 0}} {
		fatal(s.copy(source, sp))
		want = append(want, data[sp.offset:sp.offset+sp.size]...)
	}
	fatal(s.skip(sinkSize + 1))
	want = append(want, make([]byte, sinkSize+1)...)
	_, err = s.Write(data)
	fatal(err)
	want = append(want, data...)
	sum, err := s.close()
	fatal(err)
	got, err := os.ReadFile(out.Name())
	if err != nil || !bytes.Equal(got, want) || s.at != int64(len(want)) {
		t.Errorf("wrote %d bytes, want %d; %v", len(got), len(want), err)
	}
	if w := fmt.Sprintf("%x", sha256.Sum256(want)); sum != w {
		t.Errorf("hash %s, want %s", sum, w)
	}
}

func TestSinkErrors(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "out")
	if err := os.WriteFile(path, []byte("short"), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := os.Open(path) // to read
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	s := newSink(out)
	if err := s.copy(out, span{0, 6}); !errors.Is(err, errChanged) {
		t.Errorf("a source that is too short: %v", err)
	}
	if _, err := s.Write(make([]byte, 9*sinkSize)); err == nil {
		t.Error("wrote to a file that is open to read")
	}
	if err := s.skip(1); err == nil {
		t.Error("skipped in it")
	}
	if _, err := s.close(); err == nil {
		t.Error("closed it without an error")
	}
}
