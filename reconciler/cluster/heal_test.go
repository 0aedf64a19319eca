package cluster

import (
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"camfleet.dev/reconciler/engine"
)

// woken makes the cluster under test say when something has changed, and
// returns what waits for that.
func (w *world) woken() func() {
	bell := make(chan struct{}, 1)
	w.Changed = func() {
		select {
		case bell <- struct{}{}:
		default:
		}
	}
	return func() {
		w.Helper()
		select {
		case <-bell:
		case <-time.After(30 * time.Second):
			w.Fatal("nobody was woken")
		}
	}
}

// TestHealDeleted: a camera Pod that somebody deletes is back within a second after it is gone.
func TestHealDeleted(t *testing.T) {
	t.Parallel()
	w := newPendingWorld(t, "north")
	wait := w.woken()
	r := w.compile()
	w.mustSync(r)
	id := w.id("Pod", "camera-north")
	before := w.see(id.Kind, id.Name).GetUID()
	if err := w.api(id).Delete(t.Context(), id.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for w.watched.get(id) == nil || w.watched.get(id).UID == before {
		wait()
		w.sync(r)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %v", took)
	}
	w.settled(r)
}

// TestHealFailed: a Pod that was evicted, or has ended, is made anew.
func TestHealFailed(t *testing.T) {
	t.Parallel()
	w := newPendingWorld(t, "north")
	wait := w.woken()
	r := w.compile()
	w.mustSync(r)
	id := w.id("Pod", "camera-north")
	for _, phase := range []string{"Failed", "Succeeded"} {
		before := w.see(id.Kind, id.Name).GetUID()
		w.status(id.Name, func(s map[string]any) { s["phase"], s["reason"], s["message"] = phase, "Evicted", "low on memory" })
		for w.watched.get(id) == nil || w.watched.get(id).UID == before {
			wait()
			if c := find(w.sync(r), id); c.Action == engine.Replaced && !strings.Contains(c.Reason, "low on memory") {
				t.Errorf("%s: %v", phase, c)
			}
		}
		w.settled(r)
	}
}

// TestOwnerIsPutBack: a Pod without its owner would outlive its configuration.
func TestOwnerIsPutBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "north")
	r := w.compile()
	w.mustSync(r)
	id := w.id("Pod", "camera-north")
	before := w.see(id.Kind, id.Name)
	patch := []byte(`{"metadata":{"ownerReferences":null}}`)
	if _, err := w.api(id).Patch(t.Context(), id.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "kubectl-edit"}); err != nil {
		t.Fatal(err)
	}
	w.until("it is seen", func() bool { return len(w.plan(r).Changed().Changes) > 0 })
	set := w.mustSync(r)
	if c := find(set, id); c.Action != engine.Configured || !strings.Contains(c.Reason, "ownerReferences") {
		t.Errorf("planned %v", c)
	}
	after := w.see(id.Kind, id.Name)
	if after.GetUID() != before.GetUID() || len(after.GetOwnerReferences()) != 1 {
		t.Errorf("owners %v", after.GetOwnerReferences())
	}
}

// TestConfigMapMadeAnew: when somebody deletes a camera's ConfigMap, the garbage
// collector takes the Pod, too, before anybody could give it a new owner: both
// are made anew. One that was taken from its owner before, which is what
// --cascade=orphan does, goes on, and belongs to the new one.
func TestConfigMapMadeAnew(t *testing.T) {
	t.Parallel()
	for name, keeps := range map[string]bool{"with its Pod": false, "orphaned": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newPendingWorld(t, "north")
			r := w.compile()
			w.mustSync(r)
			id := w.id("ConfigMap", "camera-north")
			before := w.see("Pod", id.Name).GetUID()
			if keeps { // not by the garbage collector, which may not know so new a Pod yet
				patch := []byte(`{"metadata":{"ownerReferences":null}}`)
				if _, err := w.api(w.id("Pod", id.Name)).Patch(t.Context(), id.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.api(id).Delete(t.Context(), id.Name, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			w.until("it is seen", func() bool {
				pod := w.watched.get(w.id("Pod", id.Name))
				return w.watched.get(id) == nil && (!keeps || pod != nil && pod.owner == "")
			})
			var last engine.ChangeSet
			t.Cleanup(func() { t.Logf("the last changes:\n%s", last) })
			w.until("all is as it should be", func() bool {
				last = w.sync(r)
				return last.Counts()[engine.Failed] == 0 && len(w.plan(r).Changed().Changes) == 0 && w.exists(id.Kind, id.Name) && w.exists("Pod", id.Name) &&
					w.owned(id.Name)
			})
			if kept := w.see("Pod", id.Name).GetUID() == before; keeps && !kept {
				t.Error("the Pod was replaced")
			} else if !keeps {
				t.Logf("the Pod is the same one: %t", kept) // who is quicker is not for us to say
			}
		})
	}
}

// owned tells whether a camera's Pod belongs to the ConfigMap that is there.
func (w *world) owned(name string) bool {
	w.Helper()
	owners := w.see("Pod", name).GetOwnerReferences()
	return len(owners) == 1 && owners[0].UID == w.see("ConfigMap", name).GetUID()
}

// TestNamespaceIsEnding: while somebody deletes a site's namespace, nothing is
// asked for in it; when it is gone, all is made anew.
func TestNamespaceIsEnding(t *testing.T) {
	t.Parallel()
	w := newPendingWorld(t, "north")
	r := w.compile()
	w.mustSync(r)
	w.traffic.take()
	pod, config := w.id("Pod", "camera-north"), w.id("ConfigMap", "page")
	// Pods go first; what is held here is among the rest.
	hold := func(finalizers string) {
		patch := []byte(`{"metadata":{"finalizers":` + finalizers + `}}`)
		if _, err := w.api(config).Patch(t.Context(), config.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	hold(`["example.com/held"]`)
	namespaces := w.admin.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"})
	if err := namespaces.Delete(t.Context(), w.namespace(), metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.until("it is ending", func() bool {
		set := w.sync(r)
		c := find(set, w.id("Service", "page"))
		return c.Action == engine.Failed && strings.Contains(c.Reason, "somebody is deleting its namespace")
	})
	w.traffic.take()
	w.sync(r)
	if sent := w.traffic.take(); len(sent) > 0 {
		t.Errorf("requests %q", sent)
	}
	hold(`null`)
	w.until("it is there again", func() bool { return len(w.sync(r).Changes) == 0 && w.exists("Pod", pod.Name) })
	w.settled(r)
}

// node makes a node that no kubelet, and no kwok, looks after.
func (w *world) node(name, ready string) {
	w.Helper()
	nodes := w.admin.Resource(schema.GroupVersionResource{Version: "v1", Resource: "nodes"})
	n := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Node", "metadata": map[string]any{"name": name},
		"spec": map[string]any{"taints": []any{map[string]any{"key": "example.com/none", "effect": "NoSchedule"}}},
	}}
	if _, err := nodes.Create(w.Context(), n, metav1.CreateOptions{}); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		_ = nodes.Delete(w.Context(), name, metav1.DeleteOptions{}) //nolint:errcheck // the cluster ends anyway
	})
	patch := `{"status":{"conditions":[{"type":"Ready","status":"` + ready + `","reason":"NodeStatusUnknown",` +
		`"message":"Kubelet stopped posting node status.","lastTransitionTime":"2026-01-01T00:00:00Z","lastHeartbeatTime":"2026-01-01T00:00:00Z"}]}}`
	if _, err := nodes.Patch(w.Context(), name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}, "status"); err != nil {
		w.Fatal(err)
	}
}

// bind puts a Pod on a node, past the scheduler.
func (w *world) bind(pod, node string) {
	w.Helper()
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Binding", "metadata": map[string]any{"name": pod, "namespace": w.namespace()},
		"target": map[string]any{"apiVersion": "v1", "kind": "Node", "name": node},
	}}
	if _, err := w.api(w.id("Pod", pod)).Create(w.Context(), u, metav1.CreateOptions{}, "binding"); err != nil {
		w.Fatal(err)
	}
}

// TestNodeIsGone: the Pods of a node that does not answer say since when, and a
// fenced replacement takes one away that no kubelet will ever let go.
func TestNodeIsGone(t *testing.T) {
	t.Parallel()
	w := newPendingWorld(t, "north")
	r := w.compile()
	w.mustSync(r)
	id, node := w.id("Pod", "camera-north"), "gone-"+w.site
	w.node(node, "Unknown")
	w.bind(id.Name, node)
	var pod *engine.Live
	w.until("it is seen", func() bool {
		found, err := w.List(t.Context(), w.fleet)
		if err != nil {
			t.Fatal(err)
		}
		for i := range found {
			if found[i].ID == id {
				pod = &found[i]
			}
		}
		return pod.Pod.Node == node && !pod.Pod.NodeGone.IsZero()
	})
	if got := pod.Pod.NodeGone.UTC(); got.Year() != 2026 || got.Month() != 1 {
		t.Errorf("gone since %v", got)
	}
	if err := w.api(id).Delete(t.Context(), id.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.until("it is ending", func() bool { e := w.watched.get(id); return e != nil && e.DeletionTimestamp != nil })
	w.Patience = 300 * time.Millisecond
	step := engine.Step{Action: engine.Replaced, Want: wanted(w, id), Live: pod}
	if err := w.Apply(t.Context(), step); err == nil || !strings.Contains(err.Error(), "still there") {
		t.Errorf("without fencing: %v", err)
	}
	step.Fenced = true
	if err := w.Apply(t.Context(), step); err != nil {
		t.Errorf("with fencing: %v", err)
	}
	if after := w.see(id.Kind, id.Name); string(after.GetUID()) == pod.UID || after.GetDeletionTimestamp() != nil {
		t.Error("it is still the old one")
	}
	w.settled(r)
}

// TestNodes: readiness and drains wake the loop, heartbeats do not, and a node
// that is deleted is one that is gone.
func TestNodes(t *testing.T) {
	t.Parallel()
	w := newPendingWorld(t, "north")
	var woken atomic.Int64
	w.Changed = func() { woken.Add(1) }
	w.mustSync(w.compile())
	name := "node-" + w.site
	w.node(name, "False")
	of := func() Node {
		for _, n := range w.Nodes() {
			if n.Name == name {
				return n
			}
		}
		return Node{}
	}
	w.until("it is seen", func() bool { return of().Message != "" })
	if n := of(); n.Ready || n.Drained || n.Since.UTC().Month() != 1 {
		t.Errorf("it is %+v", n)
	}
	nodes := w.admin.Resource(schema.GroupVersionResource{Version: "v1", Resource: "nodes"})
	patch := func(text string, sub ...string) {
		t.Helper()
		if _, err := nodes.Patch(t.Context(), name, types.StrategicMergePatchType, []byte(text), metav1.PatchOptions{}, sub...); err != nil {
			t.Fatal(err)
		}
	}
	heartbeat := func(at string) {
		patch(`{"status":{"conditions":[{"type":"Ready","lastHeartbeatTime":"`+at+`"}]}}`, "status")
	}
	version := func() string {
		e, _ := w.watched.nodes.get(place{name: name})
		return e.ResourceVersion
	}
	before, at := woken.Load(), version()
	heartbeat("2026-01-01T00:01:00Z")
	w.until("the heartbeat has come", func() bool { return version() != at })
	quiet := woken.Load() == before
	patch(`{"spec":{"unschedulable":true}}`)
	w.until("the drain is seen", func() bool { return of().Drained })
	w.until("somebody is woken", func() bool { return woken.Load() > before })
	if !quiet && of().Drained {
		t.Log("woken by something else, or by a heartbeat") // other tests' nodes share the cluster
	}
	if err := nodes.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.until("it is gone", func() bool { return of().Name == "" })
	if since := w.watched.nodes.gone(name); time.Since(since) > time.Minute {
		t.Errorf("gone since %v", since)
	}
}

// TestNoRightToNodes: without them, all else works, and it is said.
func TestNoRightToNodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "north")
	w.traffic.refuse = "/api/v1/nodes"
	w.mustSync(w.compile())
	w.until("it is said", func() bool {
		return strings.Contains(strings.Join(w.Observe().Warnings, " "), "nodes cannot be watched")
	})
	if w.Nodes() != nil {
		t.Error("there are nodes")
	}
	w.settled(w.compile())
}

// TestNoRightToAKind: without the right to one kind nothing can be listed, and
// it is said which right is missing, and where it is given.
func TestNoRightToAKind(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "north")
	w.traffic.refuse = "/api/v1/podtemplates"
	w.Sync = 2 * time.Second
	_, err := w.List(t.Context(), w.fleet)
	if err == nil {
		t.Fatal("it was listed")
	}
	for _, want := range []string{"podtemplates", "forbidden", "list and watch", "ClusterRole camfleet-reconciler", "nothing is healed"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("it does not say %q: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "services") {
		t.Errorf("it names more than is missing: %v", err)
	}
	if w.Observe().Known {
		t.Error("it is taken for known")
	}
}

// TestObserve: health is read from caches.
func TestObserve(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "north", "east")
	if o := w.Observe(); o.Pods != nil || w.Nodes() != nil {
		t.Errorf("before anything was listed: %+v", o)
	}
	w.mustSync(w.compile())
	w.until("all runs", func() bool {
		o := w.Observe()
		return len(o.Pods) == 2 && o.Pods[0].Ready && o.Pods[1].Ready && len(o.Deployments) == 1 && o.Deployments[0].Available == 1 &&
			len(o.Claims) == 1 && o.Claims[0].Phase == "Bound"
	})
	w.traffic.take()
	o := w.Observe()
	if p := o.Pods[0]; p.Camera != "east" || p.Node == "" || p.Since.IsZero() || p.Created.IsZero() || p.Phase != "Running" || p.Site != w.site {
		t.Errorf("Pod: %+v", p)
	}
	if len(o.CronJobs) != 2 || o.CronJobs[1].Camera != "north" || o.CronJobs[1].TimeZone != "Europe/Berlin" || o.CronJobs[1].Schedule == "" {
		t.Errorf("CronJobs: %+v", o.CronJobs)
	}
	if c := o.Claims[0]; c.Wanted != "30Ti" || c.Capacity == "" {
		t.Errorf("claim: %+v", c)
	}
	if len(o.Nodes) < 2 || !o.Nodes[0].Ready && !o.Nodes[1].Ready || len(o.Warnings) > 0 {
		t.Errorf("nodes %+v, warnings %q", o.Nodes, o.Warnings)
	}
	if sent := w.traffic.take(); len(sent) > 0 {
		t.Errorf("requests %q", sent)
	}
	if _, err := json.Marshal(o); err != nil {
		t.Error(err)
	}
}
