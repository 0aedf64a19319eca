package host

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
	"camfleet.dev/reconciler/engine/enginetest"
	"camfleet.dev/reconciler/internal/clock"
	"camfleet.dev/workers/archive"
)

func workerFiles(t *testing.T, h *Host) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(h.options.State, workersFolder, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range paths {
		paths[i], _ = filepath.Rel(filepath.Join(h.options.State, workersFolder), paths[i])
	}
	return paths
}

// TestRollout: cameras come, change and go; each time only their own file is
// touched, and one process records them all.
func TestRollout(t *testing.T) {
	t.Parallel()
	o, lines := testOptions(t, "ok")
	h := openHost(t, o)
	stop := start(t, h)
	a, b := testCamera("gate", "a"), testCamera("gate", "b")
	apply(t, h, fleet(a, b))
	line := lines.wait(t, "running", "camera=c0", "worker=0", "level=INFO")
	if !strings.Contains(line, "archive="+o.State+"/archive/{site}/{camera}") || !strings.Contains(line, "secrets="+o.State+"/secrets/{site}/{secret}") {
		t.Errorf("called with %s", line)
	}
	eventually(t, "both files", func() bool {
		return slices.Equal(workerFiles(t, h), []string{"0/gate.a.json", "0/gate.b.json"})
	})
	pid := h.workers.status()[0].pid
	before, err := os.Stat(filepath.Join(o.State, "workers/0/gate.a.json"))
	if err != nil {
		t.Fatal(err)
	}
	b.URL = "rtsp://192.0.2.1/other"
	apply(t, h, fleet(a, b, testCamera("gate", "c")))
	eventually(t, "the change", func() bool {
		data, _ := os.ReadFile(filepath.Join(o.State, "workers/0/gate.b.json"))
		return strings.Contains(string(data), "other") && len(workerFiles(t, h)) == 3
	})
	apply(t, h, fleet(a))
	eventually(t, "the removal", func() bool { return slices.Equal(workerFiles(t, h), []string{"0/gate.a.json"}) })
	after, err := os.Stat(filepath.Join(o.State, "workers/0/gate.a.json"))
	if err != nil || !after.ModTime().Equal(before.ModTime()) || !os.SameFile(before, after) {
		t.Errorf("the file of the camera that did not change was written: %v", err)
	}
	if s := h.workers.status(); len(s) != 1 || s[0].pid != pid || s[0].restarts != 0 {
		t.Errorf("the worker was restarted: %+v", s)
	}
	apply(t, h, fleet())
	lines.wait(t, "ended in order")
	eventually(t, "no worker for no camera", func() bool { return len(h.workers.status()) == 0 })
	stop()
}

// TestRestartOfTheHost: what is on disk runs again before anything is fetched.
func TestRestartOfTheHost(t *testing.T) {
	t.Parallel()
	o, lines := testOptions(t, "ok")
	h, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	stop := start(t, h)
	apply(t, h, fleet(testCamera("gate", "a"), testCamera("yard", "b")))
	lines.wait(t, "running")
	stop()
	lines.wait(t, "ended in order")
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	o.Shards = 4 // and cameras move to other shards
	h = openHost(t, o)
	start(t, h)
	want := []string{shardOf(key{"gate", "a"}, 4) + "/gate.a.json", shardOf(key{"yard", "b"}, 4) + "/yard.b.json"}
	slices.Sort(want)
	eventually(t, "the files in their new shards", func() bool { return slices.Equal(workerFiles(t, h), want) })
	lines.wait(t, "running")
	if got := apply(t, h, fleet(testCamera("gate", "a"), testCamera("yard", "b"))).Summary(); got != "6 unchanged" {
		t.Error(got)
	}
}

func TestWorkerIsStartedAgain(t *testing.T) {
	t.Parallel()
	o, lines := testOptions(t, "ok")
	h := openHost(t, o)
	start(t, h)
	apply(t, h, fleet(testCamera("gate", "a")))
	lines.wait(t, "running")
	for range 3 {
		var pid int64
		eventually(t, "a process", func() bool { pid = h.workers.status()[0].pid; return pid != 0 })
		if err := syscall.Kill(int(pid), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		lines.wait(t, "started again", "signal: killed")
		lines.wait(t, "running")
	}
	if s := h.workers.status()[0]; s.restarts != 3 {
		t.Errorf("%+v", s)
	}
}

var inRE = regexp.MustCompile(` in=(\S+)`)

func TestRestartsBackOff(t *testing.T) {
	t.Parallel()
	o, lines := testOptions(t, "crash")
	h := openHost(t, o)
	start(t, h)
	apply(t, h, fleet(testCamera("gate", "a")))
	lines.wait(t, "panic: on purpose")
	var last time.Duration
	for i := range 4 {
		m := inRE.FindStringSubmatch(lines.wait(t, "started again", "exit status 3"))
		d, err := time.ParseDuration(m[1])
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 && d < last*6/5 { // doubled, give or take a quarter
			t.Errorf("%v after %v", d, last)
		}
		last = d
	}
}

// TestStubbornWorker: one that does not end is killed.
func TestStubbornWorker(t *testing.T) {
	t.Parallel()
	_, log := newLogs()
	c := &child{log: log, clock: clock.Real{}, program: program{
		command: []string{os.Args[0], "rtsp2hls", "--listen", "unix:" + filepath.Join(t.TempDir(), "s")},
		env:     []string{fakeEnv + "=stubborn"}, grace: 50 * time.Millisecond,
	}}
	lines, workerLog := newLogs()
	c.stderr = &logWriter{log: workerLog}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); c.keep(ctx) }()
	lines.wait(t, "running")
	pid := int(c.pid.Load())
	cancel()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("it still runs")
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d is still there: %v", pid, err)
	}
}

func TestWorkerThatDoesNotExist(t *testing.T) {
	t.Parallel()
	o, lines := testOptions(t, "ok")
	o.Worker = []string{"/nowhere/camfleet-worker"}
	h := openHost(t, o)
	start(t, h)
	apply(t, h, fleet(testCamera("gate", "a")))
	lines.wait(t, "started again", "starting /nowhere/camfleet-worker")
	web, err := h.Handler(WebOptions{})
	if err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	web.ServeHTTP(rec, httptest.NewRequest("GET", "http://127.0.0.1/healthz", nil))
	if rec.Code != http.StatusServiceUnavailable {
		t.Errorf("healthz: %d", rec.Code)
	}
}

// parent is a camfleet up that a test kills: a host with one camera.
func parent(state string) {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	h, err := Open(Options{State: state, Worker: []string{os.Args[0]}, Env: []string{fakeEnv + "=ok"}, Log: log})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	r := fleet(testCamera("gate", "a"))
	live, _ := h.List(context.Background(), r.Fleet.UID)
	engine.Applier{Cluster: h}.Apply(context.Background(), engine.Plan(r, live, engine.Options{}))
	_ = h.Run(context.Background())
}

// TestKilledParent: after kill -9 no worker is left, and the state folder can
// be used at once.
func TestKilledParent(t *testing.T) {
	t.Parallel()
	state := filepath.Join(t.TempDir(), "state")
	for range 2 {
		cmd := exec.Command(os.Args[0], state)
		cmd.Env = []string{fakeEnv + "=parent"}
		stderr, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		pid := 0
		for s := bufio.NewScanner(stderr); pid == 0 && s.Scan(); {
			if m := regexp.MustCompile(`msg=running.* pid=(\d+)`).FindStringSubmatch(s.Text()); m != nil {
				pid, _ = strconv.Atoi(m[1])
			}
		}
		if pid == 0 {
			t.Fatal("no worker came up")
		}
		if _, err := Open(Options{State: state, Worker: []string{"x"}}); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("(process %d) runs on", cmd.Process.Pid)) {
			t.Errorf("the lock: %v", err)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed
		eventually(t, "the worker's end", func() bool { return gone(pid) })
	}
	h := openHost(t, Options{State: state, Worker: []string{"x"}})
	if n := len(h.view().cameras); n != 1 {
		t.Errorf("%d cameras", n)
	}
}

// gone tells whether a process has ended; a zombie has.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(rest, "Z") || strings.HasPrefix(rest, "X")
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	o, lines := testOptions(t, "ok")
	full := make(chan bool, 1)
	full <- true
	o.disk.Fault = func(step, path string) error {
		isFull := <-full
		full <- isFull
		if isFull && step == "write" && strings.Contains(path, "/workers/") {
			return syscall.ENOSPC
		}
		return nil
	}
	h := openHost(t, o)
	start(t, h)
	apply(t, h, fleet(testCamera("gate", "a")))
	lines.wait(t, "cannot be written", "free some space")
	<-full
	full <- false
	eventually(t, "the file", func() bool {
		return slices.Contains(workerFiles(t, h), "0/gate.a.json")
	})
}

func TestCameras(t *testing.T) {
	t.Parallel()
	o, _ := testOptions(t, "ok")
	h := openHost(t, o)
	off, watched := testCamera("gate", "off"), testCamera("gate", "watched")
	off.Disabled, watched.Recording.Enabled = true, false
	apply(t, h, fleet(testCamera("gate", "live"), testCamera("gate", "new"), off, testCamera("gate", "old"), watched))
	since := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	for name, age := range map[string]time.Duration{"live": 0, "old": 20 * time.Minute} {
		dir := filepath.Join(o.State, "archive/gate", name)
		if err := archive.WriteStatus(archive.Dir(dir), archive.Status{State: archive.Live, Since: since}); err != nil {
			t.Fatal(err)
		}
		playlist := filepath.Join(dir, archive.LiveName)
		at := time.Now().Add(-age)
		if err := errors.Join(os.WriteFile(playlist, nil, 0o644), os.Chtimes(playlist, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"live live /archive/gate/live/live.m3u8 /live/gate/live/index.m3u8",
		"new connecting /archive/gate/new/live.m3u8 /live/gate/new/index.m3u8",
		"off disabled  ",
		"old stale /archive/gate/old/live.m3u8 /live/gate/old/index.m3u8",
		"watched connecting  /live/gate/watched/index.m3u8",
	}
	var got []string
	for _, c := range h.Cameras() {
		got = append(got, fmt.Sprintf("%s %s %s %s", c.Name, c.State, c.Live, c.LowLatency))
		if c.Since.IsZero() || c.Name == "live" && !c.Since.Equal(since) {
			t.Errorf("%+v", c)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestNotes(t *testing.T) {
	t.Parallel()
	o, _ := testOptions(t, "ok")
	h := openHost(t, o)
	type notes struct{ A string }
	got := notes{"default"}
	if err := h.ReadNotes(&got); err != nil || got.A != "default" {
		t.Errorf("%v %v", got, err)
	}
	if err := h.WriteNotes(notes{"x"}); err != nil {
		t.Fatal(err)
	}
	if err := h.ReadNotes(&got); err != nil || got.A != "x" {
		t.Errorf("%v %v", got, err)
	}
	if err := os.WriteFile(filepath.Join(o.State, notesName), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := h.ReadNotes(&got); err == nil {
		t.Error("damaged notes were read")
	}
}

func TestWarningsAreSaid(t *testing.T) {
	t.Parallel()
	o, lines := testOptions(t, "ok")
	h := openHost(t, o)
	start(t, h)
	r := fleet()
	other := object.Object{ID: object.ID{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "camfleet-gate", Name: "mine"}, Site: "gate"}
	other.Body = enginetest.Body(other, nil)
	r.Objects = append(r.Objects, other)
	apply(t, h, r)
	lines.wait(t, "camfleet-gate/Deployment/mine", "camfleet's own workers and nothing else")
	if w := h.Warnings(); len(w) != 1 {
		t.Errorf("%q", w)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{State: t.TempDir()}, "camfleet-worker is not known"},
		{Options{State: filepath.Join(t.TempDir(), "{x}"), Worker: []string{"x"}}, "{ or }"},
		{Options{State: file, Worker: []string{"x"}}, "choose one that you may write to"},
	} {
		if _, err := Open(c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	if _, err := DialControl(t.Context(), filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
