package hls2mpeg

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// holes says whether a file takes less room than it is long.
func holes(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Blocks*512 < st.Size
}

// copySparse copies a range and leaves holes where the source has them.
func copySparse(out *sink, in *os.File, sp span) error {
	pos, end := sp.offset, sp.offset+sp.size
	for pos < end {
		data, err := unix.Seek(int(in.Fd()), pos, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			data, err = end, nil // only a hole is left
		}
		hole := end
		if data = min(max(data, pos), end); err == nil && data < end {
			hole, err = unix.Seek(int(in.Fd()), data, unix.SEEK_HOLE)
		}
		if err != nil {
			return &fs.PathError{Op: "seek", Path: in.Name(), Err: err}
		}
		hole = min(hole, end)
		if data > pos {
			if err := out.skip(data - pos); err != nil {
				return err
			}
		}
		if err := out.copy(in, span{data, hole - data}); err != nil {
			return err
		}
		pos = hole
	}
	return nil
}

// startWriteback tells the disk to begin writing a range, so that the fsync at
// the end has little left to wait for.
func startWriteback(f *os.File, offset, n int64) error {
	err := unix.SyncFileRange(int(f.Fd()), offset, n, unix.SYNC_FILE_RANGE_WRITE)
	if err != nil && !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EOPNOTSUPP) {
		return &fs.PathError{Op: "sync_file_range", Path: f.Name(), Err: err}
	}
	return nil
}

// lock takes the file for this process for as long as it is open; kill -9 lets
// go of it too. False: somebody else has it.
func lock(f *os.File) (bool, error) {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	if err != nil {
		return false, &fs.PathError{Op: "flock", Path: f.Name(), Err: err}
	}
	return true, nil
}

// room says that n bytes fit on dir's file system, and leaves alone what the
// recorder keeps free: a day file must not make it drop recordings.
func room(dir string, n int64) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return &fs.PathError{Op: "statfs", Path: dir, Err: err}
	}
	block := int64(st.Bsize) // 32 bits on arm
	size, free := int64(st.Blocks)*block, int64(st.Bavail)*block
	reserve := min(size/100, 1<<30)
	if free-reserve < n {
		return fmt.Errorf("%d MB are needed in %s and %d MB are free, of which %d MB stay free for recording: "+
			"shorten the retention, or give the site more storage: %w", n>>20, dir, free>>20, reserve>>20, unix.ENOSPC)
	}
	return nil
}

// syncDir makes the names in a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
