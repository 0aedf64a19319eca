package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"syscall"

	"golang.org/x/sys/unix"

	"camfleet.dev/compiler"
)

// exitFailed is the child's exit code for an error that it could still report.
const exitFailed = 3

// Child is the child process's whole work: a request and files from stdin, the
// result to stdout. It confines its own process before it reads the first byte,
// so it must be called by a process that does nothing else. The code it
// returns is the process's exit code.
func Child(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) int {
	// Libraries below fetch remote bases when asked to. They could not anyway, and
	// here they learn why.
	http.DefaultTransport = noNetwork{}
	err := confine()
	if err == nil {
		err = child(ctx, stdin, stdout)
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitFailed
	}
	return 0
}

func child(ctx context.Context, stdin io.Reader, stdout io.Writer) error {
	req, files, err := receive(stdin)
	if err != nil {
		return err
	}
	if err := limit(req); err != nil {
		return err
	}
	res, err := compiler.Compile(ctx, files, req.Options)
	if err != nil {
		return err
	}
	return sendResult(stdout, res)
}

// enough is the heap from which on memory is worth more than time. 1,000 cameras
// stay below it. 10,000 took 510 MiB without it, and take 315 MiB with it, for a
// sixth more of processor time; the time until the result is the same.
const enough = 256 << 20

// softLimit is from where on the collector works harder: in time before the hard limit.
func softLimit(memory uint64) int64 { return int64(min(memory/4*3, enough)) }

// limit bounds this process. RLIMIT_DATA is the memory limit that Go's runtime
// respects: RLIMIT_AS would have to leave room for address space never used.
func limit(req request) error {
	debug.SetGCPercent(400) // faster by a third; the soft limit below holds it back
	debug.SetMemoryLimit(softLimit(req.Memory))
	for _, l := range []struct {
		resource int
		max      uint64
		name     string
	}{
		{unix.RLIMIT_DATA, req.Memory, "memory"},
		{unix.RLIMIT_CPU, uint64(req.Seconds), "CPU time"},
		{unix.RLIMIT_FSIZE, 0, "file size"},
		{unix.RLIMIT_CORE, 0, "core size"},
	} {
		if err := syscall.Setrlimit(l.resource, &syscall.Rlimit{Cur: l.max, Max: l.max}); err != nil {
			return fmt.Errorf("limiting the compiler's %s: %w", l.name, err)
		}
	}
	return nil
}

type noNetwork struct{}

func (noNetwork) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("the compiler has no network")
}
