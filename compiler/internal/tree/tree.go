// Package tree reads a commit's files once, within limits, into an fs.FS that
// never changes: every later stage sees the same bytes, whatever happens to
// what the caller handed in.
//
// CUE files are read at once; others (kustomizations, files to embed) when they
// are opened. Only plain files are seen: a symbolic link is a problem, and it,
// devices and what lies behind a linked folder do not exist here.
package tree

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"camfleet.dev/compiler/object"
	"camfleet.dev/schema"
)

// Limits bound what a commit may make the compiler read.
type Limits struct {
	Files     int   // all plain files
	FileBytes int64 // one file that is read
	Bytes     int64 // all CUE files together
}

// Tree is a read-only file system in memory. It is safe for concurrent use if
// the one that it was read from is.
type Tree struct {
	base    fs.FS
	limits  Limits
	entries map[string]*entry
}

// entry is a file or a folder; it is its own fs.DirEntry and fs.FileInfo.
type entry struct {
	name     string // last element
	dir      bool
	size     int64
	data     []byte // of files in memory
	lazy     bool   // data is still in base
	children []*entry
}

func (e *entry) Name() string               { return e.name }
func (e *entry) IsDir() bool                { return e.dir }
func (e *entry) Type() fs.FileMode          { return e.Mode().Type() }
func (e *entry) Info() (fs.FileInfo, error) { return e, nil }
func (e *entry) Size() int64                { return e.size }
func (e *entry) ModTime() time.Time         { return time.Time{} }
func (e *entry) Sys() any                   { return nil }
func (e *entry) Mode() fs.FileMode {
	if e.dir {
		return fs.ModeDir | 0o555
	}
	return 0o444
}

// Read takes in a commit. What a user can put right is a Problem; an error means
// that fsys could not be read or ctx was cancelled.
//
// The tree is partial where a limit stopped the reading: what is missing is not
// known. Other problems are about one file, which the tree does not have.
func Read(ctx context.Context, fsys fs.FS, limits Limits) (t *Tree, partial bool, problems []object.Problem, err error) {
	r := &reader{ctx: ctx, tree: &Tree{base: fsys, limits: limits, entries: map[string]*entry{}}}
	r.tree.entries["."] = &entry{name: ".", dir: true}
	if err := fs.WalkDir(fsys, ".", r.visit); err != nil {
		return nil, false, nil, fmt.Errorf("reading the commit's files: %w", err)
	}
	r.tree.sort()
	return r.tree, r.partial, r.problems, nil
}

type reader struct {
	ctx      context.Context
	tree     *Tree
	files    int
	bytes    int64
	problems []object.Problem
	partial  bool
}

func (r *reader) problem(name, format string, args ...any) {
	r.problems = append(r.problems, object.Problem{Position: object.Position{File: name}, Message: fmt.Sprintf(format, args...)})
}

func (r *reader) visit(name string, d fs.DirEntry, err error) error {
	switch {
	case err != nil:
		return err
	case r.ctx.Err() != nil:
		return r.ctx.Err()
	case name == ".":
		return nil
	case d.IsDir():
		return r.folder(name, d)
	case d.Type()&fs.ModeSymlink != 0:
		// Anywhere: a commit with one is refused, so it is not right here either.
		r.problem(name, "is a symbolic link, and camfleet follows none; put the file itself here")
		return nil
	case !d.Type().IsRegular():
		if strings.HasSuffix(name, ".cue") {
			r.problem(name, "is not a plain file; put a file here")
		}
		return nil
	}
	if r.files++; r.files > r.tree.limits.Files {
		r.partial = true
		r.problem(name, "the repository has more than %d files; move what is not the fleet's elsewhere, or point camfleet at a subdirectory", r.tree.limits.Files)
		return fs.SkipAll
	}
	return r.file(name, d)
}

func (r *reader) folder(name string, d fs.DirEntry) error {
	// Version control's own files are nobody's input, and may be huge.
	if d.Name() == ".git" {
		return fs.SkipDir
	}
	r.tree.add(name, &entry{name: d.Name(), dir: true})
	return nil
}

func (r *reader) file(name string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	if !strings.HasSuffix(name, ".cue") {
		r.tree.add(name, &entry{name: d.Name(), size: info.Size(), lazy: true})
		return nil
	}
	data, err := readCapped(r.tree.base, name, r.tree.limits.FileBytes)
	var why object.Unreadable
	switch {
	case errors.As(err, &why):
		r.problem(name, "cannot be read: %s", string(why))
		return nil
	case err != nil:
		return err
	}
	if int64(len(data)) > r.tree.limits.FileBytes {
		r.problem(name, "is larger than %sB; split it", schema.Size(r.tree.limits.FileBytes))
		return nil
	}
	if !utf8.Valid(data) {
		line, column := notText(data)
		r.problems = append(r.problems, object.Problem{Position: object.Position{File: name, Line: line, Column: column},
			Message: "is not UTF-8 text from here on; save the file as UTF-8"})
		return nil
	}
	if r.bytes += int64(len(data)); r.bytes > r.tree.limits.Bytes {
		r.partial = true
		r.problem(name, "with this file the CUE files are larger than %sB together; split the fleet", schema.Size(r.tree.limits.Bytes))
		return fs.SkipAll
	}
	r.tree.add(name, &entry{name: d.Name(), size: int64(len(data)), data: data})
	return nil
}

// notText is the line and column, in bytes from 1 as CUE counts, of the first
// byte that is not UTF-8.
func notText(data []byte) (line, column int) {
	at := 0
	for at < len(data) {
		r, size := utf8.DecodeRune(data[at:])
		if r == utf8.RuneError && size <= 1 {
			break
		}
		at += size
	}
	return 1 + bytes.Count(data[:at], []byte{'\n'}), at - bytes.LastIndexByte(data[:at], '\n')
}

// readCapped reads at most one byte more than limit, so that the caller can
// tell a file that is too large without holding it.
func readCapped(fsys fs.FS, name string, limit int64) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit+1))
}

func (t *Tree) add(name string, e *entry) {
	t.entries[name] = e
	parent := t.entries[path.Dir(name)]
	parent.children = append(parent.children, e)
}

func (t *Tree) sort() {
	for _, e := range t.entries {
		slices.SortFunc(e.children, func(a, b *entry) int { return cmp.Compare(a.name, b.name) })
	}
}

// With returns a tree with these files added or replaced, and the folders in hide
// left out. t stays as it is.
func (t *Tree) With(files map[string][]byte, hide ...string) *Tree {
	hidden := func(name string) bool {
		return slices.ContainsFunc(hide, func(dir string) bool { return name == dir || strings.HasPrefix(name, dir+"/") })
	}
	out := &Tree{base: t.base, limits: t.limits, entries: map[string]*entry{".": {name: ".", dir: true}}}
	for _, name := range t.names() {
		if _, replaced := files[name]; replaced || name == "." || hidden(name) {
			continue
		}
		e := *t.entries[name]
		e.children = nil
		out.add(name, &e)
	}
	for name, data := range files {
		out.mkdir(path.Dir(name))
		out.add(name, &entry{name: path.Base(name), size: int64(len(data)), data: data})
	}
	out.sort()
	return out
}

// names lists everything, folders before what is in them.
func (t *Tree) names() []string {
	names := make([]string, 0, len(t.entries))
	for name := range t.entries {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (t *Tree) mkdir(name string) {
	if t.entries[name] != nil {
		return
	}
	t.mkdir(path.Dir(name))
	t.add(name, &entry{name: path.Base(name), dir: true})
}
