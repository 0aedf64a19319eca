package host

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
	"camfleet.dev/reconciler/engine/enginetest"
	"camfleet.dev/schema"
)

// This test binary is the camfleet-worker of these tests: TestMain becomes one
// when fakeEnv says so, in a child process that a Host started.
const fakeEnv = "CAMFLEET_FAKE_WORKER"

func TestMain(m *testing.M) {
	switch mode := os.Getenv(fakeEnv); mode {
	case "":
		os.Exit(m.Run())
	case "parent":
		parent(os.Args[1])
	case "churn":
		churn(os.Args[1])
	default:
		os.Exit(fakeWorker(mode, os.Args[1:]))
	}
}

// fakeWorker is a worker that says on its log what it is doing. Modes: "ok",
// "crash" (it ends at once), "stubborn" (it does not end on SIGTERM).
func fakeWorker(mode string, args []string) int {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	flags := map[string]string{}
	for i := 1; i+1 < len(args); i += 2 {
		flags[strings.TrimPrefix(args[i], "--")] = args[i+1]
	}
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	switch {
	case mode == "crash":
		fmt.Fprintln(os.Stderr, "panic: on purpose")
		return 3
	case args[0] == "hls2mpeg":
		log.Info("days made", "config", flags["config"], "archive", flags["archive"], "nice", niceNow())
		return 0
	}
	ln, err := net.Listen("unix", strings.TrimPrefix(flags["listen"], "unix:"))
	if err != nil {
		log.Error(err.Error())
		return 1
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/live/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "live %s", r.RequestURI) })
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "# HELP fake_up Is up.\n# TYPE fake_up gauge\nfake_up{site=\"gate\"} 1\n# HELP go_goroutines Number of goroutines that currently exist.\n# TYPE go_goroutines gauge\ngo_goroutines 3\n")
	})
	go http.Serve(ln, mux) //nolint:errcheck // it ends with the process
	entries, _ := os.ReadDir(flags["config"])
	log.Info("running", "camera", "c0", "pid", os.Getpid(), "files", len(entries), "secrets", flags["secrets"], "archive", flags["archive"])
	<-stop.Done()
	if mode == "stubborn" {
		select {}
	}
	log.Info("ended in order")
	return 0
}

func niceNow() int {
	n, _ := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
	return 20 - n // the kernel's own way of counting
}

// logs are the lines of a log, as they come.
type logs chan string

func (l logs) Write(p []byte) (int, error) {
	select {
	case l <- string(p):
	default: // nobody is interested any more
	}
	return len(p), nil
}

// wait waits for a line that has all of these in it.
func (l logs) wait(t *testing.T, parts ...string) string {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		select {
		case line := <-l:
			found := true
			for _, p := range parts {
				found = found && strings.Contains(line, p)
			}
			if found {
				return line
			}
		case <-deadline:
			t.Fatalf("the log never said %q", parts)
		}
	}
}

func newLogs() (logs, *slog.Logger) {
	l := make(logs, 10_000)
	return l, slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// testOptions are of a host whose workers are this test binary.
func testOptions(t *testing.T, mode string) (Options, logs) {
	t.Helper()
	lines, log := newLogs()
	return Options{
		State: filepath.Join(t.TempDir(), "state"), Worker: []string{os.Args[0]}, Env: []string{fakeEnv + "=" + mode}, Log: log,
	}, lines
}

func openHost(t *testing.T, o Options) *Host {
	t.Helper()
	h, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// start runs h until the test ends, or until what it returns is called.
func start(t *testing.T, h *Host) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := h.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// eventually polls until ok, within a bound.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("it never happened: %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// cameraObjects are a camera's ConfigMap, Pod and CronJob.
func cameraObjects(c schema.WorkerCamera, schedule, zone string) []object.Object {
	config, _ := json.Marshal(c)
	objects := enginetest.CameraObjects(enginetest.Camera{Site: c.Site, Name: c.Name, Restart: c.URL})
	for i := range objects {
		switch o := &objects[i]; o.Kind {
		case "ConfigMap":
			o.Body = enginetest.Body(*o, map[string]any{"data": map[string]string{"camera.json": string(config)}})
		case "CronJob":
			o.Body = enginetest.Body(*o, map[string]any{"spec": map[string]any{"schedule": schedule, "timeZone": zone}})
		}
	}
	return objects
}

func testCamera(site, name string) schema.WorkerCamera {
	c := schema.WorkerCamera{Site: site, Name: name, TimeZone: "Europe/Berlin", URL: "rtsp://192.0.2.1/x", Transport: "tcp"}
	c.Recording.Enabled = true
	c.Recording.Segment = schema.Duration(2 * time.Second)
	return c
}

// fleet is a result of cameras, each with a daily CronJob.
func fleet(cameras ...schema.WorkerCamera) *object.Result {
	r := enginetest.Result(nil)
	for _, c := range cameras {
		r.Objects = append(r.Objects, cameraObjects(c, "10 4 * * *", "Europe/Berlin")...)
		if len(r.Sites) == 0 || r.Sites[len(r.Sites)-1].Name != c.Site {
			r.Sites = append(r.Sites, object.Site{Name: c.Site})
		}
	}
	return r
}

func apply(t *testing.T, h *Host, r *object.Result) engine.ChangeSet {
	t.Helper()
	live, err := h.List(t.Context(), r.Fleet.UID)
	if err != nil {
		t.Fatal(err)
	}
	set := engine.Applier{Cluster: h, Parallel: 4}.Apply(t.Context(), engine.Plan(r, live, engine.Options{Commit: "c", Approved: "c"}))
	if set.Counts()[engine.Failed] > 0 {
		t.Fatalf("%s", set)
	}
	return set
}
