package reconciler_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"camfleet.dev/reconciler"
	. "camfleet.dev/reconciler/engine/enginetest"
	"camfleet.dev/reconciler/status"
)

func TestStatusAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Cameras = func() []status.Camera {
		return []status.Camera{{
			Site: "gate", Name: "c0", State: "live", Since: start,
			Live: "/archive/gate/c0/live.m3u8", LowLatency: "/live/gate/c0/index.m3u8",
		}, {Site: "gate", Name: "c1", State: "disabled", Since: start}}
	}
	w.push(commitA, Result(Cameras("gate", 2)))
	w.run()
	server := httptest.NewServer(w.Handler())
	defer server.Close()
	resp, err := http.Get(server.URL + "/api/v1/status")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got struct {
		Commit, Time string
		Cameras      []map[string]string
		Problems     []any
	}
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if got.Commit != commitA || got.Time != "2026-11-23T04:00:00Z" || got.Problems == nil || len(got.Cameras) != 2 ||
		got.Cameras[0]["live"] != server.URL+"/archive/gate/c0/live.m3u8" ||
		got.Cameras[0]["lowLatency"] != server.URL+"/live/gate/c0/index.m3u8" || got.Cameras[1]["live"] != "" {
		t.Errorf("%+v", got)
	}
	if resp.Header.Get("Content-Type") != "application/json" || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v", resp.Header)
	}
	for _, path := range []string{"/api/v1/approve/" + commitA, "/api/v1/status"} {
		resp, err := http.Post(server.URL+path, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound && resp.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: %s", path, resp.Status)
		}
	}
}

func TestClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push(commitA, Result(Cameras("gate", 4)))
	w.run()
	w.push(commitB, Result(Cameras("gate", 1)))
	w.poll()
	socket := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Skipf("no Unix socket here: %v", err)
	}
	server := &httptest.Server{Listener: ln, Config: &http.Server{Handler: w.ControlHandler(url.URL{Scheme: "http", Host: "127.0.0.1:8080"})}}
	server.Start()
	defer server.Close()
	c := reconciler.Client{Dial: func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}
	s, err := c.Status(t.Context())
	if err != nil || s.State != status.Held || len(s.Held) != 9 || s.Held[0].Kind != "ConfigMap" {
		t.Fatalf("%v %+v", err, s)
	}
	if _, err := c.Approve(t.Context(), "../../status"); err == nil || !strings.Contains(err.Error(), "only the newest commit") {
		t.Errorf("%v", err)
	}
	if n, err := c.Approve(t.Context(), commitB[:8]); n != 9 || err != nil {
		t.Errorf("%d %v", n, err)
	}
	w.settled(func(s status.Status) bool { return s.State == status.Synced })

	refused := reconciler.Client{Dial: func(context.Context) (net.Conn, error) { return nil, errors.New("no camfleet up runs here") }}
	if _, err := refused.Status(t.Context()); err == nil || err.Error() != "no camfleet up runs here" {
		t.Errorf("%v", err)
	}
}
