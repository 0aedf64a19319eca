// Package memfs is a read-only file tree in memory: a commit's files, as they
// were read once.
package memfs

import (
	"bytes"
	"cmp"
	"io"
	"io/fs"
	"path"
	"slices"
	"time"
)

// FS is a file tree. Fill it, call Sort, and then share it: it is safe for
// concurrent reading.
type FS struct{ nodes map[string]*node }

type node struct {
	name     string // base name
	dir      bool
	link     bool
	content  []byte
	size     int64
	err      error // why it cannot be read
	children []*node
}

// New makes an empty tree.
func New() *FS { return &FS{nodes: map[string]*node{".": {name: ".", dir: true}}} }

// AddDir adds a folder, and those above it. Names follow fs.ValidPath.
func (m *FS) AddDir(name string) { m.add(name, &node{dir: true}) }

// AddFile adds a file, and the folders above it.
func (m *FS) AddFile(name string, content []byte) {
	m.add(name, &node{content: content, size: int64(len(content))})
}

// AddUnreadable adds a file of size bytes that can be listed; opening it is the error err.
func (m *FS) AddUnreadable(name string, size int64, err error) {
	m.add(name, &node{size: size, err: err})
}

// AddLink adds a symbolic link, which can be listed and leads nowhere.
func (m *FS) AddLink(name string) { m.add(name, &node{link: true, err: errIsLink}) }

func (m *FS) add(name string, n *node) {
	if _, there := m.nodes[name]; there {
		return
	}
	n.name = path.Base(name)
	m.nodes[name] = n
	up := path.Dir(name)
	m.AddDir(up)
	parent := m.nodes[up]
	parent.children = append(parent.children, n)
}

// Sort puts folders in the order that fs.ReadDirFS promises; git's own differs.
func (m *FS) Sort() {
	for _, n := range m.nodes {
		slices.SortFunc(n.children, func(a, b *node) int { return cmp.Compare(a.name, b.name) })
	}
}

func (m *FS) find(op, name string) (*node, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	n, ok := m.nodes[name]
	if !ok {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return n, nil
}

// Open implements fs.FS.
func (m *FS) Open(name string) (fs.File, error) {
	n, err := m.find("open", name)
	if err != nil {
		return nil, err
	}
	if n.err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: n.err}
	}
	return &openFile{node: n, Reader: bytes.NewReader(n.content)}, nil
}

// ReadFile implements fs.ReadFileFS. The result is a copy: callers may change it.
func (m *FS) ReadFile(name string) ([]byte, error) {
	n, err := m.find("read", name)
	if err != nil {
		return nil, err
	}
	if n.dir {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errIsFolder}
	}
	if n.err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: n.err}
	}
	return bytes.Clone(n.content), nil
}

// Stat implements fs.StatFS; it works for files that are too large to read.
func (m *FS) Stat(name string) (fs.FileInfo, error) {
	n, err := m.find("stat", name)
	if err != nil {
		return nil, err
	}
	return info{n}, nil
}

// ReadDir implements fs.ReadDirFS.
func (m *FS) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := m.find("readdir", name)
	if err != nil {
		return nil, err
	}
	if !n.dir {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errIsFile}
	}
	entries := make([]fs.DirEntry, len(n.children))
	for i, c := range n.children {
		entries[i] = fs.FileInfoToDirEntry(info{c})
	}
	return entries, nil
}

type openFile struct {
	node *node
	*bytes.Reader
	listed int
}

func (f *openFile) Stat() (fs.FileInfo, error) { return info{f.node}, nil }
func (f *openFile) Close() error               { return nil }

func (f *openFile) Read(p []byte) (int, error) {
	if f.node.dir {
		return 0, &fs.PathError{Op: "read", Path: f.node.name, Err: errIsFolder}
	}
	return f.Reader.Read(p)
}

// ReadDir implements fs.ReadDirFile.
func (f *openFile) ReadDir(n int) ([]fs.DirEntry, error) {
	rest := f.node.children[f.listed:]
	if n > 0 && len(rest) == 0 {
		return nil, io.EOF
	}
	if n > 0 && n < len(rest) {
		rest = rest[:n]
	}
	f.listed += len(rest)
	entries := make([]fs.DirEntry, len(rest))
	for i, c := range rest {
		entries[i] = fs.FileInfoToDirEntry(info{c})
	}
	return entries, nil
}

type fsError string

func (e fsError) Error() string { return string(e) }

const (
	errIsFolder fsError = "is a folder"
	errIsFile   fsError = "is not a folder"
	errIsLink   fsError = "is a symbolic link"
)

// info is a node's fs.FileInfo. It has no time: a commit's files have none of their own.
type info struct{ n *node }

func (i info) Name() string       { return i.n.name }
func (i info) Size() int64        { return i.n.size }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.n.dir }
func (i info) Sys() any           { return nil }

func (i info) Mode() fs.FileMode {
	switch {
	case i.n.dir:
		return fs.ModeDir | 0o555
	case i.n.link:
		return fs.ModeSymlink | 0o777
	}
	return 0o444
}
