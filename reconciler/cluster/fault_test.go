package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"camfleet.dev/reconciler/engine"
)

// fault is what happens to one request.
type fault struct {
	name string
	send bool // the request arrives
	err  error
	code *apierrors.StatusError
	wait string // Retry-After, in seconds
}

func faults() []fault {
	pods := schema.GroupResource{Resource: "pods"}
	return []fault{
		{name: "lost request", err: errors.New("read: connection reset by peer")},
		{name: "lost answer", send: true, err: io.ErrUnexpectedEOF},
		{name: "500", code: apierrors.NewInternalError(errors.New("injected"))},
		{name: "500 after it was done", send: true, code: apierrors.NewInternalError(errors.New("injected"))},
		{name: "503", code: apierrors.NewServiceUnavailable("injected")},
		{name: "504 after it was done", send: true, code: apierrors.NewTimeoutError("injected", 0)},
		{name: "no answer in time", send: true, err: os.ErrDeadlineExceeded},
		{name: "429", code: apierrors.NewTooManyRequestsError("injected")},
		{name: "429 with Retry-After", code: apierrors.NewTooManyRequestsError("injected"), wait: "1"},
		{name: "409", code: apierrors.NewConflict(pods, "x", errors.New("injected"))},
		{name: "422", code: apierrors.NewInvalid(schema.GroupKind{Kind: "Pod"}, "x", nil)},
		{name: "403", code: apierrors.NewForbidden(pods, "x", errors.New("injected"))},
	}
}

func (f fault) answer() *http.Response {
	if f.code == nil {
		return nil
	}
	status := f.code.ErrStatus
	status.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
	body, _ := json.Marshal(status)
	header := http.Header{"Content-Type": {"application/json"}}
	if f.wait != "" {
		header.Set("Retry-After", f.wait)
	}
	return &http.Response{
		StatusCode: int(f.code.ErrStatus.Code), Header: header,
		Body: io.NopCloser(strings.NewReader(string(body))), ContentLength: int64(len(body)),
	}
}

// hit lets the fault happen to the n-th request from now on.
func (w *world) hit(f fault, n int) {
	w.traffic.take()
	w.traffic.mu.Lock()
	defer w.traffic.mu.Unlock()
	w.traffic.fault = func(i int, _ *http.Request) (bool, *http.Response, error) {
		if i != n {
			return true, nil, nil
		}
		return f.send, f.answer(), f.err
	}
}

// uids collects the UIDs of the site's camera Pods, as they appear.
func (w *world) uids() func() int {
	w.Helper()
	var mu sync.Mutex
	seen := map[types.UID]bool{}
	watch, err := w.api(w.id("Pod", "x")).Watch(w.Context(), metav1.ListOptions{})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(watch.Stop)
	go func() {
		for e := range watch.ResultChan() {
			if o, ok := e.Object.(metav1.Object); ok && strings.HasPrefix(o.GetName(), "camera-") {
				mu.Lock()
				seen[o.GetUID()] = true
				mu.Unlock()
			}
		}
	}()
	return func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(seen)
	}
}

// TestEveryRequestFails changes a camera's URL again and again, and lets each
// request of the rollout fail in each way. It always arrives, at the latest
// with the second try, and there is never a second replacement, nor a deletion
// that nobody had rehearsed.
func TestEveryRequestFails(t *testing.T) {
	t.Parallel()
	w := newPendingWorld(t, "north")
	w.mustSync(w.compile())
	uids := w.uids()
	changes := 0
	for _, f := range faults() {
		for n := range 4 { // rehearsal, configuration, deletion, creation
			changes++
			w.camera("north", fmt.Sprintf(`url: "rtsp://10.0.0.1/%d"`, changes))
			r := w.compile()
			w.hit(f, n)
			set := w.sync(r)
			sent := w.traffic.take()
			w.hit(fault{}, -1)
			if n == 0 && set.Counts()[engine.Failed] > 0 && strings.Contains(strings.Join(sent, " "), http.MethodDelete) {
				t.Errorf("%s of the rehearsal, and it deleted: %q", f.name, sent)
			}
			w.until("nothing is left to do", func() bool {
				again := w.sync(r)
				if again.Counts()[engine.Failed] > 0 {
					t.Errorf("%s of request %d, at the second try:\n%s\nafter %q and\n%s", f.name, n, again, sent, set)
				}
				return len(again.Changes) == 0
			})
			w.settled(r)
			if config := w.see("ConfigMap", "camera-north").GetUID(); w.see("Pod", "camera-north").GetOwnerReferences()[0].UID != config {
				t.Errorf("%s of request %d: another owner", f.name, n)
			}
		}
	}
	w.until("all Pods are seen", func() bool { return uids() > changes })
	if got := uids(); got != changes+1 {
		t.Errorf("%d Pods for %d changes", got, changes)
	}
}

// TestEveryRequestOfACameraFails adds a camera and takes it away, again and
// again, and lets each request fail in each way: what is there in the end is
// what Git says, and nothing else.
func TestEveryRequestOfACameraFails(t *testing.T) {
	t.Parallel()
	w := newPendingWorld(t, "north")
	w.mustSync(w.compile())
	const objects = 4 // ConfigMap, NetworkPolicy, CronJob, Pod
	for i, f := range faults() {
		if f.wait != "" {
			continue // it costs a second, and is the same for each kind
		}
		name := fmt.Sprintf("east%d", i)
		for n := i % 2; n < objects; n += 2 {
			w.camera(name, `url: "rtsp://10.0.0.1/east"`)
			r := w.compile()
			w.hit(f, n)
			w.sync(r)
			w.hit(fault{}, -1)
			if set := w.sync(r); set.Counts()[engine.Failed] > 0 {
				t.Errorf("%s of request %d, at the second try:\n%s", f.name, n, set)
			}
			w.settled(r)
			if !w.exists("Pod", "camera-"+name) || w.see("Pod", "camera-"+name).GetOwnerReferences()[0].UID != w.see("ConfigMap", "camera-"+name).GetUID() {
				t.Errorf("%s of request %d: the Pod is not there, or has another owner", f.name, n)
			}
			delete(w.files, "sites/"+w.site+"/"+name+".cue")
			r = w.compile()
			w.hit(f, n)
			w.sync(r)
			w.hit(fault{}, -1)
			w.sync(r)
			w.settled(r)
			for _, left := range []struct{ kind, name string }{
				{"Pod", "camera-"}, {"ConfigMap", "camera-"}, {"CronJob", "days-"}, {"NetworkPolicy", "camera-"},
			} {
				if w.exists(left.kind, left.name+name) {
					t.Errorf("%s of request %d: %s is left over", f.name, n, left.kind)
				}
			}
		}
	}
	if !w.exists("Pod", "camera-north") {
		t.Error("another camera is gone")
	}
}

// TestInterrupted: a newer commit, or the end, interrupts the waiting for a
// Pod's end at once; but who has taken a Pod away makes the new one.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	w := newPendingWorld(t, "north")
	w.mustSync(w.compile())
	id := w.id("Pod", "camera-north")
	w.camera("north", `url: "rtsp://10.0.0.9/north"`)
	r := w.compile()
	ctx, cancel := context.WithCancel(t.Context())
	live := w.watched.get(id).live
	w.traffic.mu.Lock()
	w.traffic.fault = func(_ int, r *http.Request) (bool, *http.Response, error) {
		if r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, "/pods/camera-north") {
			cancel() // the old one is gone
		}
		return true, nil, nil
	}
	w.traffic.mu.Unlock()
	if err := w.Apply(ctx, engine.Step{Action: engine.Replaced, Want: wanted(w, id), Live: &live}); err != nil {
		t.Errorf("interrupted between the old Pod and the new one: %v", err)
	}
	w.hit(fault{}, -1)
	w.mustSync(r)
	if ctx.Err() == nil {
		t.Error("it was not interrupted")
	}
	live = w.watched.get(id).live
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	began := time.Now()
	if err := w.Apply(ctx, engine.Step{Action: engine.Replaced, Want: wanted(w, id), Live: &live}); err == nil || time.Since(began) > 5*time.Second {
		t.Errorf("interrupted before: %v after %v", err, time.Since(began))
	}
	if e := w.watched.get(id); e == nil || string(e.UID) != live.UID || !w.exists("Pod", "camera-north") {
		t.Error("the old one was taken away")
	}
}

// TestNewNamespace: a Pod that comes before its namespace's ServiceAccount waits a moment.
func TestNewNamespace(t *testing.T) {
	t.Parallel()
	w := newPendingWorld(t, "north")
	r := w.compile()
	refused := 0
	none := apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "camera-north",
		errors.New(`error looking up service account a/default: serviceaccount "default" not found`))
	w.traffic.fault = func(_ int, r *http.Request) (bool, *http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "/pods/camera-north") && refused < attempts+1 {
			refused++
			return false, fault{code: none}.answer(), nil
		}
		return true, nil, nil
	}
	w.mustSync(r)
	if refused != attempts+1 {
		t.Errorf("refused %d times", refused)
	}
}

// TestStuckPod: a Pod that does not go fails that step, in time and with a
// reason; and who waits for it stops at once when told to.
func TestStuckPod(t *testing.T) {
	t.Parallel()
	w := newPendingWorld(t, "north")
	w.mustSync(w.compile())
	id := w.id("Pod", "camera-north")
	hold := func(finalizers string) {
		patch := []byte(`{"metadata":{"finalizers":` + finalizers + `}}`)
		if _, err := w.api(id).Patch(t.Context(), id.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	hold(`["example.com/held"]`)
	w.Patience = 300 * time.Millisecond
	w.camera("north", `url: "rtsp://10.0.0.9/north"`)
	r := w.compile()
	if c := find(w.sync(r), id); c.Action != engine.Failed || !strings.Contains(c.Reason, "held by its finalizer example.com/held") {
		t.Errorf("stuck: %v", c)
	}
	w.Patience = time.Hour
	if c := find(w.sync(r), id); c.Action != engine.Waiting {
		t.Errorf("still ending: %v", c)
	}
	live := w.watched.get(id).live
	ended := make(chan error)
	go func() {
		ended <- w.Apply(t.Context(), engine.Step{Action: engine.Replaced, Want: wanted(w, id), Live: &live})
	}()
	w.until("it is asked to go once more", func() bool {
		return strings.Contains(strings.Join(w.traffic.take(), " "), http.MethodDelete)
	})
	hold(`null`)
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("let go: %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it did not notice that the Pod is gone")
	}
	w.settled(r)
}
