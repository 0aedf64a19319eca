package archive

import (
	"io"
	"io/fs"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Modes of what the archive makes: others (nginx) may read.
const (
	folderMode fs.FileMode = 0o755
	fileMode   fs.FileMode = 0o644
)

// FS is the disk as the writer uses it. op names the step, so that a test can
// fail, or end the world at, each of them.
type FS interface {
	// OpenFile opens for writing; the File's own steps are op.write and so on.
	OpenFile(op, name string, flag int) (File, error)
	// Mkdir makes one folder; that it exists already is fs.ErrExist.
	Mkdir(op, name string) error
	Rename(op, from, to string) error
	// Remove takes away a file or an empty folder.
	Remove(op, name string) error
	ReadFile(op, name string) ([]byte, error)
	ReadDir(op, name string) ([]fs.DirEntry, error)
	Stat(op, name string) (fs.FileInfo, error)
	// SyncDir makes the names in a folder durable.
	SyncDir(op, name string) error
	// Space is the size of the file system that name is on, and what of it is free for us.
	Space(op, name string) (size, free int64, err error)
}

// File is a file being written.
type File interface {
	io.Writer
	// Writev writes all of bufs, or returns how much of them it has written.
	Writev(bufs net.Buffers) (int64, error)
	Sync() error
	Truncate(size int64) error
	Close() error
}

// OS is the real disk.
type OS struct{}

var _ FS = OS{}

// OpenFile implements FS.
func (OS) OpenFile(_, name string, flag int) (File, error) {
	f, err := os.OpenFile(name, flag, fileMode)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// Mkdir implements FS.
func (OS) Mkdir(_, name string) error { return os.Mkdir(name, folderMode) }

// Rename implements FS.
func (OS) Rename(_, from, to string) error { return os.Rename(from, to) }

// Remove implements FS.
func (OS) Remove(_, name string) error { return os.Remove(name) }

// ReadFile implements FS.
func (OS) ReadFile(_, name string) ([]byte, error) { return os.ReadFile(name) }

// ReadDir implements FS.
func (OS) ReadDir(_, name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }

// Stat implements FS.
func (OS) Stat(_, name string) (fs.FileInfo, error) { return os.Stat(name) }

// SyncDir implements FS.
func (OS) SyncDir(_, name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}

// Space implements FS.
func (OS) Space(_, name string) (size, free int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(name, &st); err != nil {
		return 0, 0, &fs.PathError{Op: "statfs", Path: name, Err: err}
	}
	block := int64(st.Bsize) // 32 bits on arm
	return int64(st.Blocks) * block, int64(st.Bavail) * block, nil
}

type osFile struct{ *os.File }

// maxIOV is IOV_MAX of Linux.
const maxIOV = 1024

// Writev uses writev(2): net.Buffers itself does so for sockets only.
func (f osFile) Writev(bufs net.Buffers) (int64, error) {
	var done int64
	iov := make([][]byte, 0, min(len(bufs), maxIOV))
	for len(bufs) > 0 {
		n := min(len(bufs), maxIOV)
		iov = append(iov[:0], bufs[:n]...)
		wrote, err := f.writevAll(iov)
		done += wrote
		if err != nil {
			return done, err
		}
		bufs = bufs[n:]
	}
	return done, nil
}

// writevAll writes all of iov, which it changes.
func (f osFile) writevAll(iov [][]byte) (int64, error) {
	var done int64
	for {
		for len(iov) > 0 && len(iov[0]) == 0 {
			iov = iov[1:]
		}
		if len(iov) == 0 {
			return done, nil
		}
		n, err := f.writevOnce(iov)
		done += int64(n)
		if err != nil {
			return done, &fs.PathError{Op: "writev", Path: f.Name(), Err: err}
		}
		for n > 0 {
			k := min(n, len(iov[0]))
			iov[0] = iov[0][k:]
			n -= k
			if len(iov[0]) == 0 {
				iov = iov[1:]
			}
		}
	}
}

func (f osFile) writevOnce(iov [][]byte) (int, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	var n int
	var werr error
	err = raw.Write(func(fd uintptr) bool {
		for {
			n, werr = unix.Writev(int(fd), iov)
			if werr != unix.EINTR {
				return true
			}
		}
	})
	if err != nil {
		return 0, err
	}
	if n == 0 && werr == nil {
		werr = io.ErrShortWrite
	}
	return max(n, 0), werr
}

// Sync is fdatasync(2): it makes data and size durable, but not the times.
func (f osFile) Sync() error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var serr error
	err = raw.Control(func(fd uintptr) {
		for {
			if serr = unix.Fdatasync(int(fd)); serr != unix.EINTR {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	if serr != nil {
		return &fs.PathError{Op: "fdatasync", Path: f.Name(), Err: serr}
	}
	return nil
}

// tempSuffix marks a file that is not finished: no reader takes it for one.
const tempSuffix = ".tmp"

// openTemp opens a temporary file. What lies there in its place and cannot be
// written to is somebody else's leftover, or a folder or link: it goes, if it can.
func openTemp(fsys FS, op, temp string) (File, error) {
	const flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC | unix.O_NOFOLLOW
	f, err := fsys.OpenFile(op+".open", temp, flags)
	if err != nil && refused(err) && fsys.Remove(op+".clear", temp) == nil {
		return fsys.OpenFile(op+".open", temp, flags)
	}
	return f, err
}

// replace puts a file in place of another in one step: temporary name, rename.
// durable also waits for the disk; what the journal can make again need not.
func replace(fsys FS, op, path string, data []byte, durable bool) error {
	temp := path + tempSuffix
	f, err := openTemp(fsys, op, temp)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil && durable {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = fsys.Rename(op+".rename", temp, path)
	}
	if err != nil {
		_ = fsys.Remove(op+".undo", temp) // best effort: Open removes leftovers
		return err
	}
	if !durable {
		return nil
	}
	return fsys.SyncDir(op+".folder", parent(path))
}
