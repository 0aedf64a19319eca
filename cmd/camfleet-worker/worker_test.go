package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"

	"camfleet.dev/schema"
	"camfleet.dev/workers/fakecam"
)

const patience = 30 * time.Second

// worker is the whole program, run in this process against simulated cameras.
type worker struct {
	t       *testing.T
	dir     string
	cameras *fakecam.Server
	client  *http.Client
	stop    context.CancelFunc
	code    chan int
	stderr  *lockedBuffer
}

// lockedBuffer is a bytes.Buffer for several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// startWorker runs rtsp2hls with a camera for each name, and more args.
func startWorker(t *testing.T, names []string, args ...string) *worker {
	t.Helper()
	w := &worker{t: t, dir: t.TempDir(), code: make(chan int, 1), stderr: &lockedBuffer{}}
	w.cameras = &fakecam.Server{Listen: "127.0.0.1:0", Any: true}
	if err := w.cameras.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.cameras.Close)
	if err := os.Mkdir(w.path("config"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		w.configure(w.camera(n))
	}
	socket := w.path("w.sock")
	w.client = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	t.Cleanup(w.client.CloseIdleConnections)
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	all := append([]string{
		"rtsp2hls", "--config", w.path("config"), "--archive", w.path("archive/{site}/{camera}"),
		"--secrets", w.path("secrets/{site}/{secret}"), "--listen", "unix:" + socket, "--log-format", "json",
	}, args...)
	go func() { w.code <- run(ctx, all, io.Discard, w.stderr) }()
	t.Cleanup(func() { w.end(); logOnFailure(t, w.stderr.String()) })
	w.eventually("the worker answers", func() bool { _, _, err := w.get("/healthz"); return err == nil })
	return w
}

func logOnFailure(t *testing.T, log string) {
	if t.Failed() {
		t.Log(log)
	}
}

func (w *worker) path(name string) string { return filepath.Join(w.dir, name) }

// end stops the worker as SIGTERM does, and gives its exit code.
func (w *worker) end() int {
	w.stop()
	select {
	case code := <-w.code:
		w.code <- code
		return code
	case <-time.After(patience):
		w.t.Error("the worker does not end")
		return -1
	}
}

func (w *worker) camera(name string) schema.WorkerCamera {
	return schema.WorkerCamera{
		Site: "gate", Name: name, TimeZone: "Europe/Madrid", URL: w.cameras.URL("/gate/" + name + "?clip=motion"), Transport: "tcp",
		Recording: schema.Recording{Enabled: true, Segment: schema.Duration(time.Second), Retention: schema.Retention{Age: schema.Duration(time.Hour)}},
		Live:      schema.Live{Latency: "low"}, Bitrate: 1e6,
	}
}

// configure writes a camera's configuration, as the host does: by rename.
func (w *worker) configure(cfg schema.WorkerCamera) {
	w.t.Helper()
	data, err := json.Marshal(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.put(cfg.Name, string(data))
}

func (w *worker) put(name, content string) {
	w.t.Helper()
	tmp := w.path("config/.tmp")
	if err := os.WriteFile(tmp, []byte(content), 0o600); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(tmp, w.path("config/gate."+name+".json")); err != nil {
		w.t.Fatal(err)
	}
}

func (w *worker) get(path string) (int, string, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://worker"+path, nil)
	if err != nil {
		return 0, "", err
	}
	res, err := w.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close() //nolint:errcheck // read only
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, string(body), err
}

func (w *worker) ok(path string) string {
	w.t.Helper()
	status, body, err := w.get(path)
	if err != nil || status != http.StatusOK {
		w.t.Fatalf("GET %s: %d %s %v", path, status, body, err)
	}
	return body
}

func (w *worker) eventually(what string, ok func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			w.t.Fatalf("not in time: %s\n%s", what, w.stderr)
		}
		<-tick.C
	}
}

// states maps the cameras of /healthz to their states.
func (w *worker) states() map[string]string {
	_, body, err := w.get("/healthz")
	if err != nil {
		return nil
	}
	var health struct {
		Cameras []struct{ Camera, State string }
	}
	if err := json.Unmarshal([]byte(body), &health); err != nil {
		w.t.Fatalf("%v in %s", err, body)
	}
	states := map[string]string{}
	for _, c := range health.Cameras {
		states[c.Camera] = c.State
	}
	return states
}

func (w *worker) live(camera string) {
	w.t.Helper()
	w.eventually(camera+" is live", func() bool { return w.states()[camera] == "live" })
}

// segments are the names of a camera's recorded segments.
func (w *worker) segments(camera string) []string {
	names, err := filepath.Glob(w.path("archive/gate/" + camera + "/*/*/*.m4s"))
	if err != nil {
		w.t.Fatal(err)
	}
	return names
}

// watch loads a camera's live view as a player does, and gives its newest part.
func (w *worker) watch(camera string) (msn int, part string) {
	w.t.Helper()
	base := "/live/gate/" + camera + "/"
	var master playlist.Multivariant
	if err := master.Unmarshal([]byte(w.ok(base + "index.m3u8"))); err != nil {
		w.t.Fatal(err)
	}
	var m playlist.Media
	if err := m.Unmarshal([]byte(w.ok(base + master.Variants[0].URI))); err != nil {
		w.t.Fatal(err)
	}
	next := m.MediaSequence + len(m.Segments)
	blocking := fmt.Sprintf("&_HLS_msn=%d&_HLS_part=%d", next, len(m.Parts))
	if err := m.Unmarshal([]byte(w.ok(base + master.Variants[0].URI + blocking))); err != nil {
		w.t.Fatal(err)
	}
	w.ok(base + m.Map.URI)
	return next, w.ok(base + m.PreloadHint.URI)
}

func TestWorkerRecordsAndShows(t *testing.T) {
	t.Parallel()
	w := startWorker(t, []string{"north", "south"})
	w.live("north")
	w.live("south")
	if _, part := w.watch("north"); !strings.Contains(part, "mdat") {
		t.Error("the live part is no fragment")
	}
	w.eventually("both are recorded", func() bool { return len(w.segments("north")) > 1 && len(w.segments("south")) > 1 })
	for path, want := range map[string]int{
		"/live/gate/nobody/index.m3u8": 404, "/live/yard/north/index.m3u8": 404, "/live/gate/north/": 404,
		"/live/gate/north/x": 404, "/": 404, "/livez": 200, "/healthz": 200, "/readyz": 200, "/metrics": 200, "/live/gate/../../etc/passwd": 404,
	} {
		if status, body, err := w.get(path); status != want || err != nil {
			t.Errorf("GET %s: %d %.80q %v, want %d", path, status, body, err, want)
		}
	}
	if m := w.ok("/metrics"); !strings.Contains(m, `camfleet_camera_state{camera="north",site="gate",state="live"} 1`) {
		t.Errorf("metrics:\n%s", m)
	}
	if info, err := os.Stat(w.path("w.sock")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v %v", info.Mode(), err)
	}
	if code := w.end(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if _, err := os.Stat(w.path("w.sock")); err == nil {
		t.Error("the socket is left behind")
	}
	if !strings.Contains(w.stderr.String(), `"msg":"ended"`) {
		t.Error("the log does not say that it ended")
	}
}

// TestConfigurationIsFollowed: adding, changing, breaking and removing one
// camera touches no other; theirs is one unbroken session.
func TestConfigurationIsFollowed(t *testing.T) {
	t.Parallel()
	w := startWorker(t, []string{"north", "south"})
	w.live("north")
	w.live("south")

	began := time.Now()
	w.configure(w.camera("east"))
	w.live("east")
	t.Logf("a new camera was live after %s", time.Since(began).Round(time.Millisecond))

	changed := w.camera("south")
	changed.Recording.Retention.Age = schema.Duration(2 * time.Hour)
	w.configure(changed)
	w.eventually("the change is said", func() bool { return strings.Contains(w.stderr.String(), "configuration changed") })

	w.put("east", `{"site": "gate", "name": "east", "url": 7}`)
	w.eventually("the mistake is said, with its place", func() bool {
		return strings.Contains(w.stderr.String(), "gate.east.json:1:41: url: want a string, not a number")
	})
	if w.states()["east"] != "live" {
		t.Error("the last good configuration was not kept")
	}
	off := w.camera("south")
	off.Disabled = true
	w.configure(off)
	w.eventually("south is disabled", func() bool { return w.states()["south"] == "disabled" })

	if err := os.Remove(w.path("config/gate.east.json")); err != nil {
		t.Fatal(err)
	}
	w.eventually("east is gone", func() bool { _, there := w.states()["east"]; return !there })
	w.eventually("its metrics are gone", func() bool { return !strings.Contains(w.ok("/metrics"), `camera="east"`) })
	if code := w.end(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if n := w.sessions("north"); n != 1 {
		t.Errorf("north has %d sessions: it was touched", n)
	}
}

// sessions counts the sessions in a camera's journal.
func (w *worker) sessions(camera string) int {
	w.t.Helper()
	names, err := filepath.Glob(w.path("archive/gate/" + camera + "/*/*/journal.jsonl"))
	if err != nil {
		w.t.Fatal(err)
	}
	sessions := map[string]bool{}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			w.t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			var entry struct{ Session string }
			if err := json.Unmarshal([]byte(line), &entry); err != nil {
				w.t.Fatal(err)
			}
			sessions[entry.Session] = true
		}
	}
	return len(sessions)
}

// TestPasswordIsNowhere: a camera with credentials works, and nothing that the worker says holds them.
func TestPasswordIsNowhere(t *testing.T) {
	t.Parallel()
	const password = "hunter2-is-secret"
	w := startWorker(t, nil, "--log-level", "debug")
	if err := w.cameras.SetCredentials("/gate/north?clip=motion", "admin", password); err != nil {
		t.Fatal(err)
	}
	cfg := w.camera("north")
	cfg.Credentials = "cameras"
	w.configure(cfg)
	w.eventually("the camera refuses", func() bool { return w.states()["north"] == "unauthorized" })
	if status, _, err := w.get("/healthz"); status != http.StatusOK || err != nil {
		t.Errorf("healthz: %d %v: a camera's mood is no fault of the worker", status, err)
	}
	if status, body, err := w.get("/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, `"state":"unauthorized"`) || !strings.Contains(body, `"message":"`) || err != nil {
		t.Errorf("readyz: %d %s %v: nothing is recorded", status, body, err)
	}
	secret := w.path("secrets/gate/cameras")
	if err := os.MkdirAll(secret, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"username": "admin", "password": password} {
		if err := os.WriteFile(filepath.Join(secret, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.live("north")
	said := w.ok("/metrics") + w.ok("/healthz")
	w.end()
	if strings.Contains(said+w.stderr.String(), password) {
		t.Error("the password was told")
	}
	err := filepath.WalkDir(w.path("archive"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte(password)) {
			t.Errorf("the password is in %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestLiveDir: segments of watched cameras lie in a folder, which a start empties.
func TestLiveDir(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "live")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	stale, mine := filepath.Join(dir, "0123456789ab_video1_seg7.mp4"), filepath.Join(dir, "notes.txt")
	for _, name := range []string{stale, mine} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := startWorker(t, []string{"north"}, "--live-dir", dir)
	w.live("north")
	w.watch("north")
	if _, err := os.Stat(stale); err == nil {
		t.Error("a stale segment is left")
	}
	w.end()
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 1 || names[0].Name() != "notes.txt" {
		t.Errorf("left in the folder: %v %v", names, err)
	}
}
