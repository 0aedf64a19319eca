package archive

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Holder is who writes an archive; it is what session.lock says.
type Holder struct {
	Session string    `json:"session"`
	PID     int       `json:"pid"`
	Host    string    `json:"host"`
	Since   time.Time `json:"since"`
	// Closed is true when the holder has let go by itself: nothing was cut off.
	Closed bool `json:"closed,omitempty"`
}

// LockedError is what Open fails with while somebody else writes the archive.
type LockedError struct {
	Dir    Dir
	Holder Holder
}

func (e *LockedError) Error() string {
	h := e.Holder
	if h.Session == "" {
		return fmt.Sprintf("archive %s is being written by another process: one camera has one writer, stop the other one first", e.Dir)
	}
	return fmt.Sprintf("archive %s is being written by process %d on %s (session %s, since %s): one camera has one writer, stop that one first",
		e.Dir, h.PID, h.Host, h.Session, h.Since.Format(time.RFC3339))
}

// ErrLost is what a commit fails with when session.lock is another writer's:
// on a file system whose flock does not reach other machines, the newest
// writer wins and the older one must stop.
var ErrLost = errors.New("another writer has taken over this archive")

// lock is a held session.lock. The file is never removed: two writers would
// then hold locks on two files of that name.
type lock struct {
	dir    Dir
	file   *os.File
	holder Holder
	// before is who held it last; zero when nobody ever did.
	before Holder
}

func (d Dir) lockPath() string { return filepath.Join(string(d), LockName) }

// acquire takes the lock or fails at once with a *LockedError.
func acquire(dir Dir, now time.Time) (*lock, error) {
	for {
		f, err := os.OpenFile(dir.lockPath(), os.O_RDWR|os.O_CREATE, fileMode)
		if err != nil {
			return nil, fmt.Errorf("take the archive's lock: %w", err)
		}
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		before := readHolder(dir)
		if errors.Is(err, unix.EWOULDBLOCK) {
			f.Close()
			return nil, &LockedError{Dir: dir, Holder: before}
		}
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("take the archive's lock: flock %s: %w", dir.lockPath(), err)
		}
		if !sameFile(f, dir.lockPath()) {
			f.Close() // deleted while we waited to look: take the new one
			continue
		}
		l := &lock{dir: dir, file: f, before: before, holder: newHolder(now)}
		if err := l.write(); err != nil {
			f.Close()
			return nil, fmt.Errorf("take the archive's lock: %w", err)
		}
		return l, nil
	}
}

func newHolder(now time.Time) Holder {
	var id [4]byte
	_, _ = rand.Read(id[:]) // never fails (crypto/rand)
	host, err := os.Hostname()
	if err != nil {
		host = "an unknown host"
	}
	return Holder{Session: hex.EncodeToString(id[:]), PID: os.Getpid(), Host: host, Since: now.UTC().Truncate(time.Second)}
}

// write puts the holder into the locked file itself: a rename would make a
// second file of that name. A full disk is no reason not to record, so what
// cannot be written is left out; the flock is what counts here.
func (l *lock) write() error {
	data, err := json.Marshal(l.holder)
	if err != nil {
		return err
	}
	data = append(data, '\n')
	if _, err := l.file.WriteAt(data, 0); err != nil && !isFull(err) {
		return err
	}
	if err := l.file.Truncate(int64(len(data))); err != nil && !isFull(err) {
		return err
	}
	return nil
}

// check tells whether the lock is still ours, on disk.
func (l *lock) check() error {
	h := readHolder(l.dir)
	if h.Session != "" && h.Session != l.holder.Session {
		return fmt.Errorf("%w: process %d on %s (session %s)", ErrLost, h.PID, h.Host, h.Session)
	}
	return nil
}

// release gives the lock back; clean tells the next writer that nothing was cut off.
func (l *lock) release() error {
	var err error
	if l.check() == nil {
		l.holder.Closed = true
		err = l.write()
	}
	return errors.Join(err, l.file.Close())
}

// readHolder reads session.lock; what cannot be read is a Holder without a session.
func readHolder(dir Dir) Holder {
	var h Holder
	data, err := os.ReadFile(dir.lockPath())
	if err != nil || json.Unmarshal(data, &h) != nil {
		return Holder{}
	}
	return h
}

func sameFile(f *os.File, path string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(path)
	return err == nil && os.SameFile(a, b)
}
