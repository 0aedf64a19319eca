package supervisor

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"camfleet.dev/schema"
)

func TestHandler(t *testing.T) {
	t.Parallel()
	st := newStage()
	defer st.Close(t.Context()) //nolint:errcheck // not what is tested
	st.Set(cameras("north"))
	h := st.Handler()
	for path, want := range map[string]int{
		"/live/gate/north/index.m3u8": 200, "/live/gate/south/index.m3u8": 404, "/live/yard/north/index.m3u8": 404,
		"/live/gate/north/a/b": 404, "/live/gate/north": 404, "/": 404, "/healthz": 200, "/livez": 200,
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		health Health
		status int // of /healthz
		ready  int // of /readyz
	}{
		"live":         {Health{State: "live"}, 200, 200},
		"disabled":     {Health{State: "disabled"}, 200, 200},
		"connecting":   {Health{State: "connecting"}, 200, 503},
		"unreachable":  {Health{State: "unreachable", Message: "no route to host"}, 200, 503},
		"stale":        {Health{State: "stale", Message: "no packets for 6s"}, 200, 503},
		"storage full": {Health{State: "storageFull"}, 200, 503},
		"stuck":        {Health{State: "live", Reason: "the last segment is 9 s old"}, 503, 503},
		"failed":       {Health{State: "failed", Reason: "panic"}, 503, 503},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStage()
			made := make(chan struct{})
			st.o.Camera = func(schema.WorkerCamera, View, *slog.Logger) (Camera, error) {
				defer close(made)
				return &fakeCamera{health: c.health, do: make(chan func() error)}, nil
			}
			defer st.Close(t.Context()) //nolint:errcheck // not what is tested
			st.Set(cameras("north"))
			<-made
			alive := httptest.NewRecorder()
			if st.Handler().ServeHTTP(alive, httptest.NewRequest(http.MethodGet, "/livez", nil)); alive.Code != http.StatusOK {
				t.Errorf("/livez: %d", alive.Code)
			}
			for path, want := range map[string]int{"/healthz": c.status, "/readyz": c.ready} {
				w := httptest.NewRecorder()
				st.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
				var body struct {
					Status  string
					Cameras []Report
				}
				if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
					t.Fatal(err)
				}
				if w.Code != want || len(body.Cameras) != 1 || body.Cameras[0].Health != c.health || (body.Status == "ok") != (want == 200) {
					t.Errorf("%s: %d %+v, want %d %+v", path, w.Code, body, want, c.health)
				}
			}
		})
	}
}

// TestNothingIsNotReady: a worker that has not read its configuration does no work.
func TestNothingIsNotReady(t *testing.T) {
	t.Parallel()
	st := newStage()
	defer st.Close(t.Context()) //nolint:errcheck // not what is tested
	w := httptest.NewRecorder()
	st.HealthHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), `"cameras":[]`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestUnixSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "w.sock")
	stale, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	stale.Close() //nolint:errcheck // as a killed worker does
	ln, err := Listen("unix:" + path)
	if err != nil {
		t.Fatalf("a stale socket is in the way: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	go func() { // as a running worker does
		for conn, err := ln.Accept(); err == nil; conn, err = ln.Accept() {
			conn.Close() //nolint:errcheck // only tried
		}
	}()
	if _, err := Listen("unix:" + path); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("took over a socket in use: %v", err)
	}
	if err := ln.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the socket is left behind")
	}
	file := filepath.Join(t.TempDir(), "file")
	writeFile(t, file, "mine")
	if _, err := Listen("unix:" + file); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Error("a file was removed")
	}
	for _, addr := range []string{"nonsense", "unix:" + file + "/below", "unix:" + filepath.Join(t.TempDir(), "no/folder")} {
		if _, err := Listen(addr); err == nil {
			t.Errorf("listens on %s", addr)
		}
	}
}

// TestServeEnds: requests that run are finished, those that hang are cut off after the grace.
func TestServeEnds(t *testing.T) {
	t.Parallel()
	ln, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	arrived := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/hang", func(_ http.ResponseWriter, r *http.Request) { close(arrived); <-r.Context().Done() })
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, ln, mux, 50*time.Millisecond, slog.New(slog.DiscardHandler)) }()
	base := "http://" + ln.Addr().String()
	res, err := http.Get(base + "/x")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close() //nolint:errcheck // not read
	go func() {
		if res, err := http.Get(base + "/hang"); err == nil {
			res.Body.Close() //nolint:errcheck // not read
		}
	}()
	<-arrived
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the server does not end")
	}
}

func TestTemplate(t *testing.T) {
	t.Parallel()
	tmpl := Template("/s/{site}/{camera}/{secret}")
	if err := tmpl.Check("site", "camera", "secret"); err != nil {
		t.Error(err)
	}
	if got := tmpl.Path(Key{"gate", "north"}, "cameras"); got != "/s/gate/north/cameras" {
		t.Error(got)
	}
	for tmpl, want := range map[Template]string{
		"":            "is empty",
		"/a/{secret}": "{secret} in",
		"/a/{Site}":   "want site or camera",
		"/a/{}":       "want site or camera",
	} {
		if err := tmpl.Check("site", "camera"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", tmpl, err, want)
		}
	}
	if err := Template("/archive").Check("site", "camera"); err != nil {
		t.Errorf("a Pod's template: %v", err)
	}
}
