package host

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"camfleet.dev/compiler/object"
	"camfleet.dev/compiler/page"
	"camfleet.dev/compiler/page/pagetest"
	"camfleet.dev/reconciler"
	"camfleet.dev/reconciler/engine"
	"camfleet.dev/reconciler/engine/enginetest"
)

// webHost is a host that serves, with no process behind it.
func webHost(t *testing.T, shards int) (*Host, *httptest.Server) {
	t.Helper()
	o, _ := testOptions(t, "ok")
	o.Shards = shards
	h := openHost(t, o)
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "api "+r.URL.Path) }) //nolint:errcheck // a test
	handler, err := h.Handler(WebOptions{API: api, Hosts: []string{"cameras.example"}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return h, server
}

func applyPage(t *testing.T, h *Host, f page.Fleet) {
	t.Helper()
	applyConfig(t, h, f, nil)
}

// applyConfig applies a page's ConfigMap, with more in it than the fleet.
func applyConfig(t *testing.T, h *Host, f page.Fleet, more map[string]string) {
	t.Helper()
	data, err := f.JSON()
	if err != nil {
		t.Fatal(err)
	}
	o := object.Object{ID: object.ID{APIVersion: "v1", Kind: "ConfigMap", Namespace: "camfleet-" + f.Sites[0].Name, Name: "page"}, Site: f.Sites[0].Name, Role: object.RolePage}
	content := map[string]string{page.Data: string(data)}
	maps.Copy(content, more)
	o.Body = enginetest.Body(o, map[string]any{"data": content})
	if err := h.Apply(t.Context(), engine.Step{Action: engine.Created, Want: &o}); err != nil {
		t.Fatal(err)
	}
}

// TestPageTable holds this server to the table of requests that nginx is held to.
func TestPageTable(t *testing.T) {
	t.Parallel()
	_, target := tableHost(t, nil)
	pagetest.Run(t, target)
}

// tableHost serves what the table asks for; more is in the page's ConfigMap.
func tableHost(t *testing.T, more map[string]string) (*Host, pagetest.Target) {
	t.Helper()
	shards := 2 // the two cameras must not share a worker
	for shardOf(key{pagetest.Site, pagetest.North}, shards) == shardOf(key{pagetest.Site, pagetest.Dark}, shards) {
		shards++
	}
	h, server := webHost(t, shards)
	apply(t, h, fleet(testCamera(pagetest.Site, pagetest.North), testCamera(pagetest.Site, pagetest.Dark)))
	applyConfig(t, h, pagetest.Fleet(), more)
	folder := filepath.Join(h.options.Archive, pagetest.Site, pagetest.North)
	pagetest.Fill(t, folder)
	if err := os.MkdirAll(filepath.Join(h.options.Archive, pagetest.Site, pagetest.Dark), 0o700); err != nil {
		t.Fatal(err)
	}
	worker := pagetest.NewWorker()
	ln, err := net.Listen("unix", h.sockets.address(shardOf(key{pagetest.Site, pagetest.North}, shards)+socketSuffix))
	if err != nil {
		t.Fatal(err)
	}
	behind := &httptest.Server{Listener: ln, Config: &http.Server{Handler: worker}}
	behind.Start()
	t.Cleanup(behind.Close)
	return h, pagetest.Target{URL: server.URL, Folder: folder, Worker: worker}
}

func get(t *testing.T, url, host string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if host != "" {
		req.Host = host
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestOwnNames(t *testing.T) {
	t.Parallel()
	_, server := webHost(t, 1)
	self, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]int{
		"127.0.0.1:8080": 200, "[::1]:8080": 200, "192.168.1.5": 200, "localhost:8080": 200, "LOCALHOST": 200, self: 200,
		self + ".local:80": 200, "cameras.example": 200, "Cameras.Example:8080": 200,
		"evil.example": 421, "evil.example:8080": 421, "127.0.0.1.evil.example": 421, "localhost.evil.example": 421,
	} {
		status, body := get(t, server.URL+"/", host)
		if status != want || status == 421 && !strings.Contains(body, "--host") {
			t.Errorf("%s: %d %.80s", host, status, body)
		}
	}
}

func TestOtherPaths(t *testing.T) {
	t.Parallel()
	_, server := webHost(t, 1)
	for path, want := range map[string]string{
		"/healthz": "ok\n", "/api/v1/status": "api /api/v1/status", "/metrics": "camfleet_host_cameras 0",
	} {
		if status, body := get(t, server.URL+path, ""); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %.200s", path, status, body)
		}
	}
	resp, err := http.Post(server.URL+"/api/v1/status", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %s", resp.Status)
	}
}

// TestLiveAndMetricsOfWorkers goes through real processes, two shards of them,
// in a state folder whose path is too long for a socket's address.
func TestLiveAndMetricsOfWorkers(t *testing.T) {
	t.Parallel()
	o, _ := testOptions(t, "ok")
	o.State = filepath.Join(o.State, strings.Repeat("long/", 30))
	o.Shards = 2
	h := openHost(t, o)
	start(t, h)
	a, b := testCamera("gate", "a"), testCamera("gate", "b")
	for shardOf(key{"gate", a.Name}, 2) == shardOf(key{"gate", b.Name}, 2) {
		b.Name += "b"
	}
	apply(t, h, fleet(a, b))
	applyPage(t, h, pagetest.Fleet())
	loop := &reconciler.Reconciler{}
	handler, err := h.Handler(WebOptions{Metrics: loop.Metrics()})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()
	for _, c := range []string{a.Name, b.Name} {
		path := "/live/gate/" + c + "/index.m3u8"
		eventually(t, path, func() bool {
			status, body := get(t, server.URL+path+"?x=1", "")
			return status == 200 && body == "live "+path+"?x=1"
		})
	}
	var body string
	eventually(t, "both workers' metrics", func() bool {
		_, body = get(t, server.URL+"/metrics", "")
		return strings.Contains(body, `fake_up{site="gate",worker="0"} 1`) && strings.Contains(body, `fake_up{site="gate",worker="1"} 1`)
	})
	for _, want := range []string{`go_goroutines{worker="1"} 3`, "\ngo_goroutines ", `camfleet_host_worker_up{worker="0"} 1`, "camfleet_host_cameras 2", "camfleet_reconcile_suspended 0"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in the metrics", want)
		}
	}
	if status, _ := get(t, server.URL+"/live/gate/none/index.m3u8", ""); status != 404 {
		t.Errorf("an unknown camera: %d", status)
	}
}

func TestServeEnds(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done, entered := make(chan error, 1), make(chan struct{})
	go func() {
		done <- Serve(ctx, ln, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(entered)
			<-r.Context().Done() // a player that waits for the next part
		}), quiet)
	}()
	go http.Get("http://" + ln.Addr().String()) //nolint:errcheck // it is cut off
	<-entered
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestControl(t *testing.T) {
	t.Parallel()
	o, _ := testOptions(t, "ok")
	o.State = filepath.Join(o.State, strings.Repeat("long/", 30))
	h := openHost(t, o)
	if _, err := DialControl(t.Context(), o.State); err == nil || !strings.Contains(err.Error(), "no camfleet runs on") {
		t.Errorf("%v", err)
	}
	for range 2 {
		ln, err := h.ListenControl()
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(filepath.Join(o.State, ControlName))
		if err != nil || info.Mode().Perm() != 0o600 || info.Mode().Type() != os.ModeSocket {
			t.Errorf("%v %v", info, err)
		}
		go func() {
			conn, err := ln.Accept()
			if err == nil {
				io.WriteString(conn, "hello") //nolint:errcheck // a test
				conn.Close()
			}
		}()
		conn, err := DialControl(t.Context(), o.State)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(conn); string(got) != "hello" || err != nil {
			t.Errorf("%q %v", got, err)
		}
		conn.Close()
		if err := ln.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(filepath.Join(o.State, ControlName)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%v", err)
		}
	}
	// What a killed process leaves behind is replaced.
	if _, err := net.Listen("unix", h.sockets.address(".control")); err != nil {
		t.Fatal(err)
	}
	ln, err := h.ListenControl()
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
}
