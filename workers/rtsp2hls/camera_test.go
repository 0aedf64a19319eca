package rtsp2hls

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"camfleet.dev/schema"
	"camfleet.dev/workers/archive"
	"camfleet.dev/workers/fakecam"
	"camfleet.dev/workers/metrics"
)

// deadline bounds every wait in the tests: far more than they need.
const deadline = 30 * time.Second

// quick is Timing for tests: real time, but little of it.
func quick() Timing {
	return Timing{
		Connect: 2 * time.Second, Stale: 500 * time.Millisecond, Stalled: time.Second, NoKey: 3 * time.Second,
		RetryMin: 20 * time.Millisecond, RetryMax: 100 * time.Millisecond, RetrySlow: time.Second,
		Healthy: time.Minute, Secrets: 20 * time.Millisecond, Tick: 20 * time.Millisecond, Pace: 10 * time.Millisecond, PaceAlone: 20 * time.Millisecond,
	}
}

// logbook is what was logged.
type logbook struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.Write(p)
}

func (l *logbook) String() string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.String()
}

const path = "/gate/north"

// rig is a camera, what records it, and where.
type rig struct {
	t        *testing.T
	server   *fakecam.Server
	dir      archive.Dir
	secrets  string
	log      *logbook
	registry *prometheus.Registry
	options  Options
	camera   *Camera
	stop     func()
}

const (
	testUser     = "operator"
	testPassword = "pl4nted/p@ss word"
)

// newRig starts a simulated camera; record starts what records it.
func newRig(t *testing.T, cam fakecam.Camera) *rig {
	t.Helper()
	r := newRigServer(t, &fakecam.Server{Cameras: map[string]fakecam.Camera{path: cam}})
	if cam.Username != "" {
		r.options.Config.Credentials = "north"
		r.password(cam.Password)
	}
	return r
}

// newRigServer is newRig with a server of the test's own.
func newRigServer(t *testing.T, server *fakecam.Server) *rig {
	t.Helper()
	r := &rig{
		t: t, dir: archive.Dir(filepath.Join(t.TempDir(), "archive")), secrets: t.TempDir(),
		log: &logbook{}, registry: prometheus.NewRegistry(), server: server,
	}
	server.Listen = "127.0.0.1:0"
	if err := r.server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.server.Close)
	set, err := metrics.New(r.registry, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.options = Options{
		Config: schema.WorkerCamera{
			Site: "gate", Name: "north", URL: r.server.URL(path), Transport: "tcp",
			Recording: schema.Recording{Enabled: true, Segment: schema.Duration(time.Second)},
		},
		ArchiveDir: r.dir, SecretDir: func(schema.WorkerCamera) string { return r.secrets },
		Metrics: set.Camera("gate", "north"),
		Log:     slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Timing:  quick(),
	}
	return r
}

// password writes the credentials' files.
func (r *rig) password(p string) {
	r.t.Helper()
	for name, text := range map[string]string{"username": testUser, "password": p + "\n"} {
		if err := os.WriteFile(filepath.Join(r.secrets, name), []byte(text), 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
}

// record starts the camera's worker; stop ends it, also by itself at the test's end.
func (r *rig) record() *rig {
	r.t.Helper()
	c, err := New(r.options)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	r.camera = c
	r.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				r.t.Errorf("run: %v", err)
			}
		case <-time.After(deadline):
			r.t.Error("the camera does not stop")
		}
		if r.t.Failed() {
			r.t.Log(r.log.String())
		}
	})
	r.t.Cleanup(r.stop)
	return r
}

// until waits for ok.
func (r *rig) until(what string, ok func() bool) {
	r.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	over := time.After(deadline)
	for !ok() {
		select {
		case <-tick.C:
		case <-over:
			s, _ := archive.ReadStatus(r.dir)
			r.t.Fatalf("waited in vain for %s; status %+v", what, s)
		}
	}
}

// state waits for status.json to say so.
func (r *rig) state(want archive.State) archive.Status {
	r.t.Helper()
	var s archive.Status
	r.until("the state "+string(want), func() bool {
		var err error
		s, err = archive.ReadStatus(r.dir)
		return err == nil && s.State == want
	})
	return s
}

// entries are the recorded segments.
func (r *rig) entries() []archive.Located {
	r.t.Helper()
	all, err := archive.Scan(context.Background(), r.dir, time.Time{}, time.Time{})
	if err != nil {
		r.t.Fatal(err)
	}
	return all
}

// segments waits for at least n recorded segments.
func (r *rig) segments(n int) []archive.Located {
	r.t.Helper()
	var all []archive.Located
	r.until("segments", func() bool { all = r.entries(); return len(all) >= n })
	return all
}

func TestRecordsACamera(t *testing.T) {
	t.Parallel()
	r := newRig(t, fakecam.Camera{}).record()
	s := r.state(archive.Live)
	if s.Codec != "h264" || s.Width != 640 || s.Height != 360 || s.FPS != 25 {
		t.Errorf("status %+v", s)
	}
	r.segments(3)
	r.stop()
	all := r.entries()
	for i, e := range all {
		if i > 0 && all[i-1].Session != e.Session {
			t.Errorf("segment %d begins a session", i)
		}
		if want := int64(e.Frames) * 3600; e.Duration < want-10 || e.Duration > want+10 {
			t.Errorf("segment %d: %d frames in %d ticks", i, e.Frames, e.Duration)
		}
	}
}
