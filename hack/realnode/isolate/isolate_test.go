package isolate

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

func needInside(t *testing.T) {
	t.Helper()
	if !Inside() {
		t.Skipf("no namespaces here: %v", Missing())
	}
}

// TestInside: what the tests see as their machine is not the real one.
func TestInside(t *testing.T) {
	needInside(t)
	interfaces, err := net.Interfaces()
	if err != nil || len(interfaces) != 1 || interfaces[0].Flags&net.FlagUp == 0 {
		t.Errorf("interfaces: %v, %v; want lo alone, up", interfaces, err)
	}
	devices, err := os.ReadDir("/sys/class/net")
	if err != nil || len(devices) != 1 {
		t.Errorf("sysfs has %v, %v", devices, err)
	}
	if processes, err := filepath.Glob("/proc/[0-9]*"); err != nil || len(processes) > 3 {
		t.Errorf("processes: %v, %v", processes, err)
	}
	if entries, err := os.ReadDir("/run"); err != nil || len(entries) != 0 {
		t.Errorf("/run holds %v, %v", entries, err)
	}
	for _, h := range hierarchies() {
		if !h.unified() && h.own != "/" {
			t.Errorf("control group of %s is %s, want the root", h.options, h.own)
		}
		group := filepath.Join(h.point, "probe")
		if err := os.Mkdir(group, 0o755); err != nil {
			t.Errorf("making a control group: %v", err)
		} else if !removeTree(group) {
			t.Errorf("removing %s failed", group)
		}
	}
	const tunable = "/proc/sys/vm/overcommit_memory"
	if err := os.WriteFile(tunable, []byte("1\n"), 0o600); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile("/var/probe", nil, 0o600); err != nil {
		t.Error(err)
	}
}

// TestHelper is started by TestNothingIsLeft: it leaves processes, mounts and
// control groups behind, and does not end.
func TestHelper(t *testing.T) {
	if os.Getenv("CAMFLEET_ISOLATE_HELPER") == "" || !Inside() {
		return // only for TestNothingIsLeft
	}
	if err := mount("left", t.TempDir(), "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	for _, h := range hierarchies() {
		if err := os.MkdirAll(filepath.Join(h.point, "left", "deeper"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	orphan := exec.Command("/bin/sh", "-c", "setsid sleep 1000 & echo $!")
	out, err := orphan.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := orphan.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	fmt.Println("READY", os.TempDir())
	<-t.Context().Done()
}

// TestNothingIsLeft kills a test binary at its worst and looks what the next one finds.
func TestNothingIsLeft(t *testing.T) {
	needInside(t) // where all processes are this test's
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("CAMFLEET_ISOLATE_HELPER", "1")
	dir := kill(t)
	if !strings.HasPrefix(filepath.Base(dir), prefix) {
		t.Fatalf("the helper used %s", dir)
	}
	waitFor(t, "all its processes are gone", func() bool { return others(t) == 0 })
	if _, err := os.Stat(dir); err != nil {
		t.Fatalf("who should have removed it? %v", err)
	}
	kill(t) // the next run removes what the first left, but not its own
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", dir, err)
	}
	for path := range newGroups(filepath.Base(dir)) {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", path, err)
		}
	}
	removeOld(os.TempDir())
}

// kill starts the helper, kills it with SIGKILL and returns its folder.
func kill(t *testing.T) string {
	t.Helper()
	helper := exec.Command("/proc/self/exe", "-test.run=^TestHelper$", "-test.v")
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, stage+"=") {
			helper.Env = append(helper.Env, v)
		}
	}
	out, err := helper.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	helper.Stderr = os.Stderr
	if err := helper.Start(); err != nil {
		t.Fatal(err)
	}
	dir := ""
	for lines := bufio.NewScanner(out); dir == "" && lines.Scan(); {
		if _, after, ok := strings.Cut(lines.Text(), "READY "); ok {
			dir = after
		}
	}
	if dir == "" {
		t.Error("the helper never was ready")
	}
	if err := errors.Join(helper.Process.Signal(syscall.SIGKILL)); err != nil {
		t.Error(err)
	}
	if err := helper.Wait(); err == nil {
		t.Error("the helper ended well")
	}
	return dir
}

// others counts the processes that are neither this one nor the namespace's first.
func others(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && pid != os.Getpid() && pid != os.Getppid() {
			count++
		}
	}
	return count
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}
