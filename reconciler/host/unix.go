package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// folder is an open folder with Unix sockets in it. A socket's address holds
// 107 bytes, which a path to a state folder easily exceeds; through
// /proc/self/fd it is always short.
type folder struct{ *os.File }

func openFolder(path string) (folder, error) {
	f, err := os.Open(path)
	if err != nil {
		return folder{}, fmt.Errorf("opening the folder of sockets: %w", err)
	}
	return folder{f}, nil
}

func (f folder) address(name string) string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", f.Fd(), name)
}

func (f folder) dial(ctx context.Context, name string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "unix", f.address(name))
}

// ListenControl listens on STATE/control.sock, for the owner of the state
// folder only. Whoever holds the lock of the folder may replace a socket that
// a killed process left behind.
func (h *Host) ListenControl() (net.Listener, error) {
	const temp = ".control"
	address := h.sockets.address(temp)
	if err := os.Remove(address); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listening for commands: %w", err)
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: address, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listening for commands: %w", err)
	}
	ln.SetUnlinkOnClose(false) // it is called otherwise by then
	// It is made in a folder that only the owner can enter, and moved once its mode is right.
	path := filepath.Join(h.options.State, ControlName)
	err = os.Chmod(address, 0o600)
	if err == nil {
		err = os.Rename(filepath.Join(h.options.State, runFolder, temp), path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listening for commands: %w", err), ln.Close())
	}
	return controlListener{ln, path}, nil
}

type controlListener struct {
	net.Listener
	path string
}

func (l controlListener) Close() error {
	return errors.Join(l.Listener.Close(), os.Remove(l.path))
}

// noFolder is fs.ErrNotExist in words that go on in a sentence.
type noFolder struct{}

func (noFolder) Error() string   { return "does not exist" }
func (noFolder) Is(e error) bool { return e == fs.ErrNotExist }

// ControlName is the socket in the state folder.
const ControlName = "control.sock"

// DialControl connects to the camfleet that runs on a state folder.
func DialControl(ctx context.Context, state string) (net.Conn, error) {
	f, err := openFolder(state)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no camfleet runs on %s: the folder %w; name the state folder of camfleet up with --dir", state, noFolder{})
	} else if err != nil {
		return nil, fmt.Errorf("%w; name the state folder of camfleet up with --dir", err)
	}
	conn, err := f.dial(ctx, ControlName)
	closed := f.Close()
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("no camfleet runs on %s; camfleet up --dir %s starts one", state, state)
	}
	if err := errors.Join(err, closed); err != nil {
		return nil, fmt.Errorf("connecting to the camfleet that runs on %s: %w", state, err)
	}
	return conn, nil
}

// lock takes STATE/lock for as long as this process lives. The kernel gives it
// back when the process dies, however it does.
func lock(state string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(state, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the state folder: %w", err)
	}
	err = flock(f)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		owner := make([]byte, 20)
		n, _ := f.Read(owner) // only for the message
		return nil, errors.Join(fmt.Errorf("another camfleet (process %s) runs on %s: end it first, or use another state folder (--dir)",
			owner[:n], state), f.Close())
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = fmt.Fprintf(f, "%d", os.Getpid())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("locking the state folder: %w", err), f.Close())
	}
	return f, nil
}

// lockPatience outlasts a child that a killed camfleet was just starting: until
// its exec it holds a copy of the lock.
const lockPatience = 2 * time.Second

func flock(f *os.File) error {
	for deadline := time.Now().Add(lockPatience); ; {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) || time.Now().After(deadline) {
			return err
		}
		time.Sleep(lockPatience / 100)
	}
}

// unlock gives the lock back. Closing the file alone would not do: a child that
// is just being started holds a copy of it for a moment.
func unlock(f *os.File) error {
	return errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.Close())
}
