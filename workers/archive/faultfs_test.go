package archive

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

var errCrashed = errors.New("the process is dead")

// faults is a disk that can fail, or end the world, at the step numbered at.
// It syncs nothing; it knows what a power cut would take away instead.
type faults struct {
	OS
	mu      sync.Mutex
	at      int   // 0: never
	err     error // what the step fails with; errCrashed ends everything
	count   int
	trace   []string
	crashed bool

	length  map[string]int64 // what of a file is durable; absent: all
	pending []change         // names that are not durable, oldest first
}

// change is a change of names in folders, and how a power cut undoes it.
type change struct {
	folders []string
	undo    func()
}

func newFaults(at int, err error) *faults {
	return &faults{at: at, err: err, length: map[string]int64{}}
}

// step counts an operation and tells what becomes of it.
func (f *faults) step(op string) error {
	if f.crashed {
		return errCrashed
	}
	f.count++
	f.trace = append(f.trace, op)
	if f.count != f.at {
		return nil
	}
	if errors.Is(f.err, errCrashed) {
		f.crashed = true
	}
	return f.err
}

func (f *faults) OpenFile(op, name string, flag int) (File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.step(op + ".open"); err != nil {
		return nil, err
	}
	info, statErr := os.Stat(name)
	file, err := f.OS.OpenFile(op, name, flag)
	if err != nil {
		return nil, err
	}
	if statErr != nil {
		f.change(func() { _ = os.Remove(name) }, filepath.Dir(name))
		f.length[name] = 0
	} else if _, dirty := f.length[name]; !dirty {
		f.length[name] = info.Size()
	}
	return &faultFile{File: file, f: f, op: op, name: name}, nil
}

func (f *faults) change(undo func(), folders ...string) {
	f.pending = append(f.pending, change{folders, undo})
}

func (f *faults) Mkdir(op, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.step(op); err != nil {
		return err
	}
	err := f.OS.Mkdir(op, name)
	if err == nil {
		f.change(func() { _ = os.RemoveAll(name) }, filepath.Dir(name))
	}
	return err
}

func (f *faults) Rename(op, from, to string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.step(op); err != nil {
		return err
	}
	old, readErr := os.ReadFile(to)
	if err := f.OS.Rename(op, from, to); err != nil {
		return err
	}
	n, dirty := f.length[from]
	f.change(func() {
		_ = os.Rename(to, from)
		delete(f.length, to)
		if dirty {
			f.length[from] = n
		}
		if readErr == nil {
			_ = os.WriteFile(to, old, fileMode)
		}
	}, filepath.Dir(from), filepath.Dir(to))
	delete(f.length, from)
	delete(f.length, to)
	if dirty {
		f.length[to] = n
	}
	return nil
}

func (f *faults) Remove(op, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.step(op); err != nil {
		return err
	}
	old, readErr := os.ReadFile(name)
	if err := f.OS.Remove(op, name); err != nil {
		return err
	}
	f.change(func() {
		if readErr == nil {
			_ = os.WriteFile(name, old, fileMode)
		} else {
			_ = os.Mkdir(name, folderMode)
		}
	}, filepath.Dir(name))
	return nil
}

func (f *faults) ReadFile(op, name string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.step(op); err != nil {
		return nil, err
	}
	return f.OS.ReadFile(op, name)
}

func (f *faults) ReadDir(op, name string) ([]fs.DirEntry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.step(op); err != nil {
		return nil, err
	}
	return f.OS.ReadDir(op, name)
}

func (f *faults) Stat(op, name string) (fs.FileInfo, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.step(op); err != nil {
		return nil, err
	}
	return f.OS.Stat(op, name)
}

func (f *faults) SyncDir(op, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.step(op); err != nil {
		return err
	}
	f.pending = slices.DeleteFunc(f.pending, func(c change) bool { return slices.Contains(c.folders, name) })
	return nil
}

// powerCut takes away what was not made durable: names first, the newest
// first, then the ends of files.
func (f *faults) powerCut() {
	for _, c := range slices.Backward(f.pending) {
		c.undo()
	}
	for name, n := range f.length {
		if info, err := os.Stat(name); err == nil && info.Size() > n {
			_ = os.Truncate(name, n)
		}
	}
}

type faultFile struct {
	File
	f        *faults
	op, name string
}

func (x *faultFile) Write(p []byte) (int, error) {
	n, err := x.Writev(net.Buffers{p})
	return int(n), err
}

// Writev writes the first half only when it is to fail.
func (x *faultFile) Writev(bufs net.Buffers) (int64, error) {
	x.f.mu.Lock()
	defer x.f.mu.Unlock()
	dead := x.f.crashed
	err := x.f.step(x.op + ".write")
	if err == nil {
		return x.File.Writev(bufs)
	}
	if dead {
		return 0, err
	}
	all := slices.Concat(bufs...)
	n, werr := x.File.Write(all[:len(all)/2])
	return int64(n), errors.Join(err, werr)
}

func (x *faultFile) Sync() error {
	x.f.mu.Lock()
	defer x.f.mu.Unlock()
	if err := x.f.step(x.op + ".sync"); err != nil {
		return err
	}
	if info, err := os.Stat(x.name); err == nil {
		x.f.length[x.name] = info.Size()
	} else if info, err := os.Stat(strings.TrimSuffix(x.name, tempSuffix)); err == nil {
		x.f.length[strings.TrimSuffix(x.name, tempSuffix)] = info.Size()
	}
	return nil
}

func (x *faultFile) Truncate(size int64) error {
	x.f.mu.Lock()
	defer x.f.mu.Unlock()
	if err := x.f.step(x.op + ".truncate"); err != nil {
		return err
	}
	return x.File.Truncate(size)
}

// Close always closes, so that tests do not run out of files.
func (x *faultFile) Close() error {
	err := x.File.Close()
	x.f.mu.Lock()
	defer x.f.mu.Unlock()
	return errors.Join(x.f.step(x.op+".close"), err)
}

var errFullDisk = &fs.PathError{Op: "write", Path: "injected", Err: unix.ENOSPC}
