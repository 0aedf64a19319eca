package control

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// hand is a clock that tests set. The Guard's own timer is real.
type hand struct{ now atomic.Int64 }

func (h *hand) clock() time.Duration    { return time.Duration(h.now.Load()) }
func (h *hand) advance(d time.Duration) { h.now.Add(int64(d)) }

// sink counts the requests that were carried out: whose body has arrived.
func sink(t *testing.T, during func()) (*httptest.Server, *atomic.Int64) {
	var n atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			return
		}
		n.Add(1)
		if during != nil {
			during()
		}
	}))
	t.Cleanup(s.Close)
	return s, &n
}

func send(ctx context.Context, c *http.Client, method, url string) error {
	var body io.Reader
	if method != http.MethodGet {
		body = strings.NewReader("{}")
	}
	r, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return err
	}
	resp, err := c.Do(r)
	if err != nil {
		return err
	}
	_, err = io.ReadAll(resp.Body)
	return errors.Join(err, resp.Body.Close())
}

func TestGuard(t *testing.T) {
	t.Parallel()
	server, n := sink(t, nil)
	h := &hand{}
	g := &Guard{now: h.clock}
	c := &http.Client{Transport: g.Wrap(server.Client().Transport)}
	try := func(what string, want bool) {
		t.Helper()
		before := n.Load()
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, "APPLY"} {
			err := send(t.Context(), c, method, server.URL)
			if want && err != nil || !want && !errors.Is(err, ErrNotLeader) {
				t.Errorf("%s: %s: %v", what, method, err)
			}
		}
		if got := n.Load() > before; got != want || g.Held() != want {
			t.Errorf("%s: sent %v, held %v", what, got, g.Held())
		}
		if err := send(t.Context(), c, http.MethodGet, server.URL); err != nil {
			t.Errorf("%s: reading: %v", what, err)
		}
	}
	try("no lease yet", false)
	g.renewed(h.clock(), 10*time.Second)
	try("the lease is held", true)
	h.advance(9 * time.Second)
	try("it is about to run out", true)
	g.renewed(h.clock()-time.Second, 10*time.Second) // sent a second ago
	h.advance(8 * time.Second)
	try("it was renewed", true)
	h.advance(time.Second)
	try("it has run out, to the moment", false)
	g.renewed(h.clock()-11*time.Second, 10*time.Second)
	try("the answer came too late", false)
	g.renewed(h.clock(), 10*time.Second)
	try("it is held again", true)
	g.drop()
	try("it was given up", false)
}

// TestGuardGivesUp: requests under way end with the lease, and so does the term.
func TestGuardGivesUp(t *testing.T) {
	t.Parallel()
	hang, arrived := make(chan struct{}), make(chan struct{}, 1)
	server, _ := sink(t, func() { arrived <- struct{}{}; <-hang })
	defer close(hang)
	g := &Guard{}
	c := &http.Client{Transport: g.Wrap(server.Client().Transport)}
	for what, end := range map[string]func(){"dropped": g.drop, "not renewed": func() {}} {
		term := g.renewed(g.clock(), 300*time.Millisecond)
		failed := make(chan error, 1)
		go func() { failed <- send(t.Context(), c, http.MethodPatch, server.URL) }()
		<-arrived
		end()
		if err := <-failed; !errors.Is(err, ErrNotLeader) {
			t.Errorf("%s: %v", what, err)
		}
		if term.Err() == nil {
			t.Errorf("%s: the term goes on", what)
		}
	}
}

// TestGuardLooksAgain: a process that is stopped while it connects does not
// send what it was about to.
func TestGuardLooksAgain(t *testing.T) {
	t.Parallel()
	server, n := sink(t, nil)
	h := &hand{}
	g := &Guard{now: h.clock}
	base := server.Client().Transport.(*http.Transport).Clone()
	var dialled sync.WaitGroup
	dialled.Add(1)
	base.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		defer dialled.Done()
		h.advance(time.Minute) // and nothing of this process ran meanwhile
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	g.renewed(0, 10*time.Second)
	err := send(t.Context(), &http.Client{Transport: g.Wrap(base)}, http.MethodPatch, server.URL)
	dialled.Wait()
	if !errors.Is(err, ErrNotLeader) || n.Load() != 0 {
		t.Errorf("%v; %d were carried out", err, n.Load())
	}
}

// TestGuardAnswers: the body of an answer can be read after the round trip, and
// a request's own context still ends it.
func TestGuardAnswers(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range 100 {
			_, _ = w.Write(make([]byte, 1000))
			w.(http.Flusher).Flush()
		}
	}))
	defer server.Close()
	g := &Guard{}
	g.renewed(g.clock(), time.Minute)
	c := &http.Client{Transport: g.Wrap(http.DefaultTransport)}
	if err := send(t.Context(), c, http.MethodPost, server.URL); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := send(ctx, c, http.MethodPost, server.URL); !errors.Is(err, context.Canceled) || errors.Is(err, ErrNotLeader) {
		t.Error(err)
	}
}

func TestUptimeGoesOn(t *testing.T) {
	t.Parallel()
	began, real := uptime(), time.Now()
	<-time.After(20 * time.Millisecond)
	if d := uptime() - began - time.Since(real); d > 5*time.Millisecond || d < -5*time.Millisecond {
		t.Errorf("it is %s off", d)
	}
}
