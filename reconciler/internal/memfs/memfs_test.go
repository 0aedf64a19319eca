package memfs

import (
	"errors"
	"io/fs"
	"testing"
	"testing/fstest"
)

func TestTree(t *testing.T) {
	t.Parallel()
	m := New()
	m.AddFile("sites/gate/site.cue", []byte("package site\n"))
	m.AddFile("fleet.cue", []byte("package fleet\n"))
	m.AddDir("sites")
	m.AddDir("empty")
	m.Sort()
	if err := fstest.TestFS(m, "fleet.cue", "sites/gate/site.cue", "empty"); err != nil {
		t.Error(err)
	}
}

func TestContentIsNotShared(t *testing.T) {
	t.Parallel()
	m := New()
	m.AddFile("a", []byte("one"))
	b, err := m.ReadFile("a")
	if err != nil {
		t.Fatal(err)
	}
	b[0] = 'X'
	if again, _ := m.ReadFile("a"); string(again) != "one" {
		t.Errorf("a reader changed the file to %q", again)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	m := New()
	why := errors.New("too large")
	m.AddUnreadable("big", 5000, why)
	m.AddFile("dir/file", nil)
	m.Sort()
	if i, err := m.Stat("big"); err != nil || i.Size() != 5000 {
		t.Errorf("stat of an unreadable file: %v, %v", i, err)
	}
	for _, c := range []struct {
		read func() error
		want error
	}{
		{func() error { _, err := m.Open("big"); return err }, why},
		{func() error { _, err := m.ReadFile("big"); return err }, why},
		{func() error { _, err := m.ReadFile("dir"); return err }, errIsFolder},
		{func() error { _, err := m.ReadDir("dir/file"); return err }, errIsFile},
		{func() error { _, err := m.Open("../x"); return err }, fs.ErrInvalid},
		{func() error { _, err := m.Stat("none"); return err }, fs.ErrNotExist},
		{func() error {
			f, _ := m.Open("dir")
			_, err := f.Read(make([]byte, 1))
			return err
		}, errIsFolder},
	} {
		if err := c.read(); !errors.Is(err, c.want) {
			t.Errorf("error %v, want %v", err, c.want)
		}
	}
}
