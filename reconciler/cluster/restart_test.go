package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"camfleet.dev/hack/cptest"
	"camfleet.dev/hack/manifests"
	"camfleet.dev/reconciler/engine"
)

// TestWatchesExpire: watches that end, and cannot go on from where they were,
// lose nothing that happened meanwhile, and take nothing for gone.
func TestWatchesExpire(t *testing.T) {
	t.Parallel()
	w := newPendingWorld(t, "north", "east")
	w.traffic.cut = make(chan struct{})
	r := w.compile()
	w.mustSync(r)
	w.traffic.mu.Lock()
	w.traffic.expire = 3 * len(Kinds())
	close(w.traffic.cut)
	w.traffic.cut = nil
	w.traffic.mu.Unlock()
	id := w.id("ConfigMap", "camera-north")
	if err := w.api(id).Delete(t.Context(), id.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.until("what happened meanwhile is seen", func() bool {
		set := w.plan(r).Changed()
		for _, c := range set.Changes {
			if c.Camera == "east" || c.Action == engine.Deleted {
				t.Errorf("planned\n%s", set)
			}
		}
		return find(set, id).Action == engine.Created
	})
	w.until("all is as it should be", func() bool { return len(w.sync(r).Changes) == 0 })
}

// TestRestarts kills the API server, and then etcd, in the middle of a rollout:
// each camera is replaced once all the same, and nothing is left over.
func TestRestarts(t *testing.T) { // not parallel: it has a control plane of its own
	cp := cptest.Start(t, cptest.Options{})
	w := newWorldOn(t, cp, manifests.Token(t, cp))
	const cameras = 12
	w.pend()
	urls := func(host string) {
		for i := range cameras {
			w.camera(fmt.Sprintf("c%02d", i), fmt.Sprintf(`url: "rtsp://%s/%d"`, host, i))
		}
	}
	urls("10.0.0.1")
	w.mustSync(w.compile())
	seen := map[string]map[string]bool{} // UIDs of each camera's Pods
	look := func() {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		list, err := w.api(w.id("Pod", "x")).List(ctx, metav1.ListOptions{LabelSelector: selector(w.fleet)})
		if err != nil {
			t.Logf("looking: %v", err)
			return
		}
		for _, p := range list.Items {
			if seen[p.GetName()] == nil {
				seen[p.GetName()] = map[string]bool{}
			}
			seen[p.GetName()][string(p.GetUID())] = true
		}
	}
	look()
	for i, c := range []struct {
		component cptest.Component
		after     int
	}{{cptest.APIServer, 20}, {cptest.Etcd, 7}} {
		urls(fmt.Sprintf("10.0.1.%d", i))
		r := w.compile()
		again := w.killAfter(cp, c.component, c.after)
		set := w.sync(r)
		w.hit(fault{}, -1)
		select {
		case err := <-again:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%s was not killed, or is not back:\n%s", c.component, set)
		}
		look()
		w.until("the rollout is done", func() bool {
			set := w.sync(r)
			look()
			return len(set.Changes) == 0
		})
	}
	for name, uids := range seen { // all of them are there, or the rollouts would not be done
		if len(uids) > 3 && strings.HasPrefix(name, "camera-") {
			t.Errorf("%s: %d Pods for 2 changes", name, len(uids))
		}
	}
}

// killAfter kills a component when so many requests were sent, and starts it
// again, of which it tells.
func (w *world) killAfter(cp *cptest.Cluster, name cptest.Component, requests int) <-chan error {
	w.traffic.take()
	w.traffic.mu.Lock()
	defer w.traffic.mu.Unlock()
	again := make(chan error, 1)
	w.traffic.fault = func(n int, _ *http.Request) (bool, *http.Response, error) {
		if n == requests {
			err := cp.Stop(w.Context(), name, syscall.SIGKILL)
			go func() {
				ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
				defer cancel()
				again <- errors.Join(err, cp.Run(ctx, name))
			}()
		}
		return true, nil, nil
	}
	return again
}

// TestCloseWithoutServer: the end does not wait for an API server that is gone.
func TestCloseWithoutServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "north")
	w.traffic.cut = make(chan struct{})
	w.mustSync(w.compile())
	w.traffic.gone.Store(true)
	close(w.traffic.cut)
	w.until("the watches are tried again", func() bool { return w.traffic.refused.Load() > 20 })
	began := time.Now()
	w.Close()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}
