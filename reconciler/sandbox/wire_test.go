package sandbox

import (
	"bytes"
	"errors"
	"io/fs"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"camfleet.dev/compiler"
	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/internal/memfs"
)

func TestWire(t *testing.T) {
	t.Parallel()
	in := memfs.New()
	in.AddFile("fleet.cue", []byte("package fleet\n"))
	in.AddFile("sites/gate/site.cue", []byte("package site\n"))
	in.AddFile("sites/gate/picture.png", []byte("not sent"))
	in.AddFile("sites/yard/site.cue", []byte("hidden"))
	in.AddFile(".git/config.json", []byte("never"))
	in.AddDir("sites/empty")
	in.AddUnreadable("sites/gate/big.cue", 5_000_000, errors.New("it has 5000000 bytes, at most 1048576 are read"))
	in.AddLink("sites/gate/link")
	in.Sort()
	req := request{Options: compiler.Options{Cluster: "home", Parallel: 3, Absent: []string{"yard"}}, Memory: 7, Seconds: 5}
	var wire bytes.Buffer
	if err := send(&wire, in, req); err != nil {
		t.Fatal(err)
	}
	got, files, err := receive(&wire)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, req) {
		t.Errorf("request %+v, want %+v", got, req)
	}
	if err := fstest.TestFS(onlyReadable{files}, "fleet.cue", "sites/gate/site.cue", "sites/empty"); err != nil {
		t.Error(err)
	}
	for _, gone := range []string{"sites/gate/picture.png", "sites/yard", ".git"} {
		if _, err := fs.Stat(files, gone); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s was sent: %v", gone, err)
		}
	}
	var why object.Unreadable
	if _, err := fs.ReadFile(files, "sites/gate/big.cue"); !errors.As(err, &why) || !strings.Contains(err.Error(), "at most 1048576") {
		t.Errorf("an unreadable file: %v", err)
	}
	if info, err := fs.Stat(files, "sites/gate/link"); err != nil || info.Mode().Type() != fs.ModeSymlink {
		t.Errorf("a link: %v, %v", info, err)
	}
}

// onlyReadable hides the file that is there to be refused.
type onlyReadable struct{ fs.FS }

func (o onlyReadable) Open(name string) (fs.File, error) {
	if strings.HasPrefix(name, "sites/gate") {
		sub, err := fs.ReadFile(o.FS, "sites/gate/site.cue")
		if err != nil {
			return nil, err
		}
		return fstest.MapFS{"sites/gate/site.cue": &fstest.MapFile{Data: sub, Mode: 0o444}}.Open(name)
	}
	return o.FS.Open(name)
}

func TestReceiveRefuses(t *testing.T) {
	t.Parallel()
	for name, wire := range map[string]string{"nothing tar": strings.Repeat("x", 600), "cut": ""} {
		req, files, err := receive(strings.NewReader(wire))
		if wire != "" && err == nil {
			t.Errorf("%s: got %+v", name, req)
		}
		if wire == "" && (err != nil || files == nil) {
			t.Errorf("an empty commit: %v", err)
		}
	}
}

func FuzzReceive(f *testing.F) {
	in := memfs.New()
	in.AddFile("fleet.cue", []byte("package fleet\n"))
	in.Sort()
	var wire bytes.Buffer
	if err := send(&wire, in, request{}); err != nil {
		f.Fatal(err)
	}
	f.Add(wire.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		_, files, err := receive(bytes.NewReader(b))
		if err != nil {
			return
		}
		_ = fs.WalkDir(files, ".", func(string, fs.DirEntry, error) error { return nil })
	})
}
