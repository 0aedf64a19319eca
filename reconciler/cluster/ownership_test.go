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

// forge makes an object with this fleet's labels in somebody else's name.
func (w *world) forge(kind, name string, more map[string]any) *unstructured.Unstructured {
	w.Helper()
	id := w.id(kind, name)
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": id.APIVersion, "kind": kind}}
	for k, v := range more {
		u.Object[k] = v
	}
	u.SetName(name)
	u.SetLabels(map[string]string{
		object.LabelManagedBy: object.ManagedBy, object.LabelFleet: w.fleet,
		object.LabelSite: w.site, object.LabelCamera: "north", object.LabelRole: object.RoleCamera,
	})
	made, err := w.api(id).Create(w.Context(), u, metav1.CreateOptions{FieldManager: "somebody"})
	if err != nil {
		w.Fatal(err)
	}
	return made
}

// TestForged: what has our labels and was never applied by us is not deleted,
// and it is said that it is there.
func TestForged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "north")
	r := w.compile()
	w.mustSync(r)
	made := w.forge("ConfigMap", "theirs", map[string]any{"data": map[string]any{"a": "b"}})
	id := w.id("ConfigMap", "theirs")
	w.until("it is seen", func() bool { return w.watched.get(id) != nil })
	w.traffic.take()
	w.settled(r)
	w.sync(r)
	if said := strings.Join(w.Observe().Warnings, "\n"); !strings.Contains(said, "ConfigMap/theirs has the labels of this fleet") {
		t.Errorf("warnings: %s", said)
	}
	forged := w.watched.get(id).live
	if err := w.Apply(t.Context(), engine.Step{Action: engine.Deleted, Live: &forged}); err == nil || !strings.Contains(err.Error(), "never applied") {
		t.Errorf("deleting it: %v", err)
	}
	if sent := w.traffic.take(); len(sent) > 0 {
		t.Errorf("requests %q", sent)
	}
	if after := w.see("ConfigMap", "theirs"); after.GetResourceVersion() != made.GetResourceVersion() {
		t.Error("it was changed")
	}
}

// TestMadeByControllers: what a controller makes, with our labels from its
// template, is that controller's. (The compiler refuses such templates.)
func TestMadeByControllers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "north")
	r := w.compile()
	w.mustSync(r)
	page := w.see("Deployment", "page")
	made := w.forge("ConfigMap", "made", map[string]any{"metadata": map[string]any{"ownerReferences": []any{map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "name": "page", "uid": string(page.GetUID()), "controller": true,
	}}}})
	w.until("it is seen", func() bool { e := w.watched.get(w.id("ConfigMap", "made")); return e != nil && e.foreign() })
	w.settled(r)
	if said := w.Observe().Warnings; len(said) > 0 {
		t.Errorf("warnings %q", said)
	}
	w.sync(r)
	if after := w.see("ConfigMap", "made"); after.GetResourceVersion() != made.GetResourceVersion() {
		t.Error("it was changed")
	}
}

// TestManagersForgotten: a Pod whose managedFields somebody has emptied is taken over again, and stays.
func TestManagersForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "north")
	r := w.compile()
	w.mustSync(r)
	id := w.id("Pod", "camera-north")
	before := w.see(id.Kind, id.Name)
	patch := []byte(`{"metadata":{"managedFields":[{}]}}`)
	if _, err := w.api(id).Patch(t.Context(), id.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	w.until("it is seen", func() bool { return len(w.plan(r).Changed().Changes) > 0 })
	if c := find(w.mustSync(r), id); c.Action != engine.Configured {
		t.Errorf("it is %v", c)
	}
	if after := w.see(id.Kind, id.Name); after.GetUID() != before.GetUID() {
		t.Error("it was replaced")
	}
	w.until("it is told", func() bool { return strings.Contains(strings.Join(w.events(id.Name), " "), "taken over from") })
}

// TestStolenLabel: an object whose fleet label somebody changes is not seen any
// more, and not taken by force: it is said what to do.
func TestStolenLabel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "north")
	r := w.compile()
	w.mustSync(r)
	id := w.id("ConfigMap", "page")
	label := func(fleet string) {
		patch := []byte(`{"metadata":{"labels":{"camfleet.dev/fleet":"` + fleet + `"}}}`)
		if _, err := w.api(id).Patch(t.Context(), id.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "thief"}); err != nil {
			t.Fatal(err)
		}
	}
	label("another")
	w.until("it is gone", func() bool { return w.watched.get(id) == nil })
	before := w.see(id.Kind, id.Name).GetResourceVersion()
	if c := find(w.sync(r), id); c.Action != engine.Failed || !strings.Contains(c.Reason, "changed its label") || !strings.Contains(c.Reason, "another") {
		t.Errorf("stolen: %v", c)
	}
	if w.see(id.Kind, id.Name).GetResourceVersion() != before {
		t.Error("it was written")
	}
	label(w.fleet)
	w.until("all is well again", func() bool { return w.watched.get(id) != nil })
	w.mustSync(r)
}

// TestTwoFleetsOneName: two fleets with a site of the same name do not take
// anything from each other.
func TestTwoFleetsOneName(t *testing.T) {
	t.Parallel()
	a, b := newWorld(t, "north"), newWorld(t, "north")
	delete(b.files, "sites/"+b.site+"/north.cue")
	delete(b.files, "sites/"+b.site+"/site.cue")
	b.site = a.site
	b.camera("north", `url: "rtsp://10.0.0.2/north"`)
	b.write("site", `site: schema.#Site & {cluster: "home", timeZone: "Europe/Berlin", storage: {size: "30Ti", accessMode: "ReadWriteMany"}}`)
	ra, rb := a.compile(), b.compile()
	a.mustSync(ra)
	before := a.see("Pod", "camera-north")
	other := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace"}}
	other.SetName("other-" + b.site) // or the two would be one fleet with another uid
	other.SetLabels(map[string]string{object.LabelManagedBy: object.ManagedBy, object.LabelFleet: b.fleet, object.LabelSite: "other"})
	if _, err := b.namespaces().Create(t.Context(), other, metav1.CreateOptions{FieldManager: manager}); err != nil {
		t.Fatal(err)
	}
	set := b.sync(rb)
	if c := find(set, b.id("Pod", "camera-north")); c.Action != engine.Failed {
		t.Errorf("the Pod: %v", c)
	}
	namespace := object.ID{APIVersion: "v1", Kind: "Namespace", Name: a.namespace()}
	if c := find(set, namespace); c.Action != engine.Failed || !strings.Contains(c.Reason, "of the fleet with the uid "+a.fleet) || strings.Contains(c.Reason, "delete") {
		t.Errorf("the namespace: %v", c)
	}
	b.Observe()
	if after := a.see("Pod", "camera-north"); after.GetUID() != before.GetUID() || after.GetAnnotations()[object.AnnotationHash] != before.GetAnnotations()[object.AnnotationHash] {
		t.Error("the other fleet's Pod was touched")
	}
	a.settled(ra)
	// Nothing in Git any more: the second fleet still deletes nothing of the first.
	delete(b.files, "sites/"+b.site+"/north.cue")
	b.sync(b.compile())
	a.settled(ra)
}

// TestAnotherUID: a fleet whose uid somebody has changed says so, instead of
// asking for other names, and touches nothing of what it had.
func TestAnotherUID(t *testing.T) {
	t.Parallel()
	w := newPendingWorld(t, "north")
	r := w.compile()
	w.mustSync(r)
	was, before := w.fleet, w.see("Pod", "camera-north").GetUID()
	uid := func(to string) {
		w.fleet = to
		w.files["fleet.cue"] = file(`package fleet`, `fleet: schema.#Fleet & {name: "test", uid: "`+to+`"}`)
		r = w.compile()
	}
	uid("uid-new-" + w.site)
	set := w.sync(r)
	c := find(set, object.ID{APIVersion: "v1", Kind: "Namespace", Name: w.namespace()})
	if want := "the uid in fleet.cue (" + w.fleet + ") is not the one that this namespace has (" + was + "): put it back"; c.Action != engine.Failed ||
		!strings.Contains(c.Reason, want) || strings.Contains(c.Reason, "rename") {
		t.Errorf("the namespace: %v", c)
	}
	uid(was)
	w.settled(r)
	if w.see("Pod", "camera-north").GetUID() != before {
		t.Error("it is another Pod")
	}
}
