package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"syscall"
	"time"
)

// process is a child that waits for its input, or works.
type process struct {
	cmd            *exec.Cmd
	stdin          io.WriteCloser
	stdout, stderr *limited
	kill           context.CancelFunc
	ended          chan struct{}
	err            error // of Wait, once ended is closed
}

// pipesDelay bounds the wait for a killed child's pipes.
const pipesDelay = 5 * time.Second

// start starts a child. It confines itself (confine), and is in a network
// namespace of its own besides, where the kernel allows that to us (in a user
// namespace of its own, for who is not root): most containers do not.
func (c *Compiler) start() (*process, error) {
	if !c.noNamespaces.Load() {
		p, err := c.startWith(syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET)
		if err == nil || !refusedNamespaces(err) {
			return p, err
		}
		c.noNamespaces.Store(true)
	}
	c.told.Do(func() { c.tell(confinable()) })
	return c.startWith(0)
}

// tell says how well a child is confined that has no namespace of its own.
func (c *Compiler) tell(confined bool) {
	if confined {
		c.log().Debug("the compiler has no network namespace of its own, which is not allowed here; a seccomp filter keeps it from the network")
		return
	}
	c.log().Warn("neither namespaces nor seccomp filters are allowed here: only Go's own HTTP client is kept from the network while a commit is compiled")
}

// refusedNamespaces tells whether the kernel, or a container's seccomp profile,
// does not allow namespaces, or has no more of them.
func refusedNamespaces(err error) bool {
	for _, e := range []error{syscall.EPERM, syscall.EACCES, syscall.EINVAL, syscall.ENOSYS, syscall.ENOSPC, syscall.EUSERS} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (c *Compiler) startWith(namespaces uintptr) (*process, error) {
	ctx, kill := context.WithCancel(context.Background())
	p := &process{
		cmd: exec.CommandContext(ctx, c.Command[0], c.Command[1:]...), kill: kill,
		stdout: &limited{max: leastResult}, stderr: &limited{max: maxStderr}, ended: make(chan struct{}),
	}
	p.cmd.Env = []string{} // not nil: nil would hand on ours
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Cloneflags: namespaces}
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.WaitDelay = p.stdout, p.stderr, pipesDelay
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		kill()
		return nil, fmt.Errorf("preparing the compiler: %w", err)
	}
	p.stdin = stdin
	if err := p.cmd.Start(); err != nil {
		kill()
		return nil, fmt.Errorf("starting the compiler: %w", err)
	}
	go func() {
		defer close(p.ended)
		p.err = p.cmd.Wait()
		kill()
	}()
	return p, nil
}

// take is a child that waits already, if there is one that still lives, or a new one.
func (c *Compiler) take() (p *process, waited bool, err error) {
	c.mu.Lock()
	p, c.idle = c.idle, nil
	c.mu.Unlock()
	if p != nil {
		select {
		case <-p.ended: // somebody killed it
		default:
			return p, true, nil
		}
	}
	p, err = c.start()
	return p, false, err
}

// warm starts the child of the next compilation, so that it need not be waited for.
func (c *Compiler) warm() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.Warm || c.closed || c.idle != nil {
		return
	}
	p, err := c.start()
	if err != nil {
		c.log().Debug("no compiler waits for the next commit", "error", err)
		return
	}
	c.idle = p
}

// Close ends the child that waits, if any. Nothing else may run.
func (c *Compiler) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.idle != nil {
		c.idle.kill()
		<-c.idle.ended
		c.idle = nil
	}
}
