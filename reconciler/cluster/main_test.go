package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"camfleet.dev/compiler"
	"camfleet.dev/compiler/object"
	"camfleet.dev/hack/cptest"
	"camfleet.dev/hack/manifests"
	"camfleet.dev/reconciler/engine"
)

// shared is the API server of all tests here; each has a fleet of its own in it.
var shared = cptest.Shared{Options: cptest.Options{Nodes: 2}}

func TestMain(m *testing.M) { os.Exit(shared.Main(m)) }

// account is a token of the reconciler's ServiceAccount, made once: what these
// tests do, they do with its rights and no others.
var account struct {
	once  sync.Once
	token string
}

func token(t *testing.T, cp *cptest.Cluster) string {
	t.Helper()
	account.once.Do(func() { account.token = manifests.Token(t, cp) })
	if account.token == "" {
		t.Fatal("there is no token of the ServiceAccount")
	}
	return account.token
}

// world is a fleet with one site in a real cluster.
type world struct {
	*testing.T
	Cluster
	fleet, site string
	pending     bool // cameras are pinned to an edge that is not there
	files       fstest.MapFS
	traffic     *traffic
	admin       dynamic.Interface // another client than the one under test
}

// traffic counts requests, and interferes with them.
type traffic struct {
	mu       sync.Mutex
	requests []string // "GET /api/v1/pods", watches and first lists left out
	// fault, if set, is asked for each request, which is sent when it says so;
	// the answer, if it has one, is the client's.
	fault func(n int, r *http.Request) (send bool, answer *http.Response, err error)
	next  http.RoundTripper
	// refuse is a path that is forbidden: set before the first use.
	refuse  string
	cut     chan struct{} // closing it ends all watches
	expire  int           // so many watches are told that they are too old
	gone    atomic.Bool   // no connection
	refused atomic.Int64
	hang    atomic.Bool // writes of Events are not answered
}

func (c *traffic) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.refuse != "" && r.URL.Path == c.refuse {
		return fault{code: apierrors.NewForbidden(schema.GroupResource{Resource: "nodes"}, "", errors.New("injected"))}.answer(), nil
	}
	if c.gone.Load() {
		c.refused.Add(1)
		return nil, syscall.ECONNREFUSED
	}
	if c.hang.Load() && strings.HasSuffix(r.URL.Path, "/events") {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	if strings.Contains(r.URL.RawQuery, "watch=true") {
		return c.watch(r)
	}
	// What lists whole kinds is the beginning of a watch.
	if q := r.URL.RawQuery; r.Method == http.MethodGet && (strings.Contains(q, "labelSelector=") || strings.Contains(q, "watch=true") || strings.HasSuffix(r.URL.Path, "/nodes")) {
		return c.next.RoundTrip(r)
	}
	c.mu.Lock()
	n, fault := len(c.requests), c.fault
	c.requests = append(c.requests, r.Method+" "+r.URL.Path)
	c.mu.Unlock()
	if fault == nil {
		return c.next.RoundTrip(r)
	}
	send, answer, err := fault(n, r)
	if send {
		sent, sentErr := c.next.RoundTrip(r)
		if answer == nil && err == nil {
			return sent, sentErr
		}
		if sentErr == nil {
			sent.Body.Close()
		}
	} else if r.Body != nil {
		r.Body.Close()
	}
	return answer, err
}

// watch passes the request of a watch on. Once it was cut, it is answered that
// what the client knows is too old to go on with.
func (c *traffic) watch(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	cut := c.cut
	expired := c.expire > 0 && r.URL.Query().Get("resourceVersion") != ""
	if expired {
		c.expire--
	}
	c.mu.Unlock()
	if expired {
		return fault{code: apierrors.NewResourceExpired("injected")}.answer(), nil
	}
	sent, err := c.next.RoundTrip(r)
	if err == nil && cut != nil {
		go func() {
			select {
			case <-cut:
				sent.Body.Close()
			case <-r.Context().Done():
			}
		}()
	}
	return sent, err
}

// take returns the requests since the last take.
func (c *traffic) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.requests
	c.requests = nil
	return out
}

// newWorld has a site with these cameras, not applied yet.
func newWorld(t *testing.T, cameras ...string) *world {
	t.Helper()
	cp := shared.Get(t)
	return newWorldOn(t, cp, token(t, cp), cameras...)
}

// newWorldOn is newWorld on another control plane.
func newWorldOn(t *testing.T, cp *cptest.Cluster, token string, cameras ...string) *world {
	t.Helper()
	id := strings.ToLower(rand.Text()[:10])
	w := &world{T: t, fleet: "uid-" + id, site: "s" + id, traffic: &traffic{}}
	w.files = fstest.MapFS{
		"cue.mod/module.cue": {Data: []byte("module: \"example.com/fleet@v0\"\nlanguage: version: \"v0.17.0\"\n")},
		"fleet.cue":          file(`package fleet`, `fleet: schema.#Fleet & {name: "test", uid: "`+w.fleet+`"}`),
		"clusters/home.cue":  file(`package clusters`, `clusters: schema.#Clusters & {home: images: {camfleet: "camfleet:1", nginx: "nginx:1"}}`),
	}
	for _, c := range cameras {
		w.camera(c, `url: "rtsp://10.0.0.1/`+c+`"`)
	}
	w.write("site", `site: schema.#Site & {cluster: "home", timeZone: "Europe/Berlin", storage: {size: "30Ti", accessMode: "ReadWriteMany"}}`)
	config := &rest.Config{Host: cp.Host, BearerToken: cp.AdminToken, TLSClientConfig: rest.TLSClientConfig{CAData: cp.CA}}
	var err error
	if w.admin, err = Client(config); err != nil {
		t.Fatal(err)
	}
	config.BearerToken = token
	config.WrapTransport = func(next http.RoundTripper) http.RoundTripper {
		w.traffic.next = next
		return w.traffic
	}
	if w.Cluster.Client, err = Client(config); err != nil {
		t.Fatal(err)
	}
	w.Cluster.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	t.Cleanup(w.Close)
	return w
}

func file(pkg, body string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte(pkg + "\n\nimport \"camfleet.dev/schema\"\n\n" + body + "\n")}
}

func (w *world) write(name, body string) {
	w.files["sites/"+w.site+"/"+name+".cue"] = file("package site", body)
}

func (w *world) camera(name, body string) {
	if w.pending {
		body += `, edge: "nowhere"`
	}
	w.write(name, `site: schema.#Site & {cameras: `+name+`: {`+body+`}}`)
}

// newPendingWorld has cameras that wait for an edge that is not there. Tests
// that replace Pods need it: kwok v0.8.0 ends a Pod by deleting it by name,
// without its UID, sometimes twice, and the second time hits the new Pod of
// that name (seen in the audit log). A kubelet never does that.
func newPendingWorld(t *testing.T, cameras ...string) *world {
	t.Helper()
	w := newWorld(t)
	w.pend(cameras...)
	return w
}

func (w *world) pend(cameras ...string) {
	w.pending = true
	w.write("edges", `site: schema.#Site & {edges: nowhere: {arch: "arm64", capacity: {cpu: "4", memory: "4Gi"}}}`)
	for _, c := range cameras {
		w.camera(c, `url: "rtsp://10.0.0.1/`+c+`"`)
	}
}

func (w *world) compile() *object.Result {
	w.Helper()
	r, err := compiler.Compile(w.Context(), w.files, compiler.Options{})
	if err != nil {
		w.Fatal(err)
	}
	for _, p := range r.Problems {
		w.Errorf("the test's fleet has a problem: %v", p)
	}
	return r
}

func (w *world) plan(r *object.Result) engine.ChangeSet {
	w.Helper()
	found, err := w.List(w.Context(), w.fleet)
	if err != nil {
		w.Fatal(err)
	}
	return engine.Plan(r, found, engine.Options{Commit: "c0ffee"})
}

// sync makes the cluster equal to r, and returns what it did.
func (w *world) sync(r *object.Result) engine.ChangeSet {
	w.Helper()
	return engine.Applier{Cluster: w, Parallel: 4}.Apply(w.Context(), w.plan(r)).Changed()
}

// mustSync is sync, of which nothing may fail, and after which nothing is left to do.
func (w *world) mustSync(r *object.Result) engine.ChangeSet {
	w.Helper()
	set := w.sync(r)
	if n := set.Counts()[engine.Failed]; n > 0 {
		w.Fatalf("%d failed:\n%s", n, set)
	}
	w.settled(r)
	return set
}

func (w *world) settled(r *object.Result) {
	w.Helper()
	if left := w.plan(r).Changed(); len(left.Changes) > 0 {
		w.Errorf("there is something left to do:\n%s", left)
	}
}

// restart is a new process: nothing is known any more.
func (w *world) restart() {
	w.Close()
	w.closed = false
}

func (w *world) namespace() string { return "camfleet-" + w.site }

func (w *world) id(kind, name string) object.ID {
	for _, k := range Kinds() {
		if k.Kind == kind {
			return object.ID{APIVersion: k.APIVersion, Kind: kind, Namespace: w.namespace(), Name: name}
		}
	}
	w.Fatalf("no kind %s", kind)
	return object.ID{}
}

func (w *world) api(id object.ID) dynamic.ResourceInterface {
	w.Helper()
	k, err := kind(Kinds(), id)
	if err != nil {
		w.Fatal(err)
	}
	return w.admin.Resource(k.resource()).Namespace(id.Namespace)
}

// namespaces are all of them, past the cluster under test.
func (w *world) namespaces() dynamic.ResourceInterface {
	return w.admin.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"})
}

// see reads an object past the cluster under test.
func (w *world) see(kind, name string) *unstructured.Unstructured {
	w.Helper()
	id := w.id(kind, name)
	u, err := w.api(id).Get(w.Context(), id.Name, metav1.GetOptions{})
	if err != nil {
		w.Fatal(err)
	}
	return u
}

func (w *world) exists(kind, name string) bool {
	w.Helper()
	id := w.id(kind, name)
	_, err := w.api(id).Get(w.Context(), id.Name, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		w.Fatal(err)
	}
	return err == nil
}

// events are the messages of the Events of an object.
func (w *world) events(name string) []string {
	w.Helper()
	list, err := w.admin.Resource(schema.GroupVersionResource{Version: "v1", Resource: "events"}).Namespace(w.namespace()).
		List(w.Context(), metav1.ListOptions{FieldSelector: "involvedObject.name=" + name + ",source=" + manager})
	if err != nil {
		w.Fatal(err)
	}
	var out []string
	for _, e := range list.Items {
		out = append(out, e.Object["message"].(string))
	}
	return out
}

// until waits for something that the cluster does by itself.
func (w *world) until(what string, done func() bool) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			w.Fatalf("it took too long until %s", what)
		}
	}
}

func find(set engine.ChangeSet, id object.ID) engine.Change {
	i := slices.IndexFunc(set.Changes, func(c engine.Change) bool { return c.ID == id })
	if i < 0 {
		return engine.Change{Reason: fmt.Sprintf("no change of %s", id)}
	}
	return set.Changes[i]
}

// wanted is the object of that ID in what the fleet compiles to.
func wanted(w *world, id object.ID) *object.Object {
	w.Helper()
	objects := w.compile().Objects
	i := slices.IndexFunc(objects, func(o object.Object) bool { return o.ID == id })
	if i < 0 {
		w.Fatalf("no %s is compiled", id)
	}
	return &objects[i]
}

func text(body string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(body)} }
