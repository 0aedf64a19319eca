package cluster

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
)

// theirs makes the namespace of the site, as somebody else's.
func (w *world) theirs(labels map[string]string) *unstructured.Unstructured {
	w.Helper()
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace"}}
	u.SetName(w.namespace())
	u.SetLabels(labels)
	made, err := w.namespaces().Create(w.Context(), u, metav1.CreateOptions{FieldManager: "somebody"})
	if err != nil {
		w.Fatal(err)
	}
	return made
}

// inNamespace are the objects in the namespace of the site that no controller
// of Kubernetes has made.
func (w *world) inNamespace() (names []string) {
	w.Helper()
	for _, k := range append(Kinds(), Kind{APIVersion: "v1", Kind: "Event", Resource: "events"}) {
		if k.ClusterWide {
			continue
		}
		list, err := w.admin.Resource(k.resource()).Namespace(w.namespace()).List(w.Context(), metav1.ListOptions{})
		if err != nil {
			w.Fatal(err)
		}
		for _, o := range list.Items {
			if o.GetName() != "kube-root-ca.crt" {
				names = append(names, k.Kind+"/"+o.GetName())
			}
		}
	}
	return names
}

// TestSomebodyElsesNamespace: nothing is put into a namespace that was there
// before, each object says so, and who owns the namespace may hand it over.
func TestSomebodyElsesNamespace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "north")
	before := w.theirs(map[string]string{object.LabelManagedBy: "helm"})
	r := w.compile()
	set := w.sync(r)
	give := "kubectl label namespace " + w.namespace() + " --overwrite app.kubernetes.io/managed-by=camfleet camfleet.dev/fleet=" + w.fleet
	for _, c := range set.Changes {
		if c.Action != engine.Failed || c.Tried != engine.Created || !strings.Contains(c.Reason, give) || !strings.Contains(c.Reason, "managed by helm") {
			t.Errorf("%s", c)
		}
	}
	if len(set.Changes) != len(r.Objects) {
		t.Errorf("%d changes of %d objects", len(set.Changes), len(r.Objects))
	}
	// Whoever does not ask the engine is refused as well, without a request.
	w.traffic.take()
	for _, o := range r.Objects {
		if o.Kind == "Namespace" {
			continue
		}
		err := w.Apply(t.Context(), engine.Step{Action: engine.Created, Want: &o})
		if err == nil || !strings.Contains(err.Error(), give) || !strings.Contains(err.Error(), "no namespace "+w.namespace()) {
			t.Errorf("%s: %v", o.ID, err)
		}
		w.Record(t.Context(), engine.Change{Action: engine.Failed, Tried: engine.Created, ID: o.ID, Reason: "no"})
	}
	if sent := w.traffic.take(); len(sent) > 0 {
		t.Errorf("requests %q", sent)
	}
	w.restart() // tells the rest
	if there := w.inNamespace(); len(there) > 0 {
		t.Errorf("in somebody else's namespace are now %q", there)
	}
	if after, err := w.namespaces().Get(t.Context(), w.namespace(), metav1.GetOptions{}); err != nil || after.GetResourceVersion() != before.GetResourceVersion() {
		t.Errorf("somebody else's namespace was changed (error %v)", err)
	}
	w.hand()
	w.until("it is ours", func() bool { return w.settles(r) })
}

// hand hands the namespace over, as the reason says.
func (w *world) hand() {
	w.Helper()
	patch := []byte(`{"metadata":{"labels":{"app.kubernetes.io/managed-by":"camfleet","camfleet.dev/fleet":"` + w.fleet + `"}}}`)
	if _, err := w.namespaces().Patch(w.Context(), w.namespace(), types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		w.Fatal(err)
	}
}

// settles syncs, and tells whether nothing is left to do.
func (w *world) settles(r *object.Result) bool {
	w.sync(r)
	return len(w.plan(r).Changed().Changes) == 0
}

// TestNamespaceChangesHands: a namespace that was this fleet's, and that
// somebody takes or deletes and makes anew between a plan and its steps, gets
// nothing more.
func TestNamespaceChangesHands(t *testing.T) {
	t.Parallel()
	w := newPendingWorld(t, "north")
	r := w.compile()
	w.mustSync(r)
	pod := w.watched.get(w.id("Pod", "camera-north")).live
	id := object.ID{APIVersion: "v1", Kind: "Namespace", Name: w.namespace()}
	patch := []byte(`{"metadata":{"labels":{"app.kubernetes.io/managed-by":"theirs","camfleet.dev/fleet":null}}}`)
	if _, err := w.namespaces().Patch(t.Context(), id.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	w.until("it is seen", func() bool { return w.watched.get(id) == nil })
	w.traffic.take()
	for _, step := range []engine.Step{
		{Action: engine.Created, Want: wanted(w, w.id("ConfigMap", "camera-north"))},
		{Action: engine.Replaced, Want: wanted(w, pod.ID), Live: &pod},
	} {
		if err := w.Apply(t.Context(), step); err == nil || !strings.Contains(err.Error(), "no namespace "+id.Name) {
			t.Errorf("%s %s: %v", step.Action, step.ID(), err)
		}
	}
	if sent := w.traffic.take(); len(sent) > 0 {
		t.Errorf("requests %q", sent)
	}
	if c := find(w.sync(r), id); c.Action != engine.Failed || !strings.Contains(c.Reason, "put them back: kubectl label namespace") ||
		strings.Contains(c.Reason, "delete") {
		t.Errorf("the namespace: %v", c)
	}
	w.hand()
	w.until("it is ours again", func() bool { return w.settles(r) })
	if w.see("Pod", "camera-north").GetUID() != types.UID(pod.UID) {
		t.Error("the Pod was replaced")
	}
}
