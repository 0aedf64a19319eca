package tree

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"

	"camfleet.dev/schema"
)

func (t *Tree) lookup(op, name string) (*entry, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	e := t.entries[name]
	if e == nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return e, nil
}

// ReadDir implements fs.ReadDirFS.
func (t *Tree) ReadDir(name string) ([]fs.DirEntry, error) {
	e, err := t.lookup("readdir", name)
	if err != nil {
		return nil, err
	}
	if !e.dir {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fmt.Errorf("is not a folder")}
	}
	list := make([]fs.DirEntry, len(e.children))
	for i, c := range e.children {
		list[i] = c
	}
	return list, nil
}

// Stat implements fs.StatFS.
func (t *Tree) Stat(name string) (fs.FileInfo, error) {
	e, err := t.lookup("stat", name)
	if err != nil {
		return nil, err
	}
	return e, nil
}

// ReadFile implements fs.ReadFileFS.
func (t *Tree) ReadFile(name string) ([]byte, error) {
	e, err := t.lookup("read", name)
	if err != nil {
		return nil, err
	}
	data, err := t.content(name, e)
	return bytes.Clone(data), err
}

func (t *Tree) content(name string, e *entry) ([]byte, error) {
	if e.dir {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("is a folder")}
	}
	if !e.lazy {
		return e.data, nil
	}
	data, err := readCapped(t.base, name, t.limits.FileBytes)
	if err == nil && int64(len(data)) > t.limits.FileBytes {
		err = &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("is larger than %sB", schema.Size(t.limits.FileBytes))}
	}
	return data, err
}

// Open implements fs.FS.
func (t *Tree) Open(name string) (fs.File, error) {
	e, err := t.lookup("open", name)
	if err != nil {
		return nil, err
	}
	if e.dir {
		return &openDir{entry: e, left: e.children}, nil
	}
	data, err := t.content(name, e)
	if err != nil {
		return nil, err
	}
	return &openFile{entry: e, Reader: bytes.NewReader(data)}, nil
}

type openFile struct {
	*entry
	*bytes.Reader
}

func (f *openFile) Size() int64                { return f.entry.size }
func (f *openFile) Stat() (fs.FileInfo, error) { return f.entry, nil }
func (f *openFile) Close() error               { return nil }

type openDir struct {
	*entry
	left []*entry
}

func (d *openDir) Stat() (fs.FileInfo, error) { return d.entry, nil }
func (d *openDir) Close() error               { return nil }
func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.name, Err: fmt.Errorf("is a folder")}
}

// ReadDir implements fs.ReadDirFile.
func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 || n > len(d.left) {
		if n > 0 && len(d.left) == 0 {
			return nil, io.EOF
		}
		n = len(d.left)
	}
	list := make([]fs.DirEntry, n)
	for i, c := range d.left[:n] {
		list[i] = c
	}
	d.left = d.left[n:]
	return list, nil
}
