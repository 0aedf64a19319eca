// Package isolate runs a test binary in namespaces of its own: network, mounts,
// processes and control groups. What its tests start cannot reach a network or be
// reached, cannot use another's addresses, and is gone with the test binary, whatever
// ended that: the kernel ends the processes of a namespace with its first, and with
// them go their mounts and interfaces.
//
//	func TestMain(m *testing.M) { os.Exit(isolate.Main(m)) }
//
// The test binary is started again, twice: as the first process in the namespaces,
// which sets them up and collects orphans (first), and from there to run the tests.
package isolate

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// stage tells a test binary which of the three it is: "", stageFirst or stageInside;
// or that it is the outermost one after all, because the machine refused.
const (
	stage        = "CAMFLEET_ISOLATE_STAGE"
	stageFirst   = "first"
	stageInside  = "inside"
	stageRefused = "refused"
)

// refused is the exit code of a first process that could not set up its namespaces.
const refused = 77

// Main runs the tests in namespaces, or as they are where Missing says why not.
// The result is the exit code.
func Main(m *testing.M) int {
	switch os.Getenv(stage) {
	case stageFirst:
		return say(first())
	case stageInside:
		return m.Run()
	}
	if Missing() != nil {
		return m.Run()
	}
	code, err := outside()
	if code == refused {
		say(code, err)
		os.Setenv(stage, stageRefused) //nolint:errcheck // the name is a good one
		return m.Run()
	}
	return say(code, err)
}

// Inside tells whether this process is in namespaces of its own.
func Inside() bool { return os.Getenv(stage) == stageInside }

// Missing is why this machine cannot do it.
func Missing() error {
	if os.Getenv(stage) == stageRefused {
		return fmt.Errorf("the kernel refused namespaces, mounts or control groups; the first line of the output says which")
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("network and mount namespaces need root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return fmt.Errorf("no program ip (Debian: iproute2): make setup installs it")
	}
	if !hasFilesystem("overlay") {
		return fmt.Errorf("the kernel has no overlay file system")
	}
	if len(hierarchies()) == 0 {
		return fmt.Errorf("no control groups are mounted")
	}
	return nil
}

func say(code int, err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, "isolate:", err)
		return max(code, 1)
	}
	return code
}

// outside starts the first process of the namespaces, waits for it, and removes what
// is not a namespace's: control groups and a folder, which is all that is left after
// a SIGKILL of this process, too. The next run then removes them.
func outside() (int, error) {
	dir, held, err := newFolder()
	if err != nil {
		return 1, err
	}
	defer held.Close()
	groups := newGroups(filepath.Base(dir))
	defer groups.remove()
	defer os.RemoveAll(dir) //nolint:errcheck // the next run tries again
	if err := groups.create(); err != nil {
		return refused, err
	}
	cmd := again(stageFirst)
	cmd.Env = append(cmd.Env, "TMPDIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
	}
	return run(cmd, func() (int, error) {
		if err := cmd.Wait(); cmd.ProcessState == nil {
			return 1, fmt.Errorf("waiting for the tests in namespaces: %w", err)
		}
		return code(cmd.ProcessState.Sys().(syscall.WaitStatus)), nil //nolint:forcetypeassert // Linux
	})
}

// code is the exit code of a process, as a shell says it.
func code(status syscall.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// again is this test binary with the same arguments.
func again(as string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), stage+"="+as, "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	return cmd
}

// run starts cmd, hands it the signals that are sent to this process, and returns what
// wait does: its exit code. `go test` sends SIGQUIT when time is up.
func run(cmd *exec.Cmd, wait func() (int, error)) (int, error) {
	runtime.LockOSThread() // Pdeathsig is about the end of this thread; so are cgroup namespaces
	defer runtime.UnlockOSThread()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGHUP)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return refused, fmt.Errorf("starting the tests in namespaces: %w", err)
	}
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case s := <-signals:
				cmd.Process.Signal(s) //nolint:errcheck // it may have ended
			case <-done:
				return
			}
		}
	}()
	return wait()
}
