package health_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/cluster"
	"camfleet.dev/reconciler/health"
	"camfleet.dev/schema"
	"camfleet.dev/workers/media"
	"camfleet.dev/workers/supervisor"
)

// network sends requests for the addresses of Pods to handlers.
type network struct {
	mu    sync.Mutex
	asked []string
	pods  map[string]http.Handler // by host:port
}

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	n.mu.Lock()
	n.asked = append(n.asked, r.URL.String())
	h := n.pods[r.URL.Host]
	n.mu.Unlock()
	if h == nil {
		return nil, fmt.Errorf("dial tcp %s: connect: connection refused", r.URL.Host)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result(), r.Context().Err()
}

func (n *network) take() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := n.asked
	n.asked = nil
	return out
}

func text(code int, s string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, s)
	})
}

const address = "10.244.1.7:9090"

func TestAskerAsks(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ü", 2000)
	for name, c := range map[string]struct {
		pod    func(*cluster.Pod)
		worker http.Handler
		asked  bool
		want   *health.Answer // Err: a part of it
	}{
		"it knows": {
			worker: text(200, `{"status":"ok","cameras":[{"site":"yard","camera":"north","state":"live"},{"site":"gate","camera":"north","state":"unauthorized","since":"2026-11-24T12:50:00+01:00","message":"401"}]}`),
			asked:  true, want: &health.Answer{State: "unauthorized", Since: began, Message: "401"},
		},
		"it is not well": {
			worker: text(503, `{"status":"failing","cameras":[{"site":"gate","camera":"north","state":"live","reason":"the last segment is 30s old"}]}`),
			asked:  true, want: &health.Answer{State: "live", Reason: "the last segment is 30s old"},
		},
		"it has no camera":   {worker: text(200, `{"status":"ok","cameras":[]}`), asked: true, want: &health.Answer{Err: "has not read its configuration"}},
		"no JSON":            {worker: text(404, "404 page not found"), asked: true, want: &health.Answer{Err: "it answers 404 Not Found and no JSON"}},
		"too much":           {worker: text(200, `{"cameras":[{"state":"`+strings.Repeat("x", 1<<20)+`"}]}`), asked: true, want: &health.Answer{Err: "no JSON"}},
		"a long story":       {worker: text(200, `{"cameras":[{"site":"gate","camera":"north","state":"stale","message":"`+long+`"}]}`), asked: true, want: &health.Answer{State: "stale", Message: long[:500] + " …"}},
		"another address":    {worker: http.RedirectHandler("http://169.254.169.254/", http.StatusFound), asked: true, want: &health.Answer{Err: "another address"}},
		"nobody there":       {asked: true, want: &health.Answer{Err: "connection refused"}},
		"not an address":     {pod: func(p *cluster.Pod) { p.IP = "example.org" }, want: &health.Answer{Err: "not an address"}},
		"this machine":       {pod: func(p *cluster.Pod) { p.IP = "127.0.0.1" }, want: &health.Answer{Err: "not the address of a Pod"}},
		"this machine, v6":   {pod: func(p *cluster.Pod) { p.IP = "::ffff:127.0.0.1" }, want: &health.Answer{Err: "not the address of a Pod"}},
		"the cloud's secret": {pod: func(p *cluster.Pod) { p.IP = "169.254.169.254" }, want: &health.Answer{Err: "not the address of a Pod"}},
		"ready":              {pod: func(p *cluster.Pod) { p.Ready = true }},
		"pending":            {pod: func(p *cluster.Pod) { p.Phase = "Pending" }},
		"on its way out":     {pod: func(p *cluster.Pod) { p.Ending = now }},
		"its node is gone":   {pod: func(p *cluster.Pod) { p.NodeGone = now }},
		"no address yet":     {pod: func(p *cluster.Pod) { p.IP = "" }},
		"a task":             {pod: func(p *cluster.Pod) { p.Role = object.RoleTask }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := &network{pods: map[string]http.Handler{address: c.worker}}
			if c.worker == nil {
				n.pods = nil
			}
			a := health.Asker{Transport: n}
			p := pod(c.pod)
			a.Ask(t.Context(), []cluster.Pod{p})
			got, ok := a.Answers()[p.ID]
			if asked := len(n.take()) > 0; asked != c.asked || ok != (c.want != nil) {
				t.Fatalf("asked %v, answer %v %+v", asked, ok, got)
			}
			if c.want == nil {
				return
			}
			if !strings.Contains(got.Err, c.want.Err) || (got.Err == "") != (c.want.Err == "") {
				t.Errorf("error %q, want %q", got.Err, c.want.Err)
			}
			got.Err, c.want.Err = "", ""
			if got != *c.want {
				t.Errorf("%+v, want %+v", got, *c.want)
			}
		})
	}
}

func many(n int) []cluster.Pod {
	var out []cluster.Pod
	for i := range n {
		out = append(out, pod(func(p *cluster.Pod) {
			p.Name, p.Camera, p.IP = fmt.Sprint("camera-c", i), fmt.Sprint("c", i), fmt.Sprintf("10.1.%d.%d", i/256, i%256)
		}))
	}
	return out
}

// TestAskerForgets: what is ready or gone is not known any more, and news are told once.
func TestAskerForgets(t *testing.T) {
	t.Parallel()
	n, news := &network{}, 0
	a := health.Asker{Transport: n, Changed: func() { news++ }}
	pods := many(3)
	a.Ask(t.Context(), pods)
	a.Ask(t.Context(), pods)
	if len(a.Answers()) != 3 || news != 1 || len(n.take()) != 6 {
		t.Errorf("%v, told %d times", a.Answers(), news)
	}
	pods[0].Ready = true
	a.Ask(t.Context(), pods[:2])
	if _, ok := a.Answers()[pods[1].ID]; !ok || len(a.Answers()) != 1 || news != 2 || len(n.take()) != 1 {
		t.Errorf("%v, told %d times", a.Answers(), news)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a.Ask(ctx, nil)
	if len(a.Answers()) != 1 {
		t.Error("a round that was broken off counts")
	}
}

// TestAskerIsModest: of a site of 100 cameras that are away, a few are asked at a time.
func TestAskerIsModest(t *testing.T) {
	t.Parallel()
	var now, most atomic.Int64
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := now.Add(1)
		for {
			old := most.Load()
			if n <= old || most.CompareAndSwap(old, n) {
				break
			}
		}
		<-time.After(2 * time.Millisecond)
		now.Add(-1)
	})
	n := &network{pods: map[string]http.Handler{}}
	pods := many(100)
	for _, p := range pods {
		n.pods[p.IP+":9090"] = h
	}
	a := health.Asker{Transport: n}
	a.Ask(t.Context(), pods)
	if asked := n.take(); len(asked) != 100 || most.Load() > 16 || most.Load() < 4 {
		t.Errorf("%d were asked, %d at a time", len(asked), most.Load())
	}
}

// TestAskerRuns: round after round, with what is observed then.
func TestAskerRuns(t *testing.T) {
	t.Parallel()
	n, rounds := &network{}, 0
	ctx, cancel := context.WithCancel(t.Context())
	a := health.Asker{Transport: n, Every: time.Millisecond}
	err := a.Run(ctx, func() cluster.Observation {
		if rounds++; rounds == 3 {
			cancel()
		}
		return cluster.Observation{Pods: many(rounds)}
	})
	if asked := n.take(); err != nil || rounds != 3 || len(asked) < 3 {
		t.Errorf("%v: %d rounds, asked %v", err, rounds, asked)
	}
}

// TestAskerAsksAWorker asks the handler that a worker has.
func TestAskerAsksAWorker(t *testing.T) {
	t.Parallel()
	running := make(chan struct{})
	s := supervisor.New(supervisor.Options{
		Log:  slog.New(slog.DiscardHandler),
		View: func(supervisor.Key, *slog.Logger) supervisor.View { return view{} },
		Camera: func(schema.WorkerCamera, supervisor.View, *slog.Logger) (supervisor.Camera, error) {
			return &camera{running: running}, nil
		},
	})
	defer s.Close(t.Context()) //nolint:errcheck // not what is tested
	s.Set(map[supervisor.Key]schema.WorkerCamera{{Site: "gate", Camera: "north"}: {Site: "gate", Name: "north"}})
	<-running
	a := health.Asker{Transport: &network{pods: map[string]http.Handler{address: s.HealthHandler()}}}
	p := pod(nil)
	a.Ask(t.Context(), []cluster.Pod{p})
	want := health.Answer{State: "unreachable", Since: began, Message: "no route to host"}
	if got := a.Answers()[p.ID]; got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

type camera struct{ running chan struct{} }

func (c *camera) Run(ctx context.Context) error {
	close(c.running)
	<-ctx.Done()
	return nil
}
func (*camera) Update(schema.WorkerCamera) {}
func (*camera) Health() supervisor.Health {
	return supervisor.Health{State: "unreachable", Since: began, Message: "no route to host"}
}

type view struct{ http.Handler }

func (view) Start([]media.Track, bool) {}
func (view) Write(media.Unit)          {}
func (view) Stop(media.Cause)          {}
func (view) Close()                    {}

// TestAskerTrustsNobody: what a worker says, that somebody took over, is short
// and does nothing to a terminal.
func TestAskerTrustsNobody(t *testing.T) {
	t.Parallel()
	pods := many(2)
	evil := "\x1b]0;owned\x07\u202e" + strings.Repeat("long ", 1000)
	text, err := json.Marshal(map[string]any{"cameras": []any{map[string]any{
		"site": pods[0].Site, "camera": pods[0].Camera, "state": evil, "message": evil, "reason": evil,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	n := &network{pods: map[string]http.Handler{
		pods[0].IP + ":9090": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(text) }),
	}}
	a := health.Asker{Transport: n}
	a.Ask(t.Context(), pods[:1])
	answer, ok := a.Answers()[pods[0].ID]
	if !ok {
		t.Fatal("it was not asked")
	}
	for _, said := range []string{answer.State, answer.Message, answer.Reason} {
		if len(said) > 600 || !strings.Contains(said, "owned") || strings.ContainsAny(said, "\x1b\x07\u202e") {
			t.Errorf("%q", said)
		}
	}
}
