package source

import (
	"errors"
	"os"
	"sync/atomic"

	"github.com/go-git/go-billy/v5"
)

var errTooLarge = errors.New("too large")

// limitedFS bounds how many bytes are written in all: what a server sends is
// not trusted to end.
type limitedFS struct {
	billy.Filesystem
	left     int64
	exceeded atomic.Bool
}

func (l *limitedFS) wrap(f billy.File, err error) (billy.File, error) {
	if err != nil {
		return nil, err
	}
	return &limitedFile{File: f, fs: l}, nil
}

func (l *limitedFS) Create(name string) (billy.File, error) {
	return l.wrap(l.Filesystem.Create(name))
}

func (l *limitedFS) OpenFile(name string, flag int, perm os.FileMode) (billy.File, error) {
	return l.wrap(l.Filesystem.OpenFile(name, flag, perm))
}

func (l *limitedFS) TempFile(dir, prefix string) (billy.File, error) {
	return l.wrap(l.Filesystem.TempFile(dir, prefix))
}

type limitedFile struct {
	billy.File
	fs *limitedFS
}

func (f *limitedFile) Write(p []byte) (int, error) {
	if atomic.AddInt64(&f.fs.left, -int64(len(p))) < 0 {
		f.fs.exceeded.Store(true)
		return 0, errTooLarge
	}
	return f.File.Write(p)
}
