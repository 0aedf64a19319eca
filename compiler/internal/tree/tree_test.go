package tree

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"camfleet.dev/compiler/object"
)

var roomy = Limits{Files: 100, FileBytes: 1 << 20, Bytes: 1 << 20}

func file(data string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(data), Mode: 0o644} }

func sample() fstest.MapFS {
	return fstest.MapFS{
		"fleet.cue": file("package fleet\n"), "sites/gate/a.cue": file("package site\n"), "sites/gate/list.json": file("{}"),
		"docs/picture.png": file("x"), ".git/objects/ab/cd.cue": file("never"), "cue.mod/pkg/x/y.cue": file("package y\n"),
	}
}

func read(t *testing.T, fsys fs.FS, l Limits) (*Tree, bool, []string) {
	t.Helper()
	tr, partial, problems, err := Read(t.Context(), fsys, l)
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, p := range problems {
		words = append(words, p.Error())
	}
	return tr, partial, words
}

// TestIsAFileSystem runs the standard library's own test of file systems.
func TestIsAFileSystem(t *testing.T) {
	t.Parallel()
	tr, partial, problems := read(t, sample(), roomy)
	if partial || len(problems) > 0 {
		t.Error(partial, problems)
	}
	if err := fstest.TestFS(tr, "fleet.cue", "sites/gate/a.cue", "sites/gate/list.json", "docs/picture.png"); err != nil {
		t.Error(err)
	}
	if _, err := tr.Stat(".git"); !errors.Is(err, fs.ErrNotExist) {
		t.Error("version control's own files are seen")
	}
	for _, bad := range []string{"/fleet.cue", "../x", "sites//gate", "nope", ""} {
		if _, err := tr.Open(bad); err == nil {
			t.Errorf("opened %q", bad)
		}
	}
	if _, err := tr.ReadFile("sites"); err == nil {
		t.Error("read a folder")
	}
	if _, err := tr.ReadDir("fleet.cue"); err == nil {
		t.Error("listed a file")
	}
}

func TestWith(t *testing.T) {
	t.Parallel()
	tr, _, _ := read(t, sample(), roomy)
	with := tr.With(map[string][]byte{"cue.mod/module.cue": []byte("m"), "new/deep/x.cue": []byte("x"), "fleet.cue": []byte("other")}, "cue.mod", "docs")
	if err := fstest.TestFS(with, "cue.mod/module.cue", "new/deep/x.cue", "sites/gate/list.json"); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]string{"fleet.cue": "other", "cue.mod/module.cue": "m"} {
		if data, err := with.ReadFile(name); err != nil || string(data) != want {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
	for _, name := range []string{"cue.mod/pkg", "docs", "docs/picture.png"} {
		if _, err := with.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there", name)
		}
	}
	if data, _ := tr.ReadFile("fleet.cue"); string(data) != "package fleet\n" {
		t.Error("the tree that it was made from has changed")
	}
	if _, err := tr.Stat("docs/picture.png"); err != nil {
		t.Error(err)
	}
}

// TestNeverChanges holds that CUE files are what they were when they were read.
func TestNeverChanges(t *testing.T) {
	t.Parallel()
	from := sample()
	tr, _, _ := read(t, from, roomy)
	from["fleet.cue"].Data = []byte("changed")
	data, _ := tr.ReadFile("fleet.cue")
	if string(data) != "package fleet\n" {
		t.Errorf("now %q", data)
	}
	data[0] = 'X'
	if again, _ := tr.ReadFile("fleet.cue"); string(again) != "package fleet\n" {
		t.Error("a reader can change the tree")
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limits  Limits
		want    string
		partial bool
	}{
		"files":     {Limits{Files: 2, FileBytes: 1 << 20, Bytes: 1 << 20}, "more than 2 files", true},
		"all bytes": {Limits{Files: 100, FileBytes: 1 << 20, Bytes: 20}, "larger than 20B together", true},
		"one file":  {Limits{Files: 100, FileBytes: 13, Bytes: 1 << 20}, "fleet.cue: is larger than 13B", false},
	} {
		_, partial, problems := read(t, sample(), c.limits)
		if partial != c.partial || !slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, c.want) }) {
			t.Errorf("%s: partial %v, %q", name, partial, problems)
		}
	}
	tr, _, _ := read(t, fstest.MapFS{"x.json": file(strings.Repeat("x", 100))}, Limits{Files: 1, FileBytes: 99, Bytes: 1})
	if _, err := tr.ReadFile("x.json"); err == nil || !strings.Contains(err.Error(), "larger than 99B") {
		t.Errorf("a large file that is not CUE: %v", err)
	}
	if _, err := tr.Open("x.json"); err == nil {
		t.Error("opened it")
	}
}

func TestRefusesWhatIsNoText(t *testing.T) {
	t.Parallel()
	tr, partial, problems := read(t, fstest.MapFS{"a.cue": file("x: 1\ntitle: \"\xc3\xa4\xff\""), "b.cue": file(""), "c.cue": file("\xfe")}, roomy)
	want := []string{"a.cue:2:11: is not UTF-8 text from here on; save the file as UTF-8", "c.cue:1:1: is not UTF-8 text from here on; save the file as UTF-8"}
	if partial || !slices.Equal(problems, want) {
		t.Error(partial, problems)
	}
	if _, err := tr.Stat("a.cue"); err == nil {
		t.Error("it is in the tree")
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	dir, outside := t.TempDir(), t.TempDir()
	for _, name := range []string{"x.cue", "x.json"} {
		if err := os.WriteFile(filepath.Join(outside, name), []byte("secret"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(outside, name), filepath.Join(dir, name)); err != nil {
			t.Skip(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(dir, "folder")); err != nil {
		t.Fatal(err)
	}
	tr, _, problems := read(t, os.DirFS(dir), roomy)
	want := []string{}
	for _, name := range []string{"folder", "x.cue", "x.json"} {
		want = append(want, name+": is a symbolic link, and camfleet follows none; put the file itself here")
	}
	if !slices.Equal(problems, want) {
		t.Error(problems)
	}
	for _, name := range []string{"x.cue", "x.json", "folder", "folder/x.cue"} {
		if _, err := tr.ReadFile(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// unreadable is a file system in which one file was left out, and it is said why.
type unreadable struct{ fs.FS }

func (u unreadable) Open(name string) (fs.File, error) {
	if name == "sites/gate/a.cue" {
		return nil, &fs.PathError{Op: "open", Path: name, Err: object.Unreadable("it has 5000000 bytes")}
	}
	return u.FS.Open(name)
}

// TestUnreadable holds that a file which was left out is a problem with its
// name, so that it stays inside its site.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	tr, partial, problems := read(t, unreadable{sample()}, roomy)
	if partial || !slices.Equal(problems, []string{"sites/gate/a.cue: cannot be read: it has 5000000 bytes"}) {
		t.Error(partial, problems)
	}
	if _, err := tr.Stat("fleet.cue"); err != nil {
		t.Error(err)
	}
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, _, err := Read(ctx, sample(), roomy); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
