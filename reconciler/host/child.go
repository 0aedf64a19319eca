package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os/exec"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"camfleet.dev/reconciler/internal/clock"
)

// program is a child process of ours and how it is called.
type program struct {
	command []string
	dir     string
	env     []string
	stderr  io.Writer
	grace   time.Duration // between SIGTERM and SIGKILL
	polite  bool          // yields the processor and the disk to recording
}

// run runs the program until it ends. When ctx ends it is asked to end, and
// killed after grace. It dies with this process, whatever kills that.
func (p program) run(ctx context.Context, started func(pid int)) error {
	done := make(chan error, 1)
	go func() {
		// Pdeathsig is sent when the thread that started the child ends, so the
		// thread is kept for as long as the child lives. It is never unlocked:
		// it ends with this goroutine, and its priority with it.
		runtime.LockOSThread()
		done <- p.onThisThread(ctx, started)
	}()
	return <-done
}

func (p program) onThisThread(ctx context.Context, started func(pid int)) error {
	if p.polite {
		if err := beNice(); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, p.command[0], p.command[1:]...)
	cmd.Dir, cmd.Env, cmd.Stderr = p.dir, append([]string{}, p.env...), p.stderr
	// A group of its own: Ctrl-C in the terminal is for the parent, which then asks its children.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = p.grace
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", p.command[0], err)
	}
	if started != nil {
		started(cmd.Process.Pid)
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %w", p.command[0], err)
	}
	return nil
}

// ioprio_set(2), which golang.org/x/sys/unix has no function for.
const (
	ioprioWhoProcess = 1
	ioprioBestEffort = 2 << 13
	ioprioLowest     = 7
	niceness         = 10
)

// beNice lowers the priority of this thread; a child that it starts inherits it.
func beNice() error {
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, niceness); err != nil {
		return fmt.Errorf("lowering the priority: %w", err)
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOPRIO_SET, ioprioWhoProcess, 0, ioprioBestEffort|ioprioLowest); errno != 0 {
		return fmt.Errorf("lowering the disk priority: %w", errno)
	}
	return nil
}

const (
	restartFirst = 100 * time.Millisecond
	restartMost  = 30 * time.Second
	// A process that lived this long had nothing wrong with how it starts.
	livedWell = 10 * time.Second
	jitter    = 0.25
)

// child is a program that is kept running.
type child struct {
	program
	log      *slog.Logger
	clock    clock.Clock
	prepare  func() error // before each start
	pid      atomic.Int64 // 0 while it does not run
	restarts atomic.Int64
}

// keep runs the program again and again until ctx ends, and returns once it has ended.
func (c *child) keep(ctx context.Context) {
	failures := 0
	for ctx.Err() == nil {
		began := c.clock.Now()
		err := c.once(ctx)
		if ctx.Err() != nil {
			if err != nil && !errors.Is(err, context.Canceled) {
				c.log.Warn("a worker did not end in order", "error", err)
			}
			return
		}
		if c.clock.Now().Sub(began) >= livedWell {
			failures = 0
		}
		failures++
		c.restarts.Add(1)
		wait := shake(backoff(restartFirst, restartMost, failures))
		c.log.Error("a worker ended; it is started again", "error", err, "in", wait.Round(time.Millisecond))
		if !clock.Sleep(ctx, c.clock, wait) {
			return
		}
	}
}

func (c *child) once(ctx context.Context) error {
	if c.prepare != nil {
		if err := c.prepare(); err != nil {
			return err
		}
	}
	defer c.pid.Store(0)
	err := c.run(ctx, func(pid int) { c.pid.Store(int64(pid)) })
	if err == nil && ctx.Err() == nil {
		return errors.New("it ended by itself")
	}
	return err
}

// shake spreads restarts: d, give or take a quarter.
func shake(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (1 - jitter + 2*jitter*rand.Float64()))
}
