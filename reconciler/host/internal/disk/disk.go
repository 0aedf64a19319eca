// Package disk replaces small files so that a crash at any moment leaves the
// old content or the new one, whole: temporary name, fsync, rename, fsync the folder.
package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Modes of what is made: objects and configurations are for their owner only.
const (
	folderMode fs.FileMode = 0o700
	fileMode   fs.FileMode = 0o600
)

// tempPrefix marks a file that was being written. Nothing else starts like it.
const tempPrefix = ".writing-"

// Disk writes files. The zero value is the real disk.
type Disk struct {
	// Fault, if set, is asked before each step (create, write, sync, rename,
	// syncdir; remove, syncdir), and may end the world there: with an error,
	// nothing more is done, not even tidying up.
	Fault func(step, path string) error
}

func (d Disk) at(step, path string) error {
	if d.Fault == nil {
		return nil
	}
	return d.Fault(step, path)
}

// Replace makes path hold data, and its folder if need be.
func (d Disk) Replace(path string, data []byte) error {
	if err := d.replace(path, data); err != nil {
		return fmt.Errorf("writing %s: %w%s", path, err, hint(err))
	}
	return nil
}

func (d Disk) replace(path string, data []byte) error {
	if err := d.at("create", path); err != nil {
		return err
	}
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, folderMode); err != nil {
		return err
	}
	f, err := os.CreateTemp(folder, tempPrefix+"*")
	if err != nil {
		return err
	}
	temp := f.Name()
	if err := d.fill(f, path, data); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	if err := d.at("rename", path); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return d.syncDir(folder)
}

// fill writes data to f and makes it durable. A fault at "write" leaves half of it.
func (d Disk) fill(f *os.File, path string, data []byte) error {
	if err := d.at("write", path); err != nil {
		_, cut := f.Write(data[:len(data)/2])
		return errors.Join(err, cut)
	}
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if err := d.at("sync", path); err != nil {
		return err
	}
	if err := errors.Join(f.Chmod(fileMode), f.Sync()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// Remove takes path away; that it is gone already is no error.
func (d Disk) Remove(path string) error {
	err := d.at("remove", path)
	if err == nil {
		err = os.Remove(path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = d.syncDir(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("removing %s: %w", path, err)
	}
	return nil
}

func (d Disk) syncDir(folder string) error {
	if err := d.at("syncdir", folder); err != nil {
		return err
	}
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Sweep removes what a crash left half-written below root. A root that does
// not exist holds nothing.
func (d Disk) Sweep(root string) error {
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case !e.IsDir() && strings.HasPrefix(e.Name(), tempPrefix):
			return os.Remove(path)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("tidying up %s: %w", root, err)
	}
	return nil
}

// hint says what to do about the errors that have a remedy.
func hint(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return ": free some space"
	case errors.Is(err, fs.ErrPermission):
		return ": the folder must belong to the user that camfleet runs as"
	case errors.Is(err, syscall.EROFS):
		return ": the disk is mounted read-only, look at the kernel's log"
	}
	return ""
}
