// Package daemon runs the programs of a test's cluster: each is started, stopped and
// started again with the same arguments, and dies with the test, whatever kills that.
package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// Process is a program that is started, stopped and started again.
type Process struct {
	Name string // for messages
	Path string
	Args []string
	Env  []string
	Log  string // file that its output is appended to

	mu      sync.Mutex
	cmd     *exec.Cmd     // nil until it is started, and after it was stopped
	ended   chan struct{} // closed when cmd has ended
	failure error         // of an end that nobody asked for
}

// Start starts the program, which then dies with this process.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		return fmt.Errorf("%s runs already", p.Name)
	}
	out, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("opening the log of %s: %w", p.Name, err)
	}
	defer out.Close()
	cmd := exec.Command(p.Path, p.Args...) // bounded by Stop
	cmd.Env, cmd.Stdout, cmd.Stderr = p.Env, out, out
	// A group of its own: Ctrl-C in the terminal is for the test, which then ends its children.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	started, ended := make(chan error), make(chan struct{})
	go p.run(cmd, started, ended)
	if err := <-started; err != nil {
		return fmt.Errorf("starting %s: %w", p.Name, err)
	}
	p.cmd, p.ended = cmd, ended
	return nil
}

// run keeps its thread for as long as the program lives: the thread that started a
// child is the one whose end Pdeathsig is about.
func (p *Process) run(cmd *exec.Cmd, started chan<- error, ended chan<- struct{}) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(ended)
	err := cmd.Start()
	started <- err
	if err != nil {
		return
	}
	err = cmd.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == cmd { // nobody asked for it
		p.cmd = nil
		p.failure = errors.Join(p.failure, fmt.Errorf("%s ended by itself (%v):\n%s", p.Name, err, p.Tail()))
	}
}

// Stop sends the signal and waits until the program has ended; when ctx ends
// first, the program is killed. One that does not run is left alone.
func (p *Process) Stop(ctx context.Context, sig syscall.Signal) error {
	p.mu.Lock()
	cmd, ended := p.cmd, p.ended
	p.cmd = nil
	p.mu.Unlock()
	if cmd == nil {
		return nil
	}
	if err := cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping %s: %w", p.Name, err)
	}
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		cmd.Process.Kill() //nolint:errcheck // it may have ended just now
		<-ended
		return fmt.Errorf("stopping %s: it had to be killed: %w", p.Name, ctx.Err())
	}
}

// State returns the process id, 0 when it does not run, and why it ended, if by itself.
func (p *Process) State() (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0, p.failure
	}
	return p.cmd.Process.Pid, p.failure
}

// Tail returns the end of the log.
func (p *Process) Tail() []byte {
	text, err := os.ReadFile(p.Log)
	if err != nil {
		return []byte(err.Error())
	}
	return end(text)
}

// Complaints returns the end of what the log complains about: a test that shows all
// that its programs say hides in it why it failed.
func (p *Process) Complaints() []byte {
	text, err := os.ReadFile(p.Log)
	if err != nil {
		return []byte(err.Error())
	}
	return end(complaints(text))
}

// end is the end of a log, from the beginning of a line.
func end(text []byte) []byte {
	const most = 4 << 10
	if len(text) <= most {
		return text
	}
	text = text[len(text)-most:]
	return text[bytes.IndexByte(text, '\n')+1:]
}

// complaints leaves the lines out that only inform, in the formats of klog,
// containerd, and slog and zap in JSON.
func complaints(log []byte) []byte {
	var kept []byte
	for line := range bytes.Lines(log) {
		informs := len(line) > 1 && line[0] == 'I' && line[1] >= '0' && line[1] <= '9'
		for _, level := range []string{"level=info", `"level":"INFO"`, `"level":"info"`} {
			informs = informs || bytes.Contains(line, []byte(level))
		}
		if !informs {
			kept = append(kept, line...)
		}
	}
	return kept
}
