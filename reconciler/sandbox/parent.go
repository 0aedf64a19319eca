package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"camfleet.dev/compiler/object"
)

const (
	// A result may have so many bytes, and so many more for each byte of the
	// commit: 1,000 cameras are 0.1 MiB of CUE and 13 MiB of objects. What is
	// larger would be a bomb of another kind: for us, who read it.
	leastResult, resultShare, mostResult = 32 << 20, 300, 256 << 20
	maxStderr                            = 64 << 10
)

// run is one compilation: it returns the result, or a killedError when the child
// died of the commit, or another error when it could not be run at all.
func (c *Compiler) run(ctx context.Context, fsys fs.FS, req request, deadline time.Duration) (*object.Result, error) {
	p, waited, err := c.take()
	if err != nil {
		return nil, err
	}
	res, err := c.runIn(ctx, p, fsys, req, deadline)
	var killed *killedError
	if waited && errors.As(err, &killed) && !killed.late {
		// It may have died of something else while it waited.
		if p, err = c.start(); err == nil {
			return c.runIn(ctx, p, fsys, req, deadline)
		}
	}
	return res, err
}

func (c *Compiler) runIn(ctx context.Context, p *process, fsys fs.FS, req request, deadline time.Duration) (*object.Result, error) {
	req.Memory, req.Seconds = c.memory(), int(deadline.Seconds())*4+1
	timed, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	defer context.AfterFunc(timed, p.kill)()
	p.stdout.bound(c.largest(fsys))
	sent := send(p.stdin, fsys, req)
	closed := p.stdin.Close()
	<-p.ended
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if p.stdout.over {
		return nil, &killedError{why: fmt.Sprintf("its objects have more than %d MiB", p.stdout.max>>20), late: true}
	}
	if p.err != nil {
		return nil, died(timed, deadline, c.memory(), p.err, string(p.stderr.content()))
	}
	if err := errors.Join(sent, closed); err != nil {
		return nil, err
	}
	return receiveResult(p.stdout.content())
}

// died says in a user's words why the child ended without a result.
func died(ctx context.Context, deadline time.Duration, memory uint64, err error, stderr string) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return fmt.Errorf("running the compiler: %w", err)
	}
	status, _ := exit.Sys().(syscall.WaitStatus)
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded), status.Signaled() && status.Signal() == syscall.SIGXCPU:
		return &killedError{why: fmt.Sprintf("compiling took longer than %s", deadline), late: true}
	case noMemory(stderr), nearLimit(exit, memory):
		return &killedError{why: fmt.Sprintf("compiling needed more than %d MiB of memory", memory>>20)}
	case status.Signaled():
		return &killedError{why: fmt.Sprintf("the compiler was killed (%s)", status.Signal())}
	case exit.ExitCode() == exitFailed:
		return fmt.Errorf("compiling: %s", strings.TrimSpace(stderr))
	}
	return &killedError{why: "the compiler crashed: " + firstLine(stderr)}
}

// noMemory finds the words of Go's runtime, and of its race detector's, for
// memory that the kernel refused. A runtime that falls over it says SIGSEGV
// first; the nil pointer of a program is a panic first.
func noMemory(stderr string) bool {
	for _, words := range []string{"out of memory", "cannot allocate memory", "failed to allocate"} {
		if strings.Contains(stderr, words) {
			return true
		}
	}
	return strings.HasPrefix(firstLine(stderr), "SIGSEGV: segmentation violation")
}

// nearLimit tells whether the child used most of its memory: Go's runtime does
// not always find the words for it when the kernel refuses it more, it may as
// well end with SIGSEGV.
func nearLimit(exit *exec.ExitError, memory uint64) bool {
	usage, ok := exit.SysUsage().(*syscall.Rusage)
	return ok && uint64(usage.Maxrss)<<10 > memory/10*7
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

// limited is a buffer that takes max bytes and then refuses: a child that
// prints without end is stopped by its broken pipe. It does not embed its
// buffer, whose ReadFrom would be used instead of Write.
type limited struct {
	mu   sync.Mutex // of what follows, until the child has ended
	buf  bytes.Buffer
	max  int
	over bool
}

func (l *limited) bound(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.max = n
}

func (l *limited) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.buf.Len()+len(p) > l.max {
		l.over = true
		return 0, io.ErrShortWrite
	}
	return l.buf.Write(p)
}

// content is what was written; nobody may write any more.
func (l *limited) content() []byte { return l.buf.Bytes() }
