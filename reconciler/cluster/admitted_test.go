package cluster

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
)

// The changes that admission makes of Pods here, as clusters have them.
const (
	fromMirror = `[JSONPatch{op: "replace", path: "/spec/containers/0/image", value: "mirror.example/" + object.spec.containers[0].image}]`
	tolerating = `[JSONPatch{op: "add", path: "/spec/tolerations/-", value: Object.spec.tolerations{key: "example.com/edge", operator: "Exists", effect: "NoSchedule"}}]`
)

// admission has the API server change each new Pod of the site, which must be
// there, and waits until it does.
func (w *world) admission(patch string) {
	w.Helper()
	name := "change-" + w.site
	resource := func(name string) schema.GroupVersionResource {
		return schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: name}
	}
	policy := map[string]any{
		"failurePolicy": "Fail", "reinvocationPolicy": "Never",
		"matchConstraints": map[string]any{
			"namespaceSelector": map[string]any{"matchLabels": map[string]any{object.LabelFleet: w.fleet}},
			"resourceRules": []any{map[string]any{
				"apiGroups": []any{""}, "apiVersions": []any{"v1"}, "operations": []any{"CREATE"}, "resources": []any{"pods"},
			}},
		},
		"mutations": []any{map[string]any{"patchType": "JSONPatch", "jsonPatch": map[string]any{"expression": patch}}},
	}
	for _, o := range []struct {
		kind, resource string
		spec           map[string]any
	}{
		{"MutatingAdmissionPolicy", "mutatingadmissionpolicies", policy},
		{"MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings", map[string]any{"policyName": name}},
	} {
		u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "admissionregistration.k8s.io/v1", "kind": o.kind, "spec": o.spec}}
		u.SetName(name)
		if _, err := w.admin.Resource(resource(o.resource)).Create(w.Context(), u, metav1.CreateOptions{}); err != nil {
			w.Fatal(err)
		}
		w.Cleanup(func() {
			_ = w.admin.Resource(resource(o.resource)).Delete(w.Context(), name, metav1.DeleteOptions{}) //nolint:errcheck // the cluster ends anyway
		})
	}
	probe := &unstructured.Unstructured{}
	if err := probe.UnmarshalJSON(wanted(w, w.id("Pod", "camera-north")).Body); err != nil {
		w.Fatal(err)
	}
	probe.SetName("probe")
	w.until("admission changes Pods", func() bool {
		made, err := w.api(w.id("Pod", "probe")).Create(w.Context(), probe, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err != nil {
			return false
		}
		was, _ := json.Marshal(probe.Object["spec"].(map[string]any)["tolerations"])
		is, _ := json.Marshal(made.Object["spec"].(map[string]any)["tolerations"])
		return strings.HasPrefix(imageOf(made), "mirror.example/") || string(was) != string(is)
	})
}

func imageOf(pod *unstructured.Unstructured) string {
	containers, _, _ := unstructured.NestedSlice(pod.Object, "spec", "containers")
	image, _ := containers[0].(map[string]any)["image"].(string)
	return image
}

// admitted is a world whose Pods are changed as they are made, all applied.
func admitted(t *testing.T, patch string) (*world, *object.Result) {
	t.Helper()
	w := newPendingWorld(t, "north")
	r := w.compile()
	cameras := r.Objects
	r.Objects = slices.DeleteFunc(slices.Clone(cameras), func(o object.Object) bool { return o.Kind == "Pod" })
	w.mustSync(r)
	w.admission(patch)
	r.Objects = cameras
	w.mustSync(r)
	return w, r
}

// nothingToDo says that a new process finds nothing to do, and asks for nothing.
func (w *world) nothingToDo(r *object.Result) {
	w.Helper()
	w.restart()
	w.settled(r)
	w.traffic.take()
	w.mustSync(r)
	if sent := w.traffic.take(); len(sent) > 0 {
		w.Errorf("requests %q", sent)
	}
}

// TestImageFromMirror: an image that admission has put in place of ours stays,
// for a new process, too. What a person makes of it is put back.
func TestImageFromMirror(t *testing.T) {
	t.Parallel()
	w, r := admitted(t, fromMirror)
	id := w.id("Pod", "camera-north")
	before := w.see(id.Kind, id.Name)
	if got := imageOf(before); got != "mirror.example/camfleet:1" {
		t.Fatalf("admission did not change it: %s", got)
	}
	w.nothingToDo(r)
	// One without the note, as a crash may leave it, is looked at once, and stays as it is.
	patch := []byte(`{"metadata":{"annotations":{"` + annotationAdmitted + `":null}}}`)
	if _, err := w.api(id).Patch(t.Context(), id.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	w.restart()
	w.mustSync(r)
	// So does one of which something else changes.
	w.files["sites/"+w.site+"/kustomization.yaml"] = text("labels: [{pairs: {example.com/a: b}}]")
	r = w.compile()
	w.mustSync(r)
	w.nothingToDo(r)
	after := w.see(id.Kind, id.Name)
	if after.GetUID() != before.GetUID() || imageOf(after) != imageOf(before) || after.GetLabels()["example.com/a"] != "b" {
		t.Errorf("it has %s and %v", imageOf(after), after.GetLabels())
	}
	// And one whose hash somebody has changed.
	patch = []byte(`{"metadata":{"annotations":{"` + object.AnnotationHash + `":"x"}}}`)
	if _, err := w.api(id).Patch(t.Context(), id.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "kubectl-edit"}); err != nil {
		t.Fatal(err)
	}
	w.restart()
	w.mustSync(r)
	if after = w.see(id.Kind, id.Name); after.GetUID() != before.GetUID() || imageOf(after) != imageOf(before) {
		t.Errorf("after its hash was changed, it has %s; another Pod: %t", imageOf(after), after.GetUID() != before.GetUID())
	}
	patch = []byte(`{"spec":{"containers":[{"name":"rtsp2hls","image":"theirs:1"}]}}`)
	if _, err := w.api(id).Patch(t.Context(), id.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{FieldManager: "kubectl-set"}); err != nil {
		t.Fatal(err)
	}
	w.restart()
	if c := find(w.mustSync(r), id); c.Action != engine.Configured || !strings.Contains(c.Reason, "image") {
		t.Errorf("kubectl set image: %v", c)
	}
	if got := imageOf(w.see(id.Kind, id.Name)); got != "camfleet:1" {
		t.Errorf("it has %s", got)
	}
	w.until("it is told", func() bool {
		return strings.Contains(strings.Join(w.events(id.Name), "\n"), `kubectl-set had changed spec.containers[name="rtsp2hls"].image`)
	})
	w.nothingToDo(r)
}

// TestMirrorAndTakeover: a Pod that kubectl has applied, and admission has
// changed, is taken over as it runs.
func TestMirrorAndTakeover(t *testing.T) {
	t.Parallel()
	w := newPendingWorld(t, "north")
	r := w.compile()
	w.theirs(map[string]string{object.LabelManagedBy: object.ManagedBy, object.LabelFleet: w.fleet})
	w.admission(fromMirror)
	kubectl(t, shared.Get(t), r)
	before := w.see("Pod", "camera-north")
	w.mustSync(r)
	after := w.see("Pod", "camera-north")
	if imageOf(after) != "mirror.example/camfleet:1" || after.GetUID() != before.GetUID() || len(after.GetOwnerReferences()) != 1 {
		t.Errorf("it has %s, owners %v", imageOf(after), after.GetOwnerReferences())
	}
	w.nothingToDo(r)
}

// TestTolerationsStay: an API server lets no toleration of a Pod be taken away,
// whoever has added it: then it stays, and the Pod is configured all the same.
func TestTolerationsStay(t *testing.T) {
	t.Parallel()
	w, r := admitted(t, tolerating)
	id := w.id("Pod", "camera-north")
	uid := w.see(id.Kind, id.Name).GetUID()
	w.nothingToDo(r)
	w.files["sites/"+w.site+"/kustomization.yaml"] = text("labels: [{pairs: {example.com/a: b}}]")
	r = w.compile()
	w.restart()
	w.mustSync(r)
	w.nothingToDo(r)
	all, _, _ := unstructured.NestedSlice(w.see(id.Kind, id.Name).Object, "spec", "tolerations")
	more, err := json.Marshal(append(all, map[string]any{"key": "example.com/more", "operator": "Exists"}))
	if err != nil {
		t.Fatal(err)
	}
	patch := []byte(`{"spec":{"tolerations":` + string(more) + `}}`)
	if _, err := w.api(id).Patch(t.Context(), id.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "kubectl-edit"}); err != nil {
		t.Fatal(err)
	}
	w.until("it is seen", func() bool { return len(w.plan(r).Changed().Changes) > 0 })
	w.mustSync(r)
	w.nothingToDo(r)
	pod := w.see(id.Kind, id.Name)
	if now, _, _ := unstructured.NestedSlice(pod.Object, "spec", "tolerations"); len(now) != len(all)+1 || pod.GetUID() != uid || pod.GetLabels()["example.com/a"] != "b" {
		t.Errorf("tolerations %v, labels %v", now, pod.GetLabels())
	}
}

// TestManagersForgottenOfAdmitted: without managed fields nobody knows who has
// added what: it stays all the same.
func TestManagersForgottenOfAdmitted(t *testing.T) {
	t.Parallel()
	w, r := admitted(t, tolerating)
	id := w.id("Pod", "camera-north")
	uid := w.see(id.Kind, id.Name).GetUID()
	patch := []byte(`{"metadata":{"managedFields":[{}]}}`)
	if _, err := w.api(id).Patch(t.Context(), id.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	w.until("it is seen", func() bool { return len(w.plan(r).Changed().Changes) > 0 })
	w.mustSync(r)
	if w.see(id.Kind, id.Name).GetUID() != uid {
		t.Error("it is another Pod")
	}
	w.nothingToDo(r)
}
