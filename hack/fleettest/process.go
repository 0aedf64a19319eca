package fleettest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"camfleet.dev/reconciler/status"
)

// Process is a running `camfleet reconcile`.
type Process struct {
	w    *World
	cmd  *exec.Cmd
	URL  string // of its API
	log  *output
	done chan struct{} // closed once it has ended
}

// Reconcile starts a reconciler of the world's repository; it ends with the test.
func (w *World) Reconcile(args ...string) *Process {
	w.Helper()
	port := filepath.Join(w.TempDir(), "address")
	p := &Process{w: w, log: &output{}, done: make(chan struct{})}
	p.cmd = exec.Command(w.Programs.Path(w, "camfleet"), append([]string{
		"reconcile", w.URL(), "--cluster", Cluster, "--kubeconfig", w.Kubeconfig, "--listen", "127.0.0.1:0", "--address-file", port,
		"--log-format", "text", "--poll", "1s",
	}, args...)...)
	p.cmd.Env = append(os.Environ(), "POD_NAMESPACE=camfleet-system", "POD_NAME="+w.PodName)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		w.Fatalf("starting the reconciler: %v", err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	w.Cleanup(func() {
		if w.Failed() {
			w.Logf("the reconciler said:\n%s", p.log)
		}
		p.Kill()
	})
	w.Eventually("the reconciler listens", 30*time.Second, func() error {
		if p.Ended() {
			w.Fatalf("the reconciler ended: %s\n%s", p.cmd.ProcessState, p.log)
		}
		address, err := os.ReadFile(port)
		p.URL = "http://" + string(bytes.TrimSpace(address))
		return err
	})
	return p
}

// PID is its process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ended tells whether it runs no more.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Log is what it has printed.
func (p *Process) Log() string { return p.log.String() }

// Kill kills it, as a power cut would, and waits for its end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL) // it may have ended
	<-p.done
}

// Stop asks it to end, and waits for that.
func (p *Process) Stop() {
	p.w.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		p.w.Errorf("the reconciler did not end within 30 s of SIGTERM")
		p.Kill()
	}
}

// Status asks its API.
func (p *Process) Status() (status.Status, error) {
	var s status.Status
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	resp, err := get(ctx, p.URL+"/api/v1/status")
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		return s, fmt.Errorf("reading the status: %w", err)
	}
	return s, nil
}

// Wait waits until the status is as wanted.
func (p *Process) Wait(what string, limit time.Duration, f func(status.Status) bool) status.Status {
	p.w.Helper()
	var s status.Status
	p.w.Eventually(what, limit, func() error {
		var err error
		if s, err = p.Status(); err != nil {
			return err
		}
		if !f(s) {
			return unlike{s}
		}
		return nil
	})
	return s
}

// unlike is a status that is not as wanted; its text is made only for who reads it.
type unlike struct{ s status.Status }

func (u unlike) Error() string {
	text, err := json.MarshalIndent(u.s, "", " ")
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("the status is %.4000s", text)
}

// Synced waits until a commit is applied, all of it.
func (p *Process) Synced(commit string, limit time.Duration) status.Status {
	p.w.Helper()
	return p.Wait("commit "+commit[:12]+" is applied", limit, func(s status.Status) bool {
		return s.Commit == commit && s.State == status.Synced
	})
}

// output collects what a program prints while others read it.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}
