package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// maxBinary is the budget of the stripped program, in bytes.
const maxBinary = 16 << 20

// TestLinksNothingHeavy: no CUE, Git or Kubernetes code, and nothing of the compiler or the reconciler.
func TestLinksNothingHeavy(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for dep := range strings.Lines(string(out)) {
		for _, heavy := range []string{
			"cuelang.org/", "cuelabs.dev/", "github.com/go-git/", "k8s.io/", "sigs.k8s.io/",
			"camfleet.dev/compiler", "camfleet.dev/reconciler", "camfleet.dev/workers/fakecam", "testing",
		} {
			if strings.HasPrefix(dep, heavy) {
				t.Errorf("links %s", strings.TrimSpace(dep))
			}
		}
	}
}

// build builds the program as images do, with nothing of the machine in it.
func build(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("builds the program")
	}
	out := filepath.Join(t.TempDir(), "camfleet-worker")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, msg)
	}
	return out
}

// TestProgram looks at the program itself: its size, and what signals do.
func TestProgram(t *testing.T) {
	t.Parallel()
	program := build(t)
	info, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.1f MiB of %d", float64(info.Size())/(1<<20), maxBinary>>20)
	if info.Size() > maxBinary {
		t.Errorf("%d bytes, the budget is %d", info.Size(), maxBinary)
	}
	for name, c := range map[string]struct {
		signals []os.Signal
		want    string
	}{
		"SIGTERM": {[]os.Signal{syscall.SIGTERM}, "exit status 0"},
		"SIGINT":  {[]os.Signal{syscall.SIGINT}, "exit status 0"},
		"SIGKILL": {[]os.Signal{syscall.SIGKILL}, "signal: killed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			cmd := exec.CommandContext(ctx, program, "rtsp2hls", "--config", dir, "--archive", dir, "--listen", "unix:"+dir+"/w.sock")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			appears(t, dir+"/w.sock")
			for _, s := range c.signals {
				if err := cmd.Process.Signal(s); err != nil {
					t.Error(err)
				}
			}
			_ = cmd.Wait() // the state says more
			if got := cmd.ProcessState.String(); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func appears(t *testing.T, path string) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-tick.C {
		if _, err := os.Stat(path); err == nil {
			return
		}
	}
	t.Fatalf("%s does not appear", path)
}
