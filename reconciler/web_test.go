package reconciler_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"camfleet.dev/reconciler"
	. "camfleet.dev/reconciler/engine/enginetest"
	"camfleet.dev/reconciler/hook"
	"camfleet.dev/reconciler/internal/clock"
	"camfleet.dev/reconciler/notify"
	"camfleet.dev/reconciler/status"
)

func clusterOptions(standby func() (status.Status, bool)) reconciler.ClusterOptions {
	return reconciler.ClusterOptions{
		Standby: standby,
		Hook: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost {
				w.WriteHeader(http.StatusMethodNotAllowed)
			}
		}),
	}
}

func TestClusterHandler(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	server := httptest.NewServer(w.ClusterHandler(clusterOptions(nil)))
	defer server.Close()
	expect := func(method, path string, want int, text string) {
		t.Helper()
		if code, body := call(t, method, server.URL+path); code != want || !strings.Contains(string(body), text) {
			t.Errorf("%s %s: %d %s", method, path, code, body)
		}
	}
	expect(http.MethodGet, "/healthz", http.StatusOK, "ok")
	expect(http.MethodGet, "/readyz", http.StatusServiceUnavailable, "no commit")
	w.push(commitA, Result(Cameras("gate", 2)))
	w.run()
	expect(http.MethodGet, "/healthz", http.StatusOK, "ok")
	expect(http.MethodGet, "/readyz", http.StatusOK, "ok")
	w.fetchFails(errors.New("gone"))
	w.poll()
	expect(http.MethodGet, "/readyz", http.StatusOK, "ok") // it still has something to say
	expect(http.MethodPost, "/hook", http.StatusOK, "")
	expect(http.MethodGet, "/hook", http.StatusMethodNotAllowed, "")
	expect(http.MethodGet, "/metrics", http.StatusOK, `camfleet_reconcile_hooks_total{code="405"} 1`)
	expect(http.MethodGet, "/metrics", http.StatusOK, "go_goroutines")
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/api/v1/status", "/api/v1/approve/" + commitA} {
		if code, _ := call(t, http.MethodPost, server.URL+path); code != http.StatusMethodNotAllowed && code != http.StatusNotFound {
			t.Errorf("POST %s: %d", path, code)
		}
	}
	expect(http.MethodGet, "/", http.StatusNotFound, "")
	resp, err := http.Get(server.URL + "/api/v1/status")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.Header.Get("X-Content-Type-Options") != "nosniff" || resp.Header.Get("Content-Security-Policy") == "" {
		t.Errorf("%v", resp.Header)
	}
}

// A replica that stands by is ready, and answers with what the leader says.
func TestStandby(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	leads := false
	server := httptest.NewServer(w.ClusterHandler(clusterOptions(func() (status.Status, bool) {
		return status.Status{Commit: commitB, State: status.Synced}, !leads
	})))
	defer server.Close()
	if code, body := call(t, http.MethodGet, server.URL+"/api/v1/status"); code != http.StatusOK || !strings.Contains(string(body), commitB) {
		t.Errorf("%d %s", code, body)
	}
	if code, _ := call(t, http.MethodGet, server.URL+"/readyz"); code != http.StatusOK {
		t.Errorf("%d", code)
	}
	metrics := func() string {
		_, body := call(t, http.MethodGet, server.URL+"/metrics")
		return string(body)
	}
	// The leader's numbers would be there twice, and a standby has none.
	if got := metrics(); !strings.Contains(got, "camfleet_reconcile_leader 0\n") || strings.Contains(got, "camfleet_reconcile_condition") {
		t.Errorf("%s", got)
	}
	leads = true
	if got := metrics(); !strings.Contains(got, "camfleet_reconcile_leader 1\n") || !strings.Contains(got, "camfleet_reconcile_condition") {
		t.Errorf("%s", got)
	}
	if code, _ := call(t, http.MethodGet, server.URL+"/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("%d", code)
	}
}

// A loop that hangs is found out.
func TestHungLoopIsNotHealthy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := newGate()
	w.Clock = hangingClock{w.clock, g}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = w.Run(ctx) }()
	w.at(g)
	ended, end := context.WithCancel(t.Context())
	end()
	rec := httptest.NewRecorder()
	w.ClusterHandler(clusterOptions(nil)).ServeHTTP(rec, httptest.NewRequestWithContext(ended, http.MethodGet, "/healthz", nil))
	if rec.Code != http.StatusServiceUnavailable || !strings.Contains(rec.Body.String(), "does not answer") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	close(g.open)
	cancel()
	<-done
}

// hangingClock hangs when somebody wants to wait.
type hangingClock struct {
	*clock.Fake
	gate *gate
}

func (c hangingClock) After(d time.Duration) (<-chan time.Time, func()) {
	_ = c.gate.wait(context.Background(), "the loop")
	return c.Fake.After(d)
}

// What the hook and the notifier count is beside the loop's own metrics.
func TestFurtherMetrics(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	marks, err := notify.New(notify.Config{Kind: "gitea", Repository: "https://git.example/a/b", TokenFile: "token", Context: "camfleet/seoul"})
	if err != nil {
		t.Fatal(err)
	}
	hooks := &hook.Handler{Secret: func() ([]byte, error) { return []byte("x"), nil }, Wake: w.Wake}
	server := httptest.NewServer(w.ClusterHandler(reconciler.ClusterOptions{Hook: hooks, Collectors: []prometheus.Collector{hooks, marks}}))
	defer server.Close()
	call(t, http.MethodPost, server.URL+"/hook")
	_, body := call(t, http.MethodGet, server.URL+"/metrics")
	for _, want := range []string{
		`camfleet_reconcile_hook_calls_total{result="refused"} 1`, "camfleet_reconcile_hook_wakes_total 0",
		`camfleet_reconcile_commit_statuses_total{result="sent"} 0`, "camfleet_reconcile_commit_statuses_waiting 0",
	} {
		if !strings.Contains(string(body), want+"\n") {
			t.Errorf("no %s", want)
		}
	}
	for _, c := range []prometheus.Collector{hooks, marks} {
		if problems, err := testutil.CollectAndLint(c); err != nil || len(problems) > 0 {
			t.Errorf("%v %v", problems, err)
		}
	}
}
