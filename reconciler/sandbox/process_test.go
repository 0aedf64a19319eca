package sandbox

import (
	"fmt"
	"maps"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"camfleet.dev/compiler"
)

// waits is the child that waits, and its process id.
func waits(t *testing.T, c *Compiler) (*process, int) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.idle == nil {
		t.Fatal("no child waits")
	}
	return c.idle, c.idle.cmd.Process.Pid
}

func TestWarmChild(t *testing.T) {
	t.Parallel()
	c := newCompiler(t)
	c.Warm = true
	files := example(t, nil)
	want := len(compile(t, c, files).Objects)
	_, first := waits(t, c)
	if got := len(compile(t, c, files).Objects); got != want {
		t.Errorf("%d objects, want %d", got, want)
	}
	p, second := waits(t, c)
	if first == second {
		t.Error("one child compiled twice: what one commit leaves in it, the next would find")
	}
	if err := p.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.ended
	if got := len(compile(t, c, files).Objects); got != want { // somebody killed it while it waited
		t.Errorf("%d objects, want %d", got, want)
	}
	last, _ := waits(t, c)
	c.Close()
	select {
	case <-last.ended:
	default:
		t.Error("a child outlives Close")
	}
	c.warm()
	if c.idle != nil {
		t.Error("a child is started after Close")
	}
}

// A child that dies when it is asked, and not of what it is asked, is no
// verdict on the commit.
func TestChildThatDiedWaiting(t *testing.T) {
	t.Parallel()
	c := newCompiler(t)
	c.Warm = true
	dying := &Compiler{Command: []string{"/bin/sh", "-c", "read x; kill -9 $$"}}
	p, err := dying.start()
	if err != nil {
		t.Skipf("no shell here: %v", err)
	}
	c.idle = p
	defer c.Close()
	if res := compile(t, c, example(t, nil)); res.Broken || len(res.Problems) > 0 {
		t.Errorf("%v", res.Problems)
	}
}

// The child has a network namespace of its own, where that is allowed.
func TestNoNetwork(t *testing.T) {
	t.Parallel()
	c := newCompiler(t)
	p, err := c.start()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { p.kill(); <-p.ended }()
	if c.noNamespaces.Load() {
		t.Skip("namespaces are not allowed here")
	}
	ours, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Skip(err)
	}
	theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", p.cmd.Process.Pid))
	if err != nil || ours == theirs {
		t.Errorf("%v: ours is %s, the child's %s", err, ours, theirs)
	}
	devices, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/dev", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(strings.TrimSpace(string(devices)), "\n"); len(lines) != 3 || !strings.Contains(lines[2], "lo:") {
		t.Errorf("it has devices besides lo:\n%s", devices)
	}
}

// Without namespaces it compiles all the same.
func TestWithoutNamespaces(t *testing.T) {
	t.Parallel()
	c := newCompiler(t)
	c.noNamespaces.Store(true)
	if res := compile(t, c, example(t, nil)); len(res.Problems) > 0 {
		t.Error(res.Problems)
	}
	for _, err := range []error{syscall.EPERM, fmt.Errorf("fork/exec: %w", syscall.ENOSPC)} {
		if !refusedNamespaces(err) {
			t.Errorf("%v is not understood", err)
		}
	}
	if refusedNamespaces(syscall.ENOENT) {
		t.Error("a program that is not there is taken for a refusal")
	}
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	big := fstest.MapFS{
		"a.cue":   {Data: make([]byte, 3<<20)},
		"pic.png": {Data: make([]byte, 9<<20)},
	}
	for _, c := range []struct {
		files    fstest.MapFS
		deadline time.Duration
		want     time.Duration
	}{
		{fstest.MapFS{}, 0, 20 * time.Second},
		{large(20, 50), 0, 21 * time.Second},
		{big, 0, 50 * time.Second},
		{big, time.Second, time.Second},
	} {
		got := (&Compiler{Deadline: c.deadline}).deadline(c.files)
		if d := got - c.want; d < -time.Second || d > time.Second {
			t.Errorf("%v, want %v", got, c.want)
		}
	}
}

// A result that is too large is the fault of the site that makes it, and is
// never held in our memory.
func TestResultThatIsTooLarge(t *testing.T) {
	t.Parallel()
	c := newCompiler(t)
	one, err := c.Compile(t.Context(), large(1, 1), compiler.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var wire strings.Builder
	if err := sendResult(&wire, one); err != nil {
		t.Fatal(err)
	}
	c.result = wire.Len() + 50<<10
	files := large(1, 1)
	maps.Copy(files, renamed(large(1, 50), "sites/s0", "sites/heavy"))
	res := compile(t, c, files)
	if res.Broken || len(res.Problems) != 1 || res.Problems[0].Site != "heavy" || !strings.Contains(res.Problems[0].Message, "its objects have more than") {
		t.Errorf("%+v", res.Problems)
	}
	if len(res.Objects) != len(one.Objects) {
		t.Errorf("%d objects of the other site, want %d", len(res.Objects), len(one.Objects))
	}
}

// renamed are the files of one folder, in another one.
func renamed(files fstest.MapFS, from, to string) fstest.MapFS {
	out := fstest.MapFS{}
	for name, f := range files {
		if rest, ok := strings.CutPrefix(name, from); ok {
			out[to+rest] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(string(f.Data), "/s0/", "/heavy/"))}
		}
	}
	return out
}

// A bomb costs as little as its deadlines, and its site is named.
func TestBombAtDefaultDeadline(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	t.Parallel()
	c := newCompiler(t)
	c.Memory = testMemory
	began := time.Now()
	res, err := c.Compile(t.Context(), example(t, map[string]string{"sites/yard/bomb.cue": bombs["time"]}), compiler.Options{})
	if err != nil || len(res.Problems) != 1 || res.Problems[0].Site != "yard" || res.Broken {
		t.Fatalf("%v %+v", err, res)
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("it took %v", took)
	} else {
		t.Logf("the site was named after %v", took)
	}
}
