package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// probeArgument makes the test program a child that tries what it must not do,
// right before it reads its first byte. An address and a file follow it.
const probeArgument = "sandbox-test-probe"

// probe is standard input that tries things first.
type probe struct {
	io.Reader
	once          sync.Once
	address, file string
}

func (p *probe) Read(b []byte) (int, error) {
	p.once.Do(func() {
		found := map[string]string{}
		for name, err := range attempts(p.address, p.file) {
			if found[name] = "done"; err != nil {
				found[name] = err.Error()
			}
			if errors.Is(err, syscall.EACCES) {
				found[name] = "refused"
			}
		}
		_ = json.NewEncoder(os.Stderr).Encode(found) // the test misses it
	})
	return p.Reader.Read(b)
}

// attempts are what a child may not do, and what came of each. None does any
// harm when it is not refused: the program and the process that is traced are not there.
func attempts(address, file string) map[string]error {
	call := func(number, a, b, c uintptr) error {
		if _, _, errno := unix.RawSyscall(number, a, b, c); errno != 0 {
			return errno
		}
		return nil
	}
	dial := func(network, address string) error {
		conn, err := net.DialTimeout(network, address, 5*time.Second)
		if err != nil {
			return err
		}
		return conn.Close()
	}
	parent := uintptr(os.Getppid())
	found := map[string]error{
		"connect": dial("tcp", address), "connect over IPv6": dial("tcp6", "[::1]:9"), "send": dial("udp", address),
		"unix socket": dial("unix", "@camfleet-test"), "raw socket": call(unix.SYS_SOCKET, unix.AF_PACKET, unix.SOCK_RAW, 0),
		"io_uring": call(unix.SYS_IO_URING_SETUP, 1, 0, 0), "signal": call(unix.SYS_KILL, parent, 0, 0),
		"signal to its group": call(unix.SYS_KILL, 0, 0, 0), "signal to a thread": call(unix.SYS_TGKILL, parent, parent, 0),
		"limit of the parent": call(unix.SYS_PRLIMIT64, parent, unix.RLIMIT_CORE, 0),
		"trace":               call(unix.SYS_PTRACE, unix.PTRACE_ATTACH, 1<<22+1, 0),
		"program":             exec.Command("/proc/self/no-such-program").Start(),
		"remove":              os.Remove(file + ".missing"), "make": os.Mkdir(file+".folder", 0o700),
	}
	_, found["read"] = os.ReadFile(file)
	_, found["credentials of the parent"] = os.ReadFile(fmt.Sprintf("/proc/%d/environ", parent))
	found["own limit"] = call(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_CORE, 0)
	found["own signal"] = call(unix.SYS_KILL, uintptr(os.Getpid()), 0, 0)
	// Threads that were there before, and new ones, are confined alike.
	var all sync.WaitGroup
	errs := make([]error, 32)
	for i := range errs {
		all.Go(func() { errs[i] = dial("tcp", address) })
	}
	all.Wait()
	for i, err := range errs {
		found["connect "+strconv.Itoa(i)] = err
	}
	return found
}

// probed runs a child that probes, in no namespace of its own, and returns what it found.
func probed(t *testing.T) map[string]string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	file := t.TempDir() + "/secret"
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := newCompiler(t)
	c.noNamespaces.Store(true)
	c.Command = []string{c.Command[0], probeArgument, listener.Addr().String(), file}
	p, err := c.start()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	<-p.ended
	line, _, _ := bytes.Cut(p.stderr.content(), []byte("\n"))
	found := map[string]string{}
	if err := json.Unmarshal(line, &found); err != nil {
		t.Fatalf("%v: %s", err, p.stderr.content())
	}
	return found
}

// TestConfined: without any namespace, a child reaches nobody and nothing from
// its first byte on.
func TestConfined(t *testing.T) {
	t.Parallel()
	if !confinable() {
		t.Skip("the kernel filters no system calls here")
	}
	found := probed(t)
	if len(found) < 45 {
		t.Errorf("only %d attempts: %v", len(found), found)
	}
	for _, what := range slices.Sorted(maps.Keys(found)) {
		want := "refused"
		if strings.HasPrefix(what, "own ") {
			want = "done"
		}
		if found[what] != want {
			t.Errorf("%s: %s, want %s", what, found[what], want)
		}
	}
}

// A confined child compiles what an unconfined one does: TestSameResultAsInProcess
// shows that. Here it is shown that it was confined then.
func TestChildIsConfinedWhileItCompiles(t *testing.T) {
	t.Parallel()
	if !confinable() {
		t.Skip("the kernel filters no system calls here")
	}
	c := newCompiler(t)
	p, err := c.start()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { p.kill(); <-p.ended }()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-tick.C {
		all, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(all, []byte("Seccomp:\t2")) && bytes.Contains(all, []byte("NoNewPrivs:\t1")) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("it is not confined:\n%s", all)
		}
	}
}

// How a child is confined is said once, and loudly only when it is not.
func TestConfinementIsToldOnce(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	c := newCompiler(t)
	c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c.noNamespaces.Store(true)
	for range 3 {
		compile(t, c, example(t, nil))
	}
	if n := strings.Count(log.String(), "\n"); n != 1 {
		t.Errorf("said %d times:\n%s", n, log.String())
	}
	if quiet := strings.Contains(log.String(), "DEBUG"); quiet != confinable() {
		t.Errorf("filters are there: %v\n%s", confinable(), log.String())
	}
	log.Reset()
	if c.tell(false); !strings.Contains(log.String(), "WARN") {
		t.Errorf("it is hardly said that nothing keeps the child from the network: %s", log.String())
	}
}

// TestFilterIsSound: no jump leaves the filter, and every way ends in an answer.
func TestFilterIsSound(t *testing.T) {
	t.Parallel()
	filter := confinement(1)
	if len(filter) > 4096 || filter[len(filter)-1].Code != unix.BPF_RET|unix.BPF_K {
		t.Fatalf("%d instructions", len(filter))
	}
	for i, f := range filter {
		if f.Code&7 == unix.BPF_JMP && (i+1+int(f.Jt) >= len(filter) || i+1+int(f.Jf) >= len(filter)) {
			t.Errorf("instruction %d jumps away", i)
		}
	}
	seen := map[uint32]bool{}
	for _, call := range append(refusedCalls(), ownCalls()...) {
		if seen[call] {
			t.Errorf("call %d is listed twice", call)
		}
		seen[call] = true
	}
}
