package cptest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shell is a process that runs a script, for tests that need no control plane.
func shell(t *testing.T, script string) *process {
	t.Helper()
	p := &process{name: "shell", path: "/bin/sh", args: []string{"-c", script}, env: []string{"PATH=/usr/bin:/bin"}, log: filepath.Join(t.TempDir(), "log")}
	t.Cleanup(func() { p.stop(context.Background(), syscall.SIGKILL) }) //nolint:errcheck // a test stops it itself
	return p
}

func TestProcessStopsAndStartsAgain(t *testing.T) {
	t.Parallel()
	p := shell(t, "echo started; exec sleep 60")
	for range 2 {
		if err := p.start(); err != nil {
			t.Fatal(err)
		}
		if err := p.start(); err == nil || !strings.Contains(err.Error(), "runs already") {
			t.Errorf("a second start: %v", err)
		}
		pid, _ := p.state()
		if err := p.stop(bounded(t), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("process %d is still there: %v", pid, err)
		}
	}
	if pid, err := p.state(); pid != 0 || err != nil {
		t.Errorf("after it was stopped: pid %d, %v", pid, err)
	}
	if err := p.stop(bounded(t), syscall.SIGTERM); err != nil {
		t.Errorf("stopping what does not run: %v", err)
	}
}

func TestProcessThatIgnoresSignalsIsKilled(t *testing.T) {
	t.Parallel()
	p := shell(t, "trap '' TERM; echo ready; while :; do sleep 1; done")
	if err := p.start(); err != nil {
		t.Fatal(err)
	}
	c := &Cluster{processes: map[Component]*process{"shell": p}}
	if err := c.poll(bounded(t), "the trap is set", func(context.Context) error {
		if !strings.Contains(string(p.tail()), "ready") {
			return errors.New("not yet")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := p.stop(ctx, syscall.SIGTERM); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("stop: %v", err)
	}
}

// TestAnEndByItselfIsTold: waiting ends at once, with the component's last words, and so does Close.
func TestAnEndByItselfIsTold(t *testing.T) {
	t.Parallel()
	p := shell(t, "echo unknown flag >&2; exit 3")
	if err := p.start(); err != nil {
		t.Fatal(err)
	}
	c := &Cluster{processes: map[Component]*process{Etcd: p}}
	err := c.poll(bounded(t), "etcd is healthy", func(context.Context) error { return errors.New("not yet") })
	for _, err := range []error{err, c.Close()} {
		if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "unknown flag") {
			t.Errorf("the error is %v", err)
		}
	}
}

func TestSearchPrefersAssets(t *testing.T) {
	t.Parallel()
	assets, built := t.TempDir(), t.TempDir()
	if _, err := search([]string{"", built}); !errors.Is(err, ErrNotBuilt) {
		t.Errorf("with nothing there: %v", err)
	}
	touch := func(dir string, names ...Component) {
		for _, n := range names {
			if err := os.WriteFile(filepath.Join(dir, string(n)), nil, 0o700); err != nil {
				t.Fatal(err)
			}
		}
	}
	touch(assets, Etcd, APIServer, kubectl) // what envtest's folder holds
	touch(built, append([]Component{kubectl, stages}, order...)...)
	found, err := search([]string{assets, built})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[Component]string{Etcd: assets, kubectl: assets, Scheduler: built, Kwok: built, stages: built} {
		if got := filepath.Dir(found[name]); got != want {
			t.Errorf("%s is from %s, want %s", name, got, want)
		}
	}
}

func TestReservedPortsDiffer(t *testing.T) {
	t.Parallel()
	seen := map[int]bool{}
	for range 50 {
		port, held, err := reserve("127.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { held.Close() })
		if seen[port] || port < firstPort || port >= lastPort {
			t.Errorf("port %d", port)
		}
		seen[port] = true
	}
}
