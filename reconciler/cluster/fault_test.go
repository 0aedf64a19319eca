package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
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
}

func faults() []fault {
	pods := schema.GroupResource{Resource: "pods"}
	return []fault{
		{name: "lost request", err: errors.New("read: connection reset by peer")},
		{name: "lost answer", send: true, err: io.ErrUnexpectedEOF},
		{name: "500", code: apierrors.NewInternalError(errors.New("injected"))},
		{name: "500 after it was done", send: true, code: apierrors.NewInternalError(errors.New("injected"))},
		{name: "429", code: apierrors.NewTooManyRequestsError("injected")},
		{name: "409", code: apierrors.NewConflict(pods, "x", errors.New("injected"))},
		{name: "422", code: apierrors.NewInvalid(schema.GroupKind{Kind: "Pod"}, "x", nil)},
		{name: "403", code: apierrors.NewForbidden(pods, "x", errors.New("injected"))},
	}
}

func (f fault) answer() *http.Response {
	if f.code == nil {
		return nil
	}
	body, _ := json.Marshal(f.code.ErrStatus)
	return &http.Response{
		StatusCode: int(f.code.ErrStatus.Code), Header: http.Header{"Content-Type": {"application/json"}},
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
		for n := range 4 { // configuration, rehearsal, deletion, creation
			changes++
			w.camera("north", fmt.Sprintf(`url: "rtsp://10.0.0.1/%d"`, changes))
			r := w.compile()
			w.hit(f, n)
			set := w.sync(r)
			sent := w.traffic.take()
			w.hit(fault{}, -1)
			if n == 1 && set.Counts()[engine.Failed] > 0 && strings.Contains(strings.Join(sent, " "), http.MethodDelete) {
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
	if c := find(w.sync(r), id); c.Action != engine.Failed || !strings.Contains(c.Reason, "finalizer") {
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
