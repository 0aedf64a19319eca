package control

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"camfleet.dev/hack/cptest"
	"camfleet.dev/reconciler/status"
)

// shared is the API server of all tests here; each has a namespace of its own in it.
var shared cptest.Shared

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		child()
		return
	}
	os.Exit(shared.Main(m))
}

// world is a namespace of a real API server.
type world struct {
	*testing.T
	namespace string
	config    *rest.Config
	client    *Client // of somebody who may do everything
}

func newWorld(t *testing.T) *world {
	t.Helper()
	cp := shared.Get(t)
	w := &world{T: t, namespace: "camfleet-t" + strings.ToLower(rand.Text()[:10])}
	w.config = &rest.Config{Host: cp.Host, BearerToken: cp.AdminToken, TLSClientConfig: rest.TLSClientConfig{CAData: cp.CA}}
	w.client = w.through(nil)
	_, err := w.client.Core.Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// through is a client whose requests go through a wrapper.
func (w *world) through(wrap func(http.RoundTripper) http.RoundTripper) *Client {
	w.Helper()
	config := rest.CopyConfig(w.config)
	if wrap != nil {
		config.Wrap(wrap)
	}
	client, err := NewClient(config)
	if err != nil {
		w.Fatal(err)
	}
	return client
}

func (w *world) log() *slog.Logger { return slog.New(slog.NewTextHandler(w.Output(), nil)) }

func (w *world) reader() Reader {
	return Reader{Client: w.client, Namespace: w.namespace, Name: DefaultName}
}

func (w *world) get(name string) *corev1.ConfigMap {
	w.Helper()
	cm, err := w.client.Core.ConfigMaps(w.namespace).Get(w.Context(), name, metav1.GetOptions{})
	if err != nil {
		w.Fatal(err)
	}
	return cm
}

// annotate is what a person with kubectl does.
func (w *world) annotate(key string, value any) {
	w.Helper()
	err := patch(w.Context(), w.client, w.namespace, DefaultName, "kubectl-annotate", map[string]any{
		"metadata": map[string]any{"annotations": map[string]any{key: value}},
	})
	if err != nil {
		w.Fatal(err)
	}
}

// events are the messages of the Events of the ConfigMap.
func (w *world) events() string {
	w.Helper()
	list, err := w.client.Core.Events(w.namespace).List(w.Context(), metav1.ListOptions{FieldSelector: "involvedObject.name=" + DefaultName})
	if err != nil {
		w.Fatal(err)
	}
	var out []string
	for _, e := range list.Items {
		out = append(out, e.Type+" "+e.Reason+": "+e.Message)
	}
	return strings.Join(out, "\n")
}

// until waits for what happens by itself.
func (w *world) until(what string, done func() bool) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			w.Fatalf("it took too long until %s", what)
		}
	}
}

// traffic counts requests, watches left out.
type traffic struct {
	mu       sync.Mutex
	requests []string
	next     http.RoundTripper
}

func (c *traffic) wrap(next http.RoundTripper) http.RoundTripper {
	c.next = next
	return c
}

func (c *traffic) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.Contains(r.URL.RawQuery, "fieldSelector=") {
		c.mu.Lock()
		c.requests = append(c.requests, r.Method+" "+r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:])
		c.mu.Unlock()
	}
	return c.next.RoundTrip(r)
}

func (c *traffic) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.requests
	c.requests = nil
	return out
}

// fake is a reconciler that notes what it is told.
type fake struct {
	mu      sync.Mutex
	said    []string
	fail    error // of the next order
	approve func(commit string) (int, error)
}

func (f *fake) say(what string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.fail
	if f.fail = nil; err != nil {
		what += " failed"
	}
	f.said = append(f.said, what)
	return err
}

func (f *fake) orders() Orders {
	return Orders{
		Approve: func(commit string) (int, error) {
			if err := f.say("approve " + commit); err != nil {
				return 0, err
			}
			if f.approve != nil {
				return f.approve(commit)
			}
			return 3, nil
		},
		Suspend: func(reason string) error { return f.say("suspend " + reason) },
		Resume:  func() error { return f.say("resume") },
		Wake:    func() { _ = f.say("wake") },
	}
}

func (f *fake) all() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.said, ", ")
}

// desk is one that runs until the test ends, or stop is called.
func (w *world) desk(client *Client, f *fake) (d *Desk, stop func()) {
	w.Helper()
	return w.named(DefaultName, client, f)
}

// named is a desk of another name.
func (w *world) named(name string, client *Client, f *fake) (d *Desk, stop func()) {
	w.Helper()
	d = &Desk{Client: client, Namespace: w.namespace, Name: name, Orders: f.orders(), Every: 200 * time.Millisecond, Log: w.log()}
	if err := d.Open(w.Context()); err != nil {
		w.Fatal(err)
	}
	var notes map[string]any
	if err := d.ReadNotes(&notes); err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.Error(err)
		}
	})
	w.Cleanup(stop)
	return d, stop
}

const (
	commitA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	commitB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

func at(commit string) status.Status {
	return status.Status{State: status.Synced, Commit: commit, Subject: "add a camera", Cameras: []status.Camera{{Site: "gate", Name: "north", State: "live"}}}
}
