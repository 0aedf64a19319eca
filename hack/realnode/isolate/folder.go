package isolate

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// prefix begins the names of everything on the machine that is ours. Paths below it
// are kept short: names of sockets have at most 107 bytes.
const prefix = "camfleet-node-"

// lockFile is in a folder, and locked for as long as its test binary lives.
const lockFile = "lock"

// newFolder makes the folder for all temporary files of the tests, after removing
// those of test binaries that were killed. It is locked until the file is closed.
func newFolder() (string, *os.File, error) {
	removeOld(os.TempDir())
	dir, err := os.MkdirTemp("", prefix)
	if err != nil {
		return "", nil, fmt.Errorf("making a folder for the tests: %w", err)
	}
	held, err := lock(filepath.Join(dir, lockFile), os.O_CREATE)
	if err != nil {
		return "", nil, err
	}
	return dir, held, nil
}

func lock(path string, flag int) (*os.File, error) {
	f, err := os.OpenFile(path, flag|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return f, nil
}

// removeOld removes what is left of test binaries that were killed: folders that
// nobody holds, and their control groups.
func removeOld(parent string) {
	old, err := filepath.Glob(filepath.Join(parent, prefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range old {
		held, err := lock(filepath.Join(dir, lockFile), 0)
		if err != nil {
			continue // somebody's, or just being made
		}
		newGroups(filepath.Base(dir)).remove()
		if !mountedBelow(dir) {
			os.RemoveAll(dir) //nolint:errcheck // the next run tries again
		}
		held.Close()
	}
}

// mountedBelow tells whether something is mounted in a folder, which must not be
// emptied then. Mounts of the tests are in a namespace; this is for the day when
// one is not.
func mountedBelow(dir string) bool {
	text, err := os.ReadFile("/proc/self/mountinfo")
	return err != nil || strings.Contains(string(text), " "+dir+"/")
}
