package cptest

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"syscall"
	"testing"
)

// TestShared: all get the same cluster, nothing is left of it, and a component that
// died unasked fails the run.
func TestShared(t *testing.T) {
	var s Shared
	c := s.Get(t)
	if s.Get(t) != c {
		t.Error("the second test got another cluster")
	}
	if err := syscall.Kill(c.PID(Scheduler), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	err := c.poll(bounded(t), "the scheduler has ended", func(context.Context) error { return errors.New("waiting for poll to notice") })
	if err == nil {
		t.Error("nobody noticed that the scheduler ended")
	}
	server := c.PID(APIServer)
	if code := s.finish(0); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if err := syscall.Kill(server, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the apiserver, process %d, is still there: %v", server, err)
	}
	if _, err := os.Stat(c.Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its folder is still there: %v", err)
	}
}

// TestStartIsRefusedWithAReason: what a developer reads who has not built it yet.
func TestStartIsRefusedWithAReason(t *testing.T) {
	for _, c := range []struct {
		require         string
		skipped, failed bool
	}{{"", true, false}, {"require", false, true}} {
		t.Setenv(Require, c.require)
		fake := &refused{TB: t}
		done := make(chan struct{})
		go func() { // Skip and Fatal end the goroutine
			defer close(done)
			refuse(fake, ErrNotBuilt)
		}()
		<-done
		if fake.skipped != c.skipped || fake.failed != c.failed {
			t.Errorf("%s=%q: skipped %t, failed %t", Require, c.require, fake.skipped, fake.failed)
		}
	}
}

// refused notes how a test was ended.
type refused struct {
	testing.TB
	skipped, failed bool
}

func (r *refused) Helper() {}

func (r *refused) Skipf(string, ...any) { r.skipped = true; runtime.Goexit() }
func (r *refused) Fatal(...any)         { r.failed = true; runtime.Goexit() }
