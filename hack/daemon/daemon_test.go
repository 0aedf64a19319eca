package daemon

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shell is a process that runs a script, for tests that need no control plane.
func shell(t *testing.T, script string) *Process {
	t.Helper()
	p := &Process{Name: "shell", Path: "/bin/sh", Args: []string{"-c", script}, Env: []string{"PATH=/usr/bin:/bin"}, Log: filepath.Join(t.TempDir(), "log")}
	t.Cleanup(func() { p.Stop(context.Background(), syscall.SIGKILL) }) //nolint:errcheck // a test stops it itself
	return p
}

// bounded is a context that ends before the test binary does.
func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestProcessStopsAndStartsAgain(t *testing.T) {
	t.Parallel()
	p := shell(t, "echo started; exec sleep 60")
	for range 2 {
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		if err := p.Start(); err == nil || !strings.Contains(err.Error(), "runs already") {
			t.Errorf("a second start: %v", err)
		}
		pid, _ := p.State()
		if err := p.Stop(bounded(t), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("process %d is still there: %v", pid, err)
		}
	}
	if pid, err := p.State(); pid != 0 || err != nil {
		t.Errorf("after it was stopped: pid %d, %v", pid, err)
	}
	if err := p.Stop(bounded(t), syscall.SIGTERM); err != nil {
		t.Errorf("stopping what does not run: %v", err)
	}
}

func TestProcessThatIgnoresSignalsIsKilled(t *testing.T) {
	t.Parallel()
	p := shell(t, "trap '' TERM; echo ready; while :; do sleep 1; done")
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for ctx := bounded(t); !strings.Contains(string(p.Tail()), "ready"); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("the trap is not set")
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := p.Stop(ctx, syscall.SIGTERM); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("stop: %v", err)
	}
}

// TestAnEndByItselfIsTold: with the last words.
func TestAnEndByItselfIsTold(t *testing.T) {
	t.Parallel()
	p := shell(t, "echo unknown flag >&2; exit 3")
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for ctx := bounded(t); ; {
		if _, err := p.State(); err != nil {
			if !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "unknown flag") {
				t.Errorf("the error is %v", err)
			}
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("nobody noticed that it ended")
		}
	}
}

func TestComplaints(t *testing.T) {
	t.Parallel()
	const log = "I1124 08:50:26.492011 165 server.go:177] fine\nE1124 08:50:27 165 pod.go:1] broken\n" +
		"time=\"x\" level=info msg=fine\ntime=\"x\" level=error msg=broken\n[ERROR] broken\nIt ended\n" +
		`{"level":"INFO","msg":"fine"}` + "\n" + `{"level":"info","msg":"fine"}` + "\n" + `{"level":"warn","msg":"broken"}` + "\n"
	const want = "E1124 08:50:27 165 pod.go:1] broken\ntime=\"x\" level=error msg=broken\n[ERROR] broken\nIt ended\n" +
		`{"level":"warn","msg":"broken"}` + "\n"
	if got := string(complaints([]byte(log))); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
