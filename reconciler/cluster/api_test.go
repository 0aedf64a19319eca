package cluster

import (
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
)

// TestSteadyState: a cluster that is as it should be costs no request, and a
// restarted reconciler finds it so without writing.
func TestSteadyState(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "north", "east")
	r := w.compile()
	w.mustSync(r)
	if got, want := len(w.traffic.take()), len(r.Objects); got != want {
		t.Errorf("%d requests to create %d objects", got, want)
	}
	w.until("the Pods run", func() bool {
		phase := func(name string) any { return w.see("Pod", name).Object["status"].(map[string]any)["phase"] }
		return phase("camera-north") == "Running" && phase("camera-east") == "Running"
	})
	for range 3 {
		w.mustSync(r)
	}
	if got := w.traffic.take(); len(got) > 0 {
		t.Errorf("cycles without a change made requests: %q", got)
	}
	w.restart()
	w.mustSync(r)
	if got := w.traffic.take(); len(got) > 0 {
		t.Errorf("a cycle after a restart made requests: %q", got)
	}
	owner := w.see("Pod", "camera-north").GetOwnerReferences()
	if config := w.see("ConfigMap", "camera-north"); len(owner) != 1 || owner[0].UID != config.GetUID() || owner[0].Controller == nil {
		t.Errorf("the Pod's owners are %v, want its ConfigMap", owner)
	}
}

// TestNameIsTaken: an object of that name that is not ours is not touched.
func TestNameIsTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "north")
	r := w.compile()
	w.mustSync(r)
	w.camera("east", `url: "rtsp://10.0.0.1/east"`)
	id := w.id("ConfigMap", "camera-east")
	theirs := w.see("ConfigMap", "camera-north").DeepCopy()
	theirs.Object["metadata"] = map[string]any{"name": id.Name, "labels": map[string]any{"app.kubernetes.io/managed-by": "helm"}}
	before, err := w.api(id).Create(t.Context(), theirs, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	set := w.sync(w.compile())
	if c := find(set, id); c.Action != engine.Failed || !strings.Contains(c.Reason, "somebody else's object") || !strings.Contains(c.Reason, "helm") {
		t.Errorf("taken: %v", c)
	}
	if c := find(set, w.id("NetworkPolicy", "camera-east")); c.Action != engine.Created {
		t.Errorf("the others: %v", c)
	}
	if c := find(set, w.id("Pod", "camera-east")); c.Action != engine.Failed || !strings.Contains(c.Reason, "its configuration") {
		t.Errorf("the Pod without its configuration: %v", c)
	}
	if after := w.see("ConfigMap", "camera-east"); after.GetResourceVersion() != before.GetResourceVersion() {
		t.Error("somebody else's object was changed")
	}
}

// TestPutBack: a field of ours is put back, and it is said who had changed it;
// what others add beside our fields stays.
func TestPutBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "north")
	r := w.compile()
	w.mustSync(r)
	id := w.id("ConfigMap", "camera-north")
	wanted := w.see(id.Kind, id.Name).Object["data"].(map[string]any)["camera.json"]
	edited := w.see(id.Kind, id.Name)
	edited.Object["data"] = map[string]any{"camera.json": "{}", "theirs": "stays"}
	edited.SetAnnotations(map[string]string{"camfleet.dev/source": "nowhere", "their/note": "stays"})
	if _, err := w.api(id).Update(t.Context(), edited, metav1.UpdateOptions{FieldManager: "kubectl-edit"}); err != nil {
		t.Fatal(err)
	}
	w.until("the change is seen", func() bool { return len(w.plan(r).Changed().Changes) > 0 })
	set := w.mustSync(r)
	if c := find(set, id); len(set.Changes) != 1 || c.Action != engine.Configured || !strings.Contains(c.Reason, "data") {
		t.Errorf("planned\n%s", set)
	}
	after := w.see(id.Kind, id.Name)
	data, notes := after.Object["data"].(map[string]any), after.GetAnnotations()
	if data["camera.json"] != wanted || data["theirs"] != "stays" || notes["their/note"] != "stays" || notes["camfleet.dev/source"] == "nowhere" {
		t.Errorf("it is now %v, %v", data, notes)
	}
	w.until("it is told", func() bool { return len(w.events(id.Name)) > 0 })
	said := w.events(id.Name)
	if len(said) != 1 || !strings.Contains(said[0], "kubectl-edit had changed") || !strings.Contains(said[0], "data.camera.json") {
		t.Errorf("events: %q", said)
	}
}

// TestReplace: another URL replaces the Pod, by one delete and one create after
// a rehearsal; another retention does not.
func TestReplace(t *testing.T) {
	t.Parallel()
	w := newPendingWorld(t, "north", "east")
	w.mustSync(w.compile())
	before, other := w.see("Pod", "camera-north"), w.see("Pod", "camera-east")
	w.camera("north", `url: "rtsp://10.0.0.1/north", recording: retention: age: "3d"`)
	if set := w.mustSync(w.compile()); set.Counts()[engine.Configured] != 1 || len(set.Changes) != 1 {
		t.Errorf("another retention:\n%s", set)
	}
	w.traffic.take()
	w.camera("north", `url: "rtsp://10.0.0.2/north"`)
	set := w.mustSync(w.compile())
	if c := find(set, w.id("Pod", "camera-north")); c.Action != engine.Replaced {
		t.Errorf("another URL:\n%s", set)
	}
	pods := slices.DeleteFunc(w.traffic.take(), func(r string) bool { return !strings.Contains(r, "/pods") })
	path := "/api/v1/namespaces/" + w.namespace() + "/pods"
	if want := []string{"POST " + path, "DELETE " + path + "/camera-north", "PATCH " + path + "/camera-north"}; !slices.Equal(pods, want) {
		t.Errorf("requests %q, want %q", pods, want)
	}
	if w.see("Pod", "camera-north").GetUID() == before.GetUID() || w.see("Pod", "camera-east").GetUID() != other.GetUID() {
		t.Error("the wrong Pod was replaced")
	}
}

// TestRefusedReplacement: a new Pod that Pod Security would refuse leaves the
// old one running, and says why.
func TestRefusedReplacement(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "north")
	r := w.compile()
	w.mustSync(r)
	before := w.see("Pod", "camera-north")
	i := slices.IndexFunc(r.Objects, func(o object.Object) bool { return o.Kind == "Pod" })
	body := strings.Replace(string(r.Objects[i].Body), `"allowPrivilegeEscalation":false`, `"allowPrivilegeEscalation":true`, 1)
	body = strings.Replace(body, r.Objects[i].Hash, "another", 1)
	r.Objects[i].Body, r.Objects[i].Hash = []byte(body), "another"
	c := find(w.sync(r), w.id("Pod", "camera-north"))
	if c.Action != engine.Failed || c.Tried != engine.Replaced || !strings.Contains(c.Reason, "the old Pod stays") || !strings.Contains(c.Reason, "allowPrivilegeEscalation") {
		t.Errorf("refused: %v", c)
	}
	if after := w.see("Pod", "camera-north"); after.GetUID() != before.GetUID() || after.GetDeletionTimestamp() != nil {
		t.Error("the old Pod was touched")
	}
}

// TestDeleteTouchesOnlyThatObject: what has the name by now is another object.
func TestDeleteTouchesOnlyThatObject(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "north")
	w.mustSync(w.compile())
	id := w.id("ConfigMap", "page")
	old := w.watched.get(id).live
	if err := w.api(id).Delete(t.Context(), id.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.until("it is gone", func() bool { return w.watched.get(id) == nil })
	w.mustSync(w.compile())
	for range 2 {
		if err := w.Apply(t.Context(), engine.Step{Action: engine.Deleted, Live: &old}); err != nil {
			t.Fatal(err)
		}
	}
	if !w.exists(id.Kind, id.Name) {
		t.Error("it deleted another object of that name")
	}
	now := w.watched.get(id).live
	if err := w.Apply(t.Context(), engine.Step{Action: engine.Deleted, Live: &now}); err != nil {
		t.Fatal(err)
	}
	if w.exists(id.Kind, id.Name) {
		t.Error("it did not delete the object")
	}
	if err := w.Apply(t.Context(), engine.Step{Action: engine.Deleted, Live: &now}); err != nil {
		t.Errorf("deleting what is gone: %v", err)
	}
	if err := w.Apply(t.Context(), engine.Step{Action: engine.Configured, Live: &now, Want: wanted(w, id)}); err == nil || w.exists(id.Kind, id.Name) {
		t.Errorf("configuring what is gone made it anew, error %v", err)
	}
}

// TestPrune: a camera that is taken out of Git is taken out of the cluster, its recordings stay.
func TestPrune(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "north", "east")
	w.mustSync(w.compile())
	delete(w.files, "sites/"+w.site+"/east.cue")
	set := w.mustSync(w.compile())
	if n := set.Counts()[engine.Deleted]; n != 4 {
		t.Errorf("want 4 deletions:\n%s", set)
	}
	if w.exists("Pod", "camera-east") || w.exists("ConfigMap", "camera-east") || !w.exists("Pod", "camera-north") || !w.exists("PersistentVolumeClaim", "archive") {
		t.Error("the wrong objects are there")
	}
}

// TestTwoFleets: they do not see each other in one cluster.
func TestTwoFleets(t *testing.T) {
	t.Parallel()
	a, b := newWorld(t, "north"), newWorld(t, "north")
	a.mustSync(a.compile())
	if found, err := b.List(t.Context(), b.fleet); err != nil || len(found) > 0 {
		t.Errorf("one fleet sees %d objects of another, error %v", len(found), err)
	}
	b.mustSync(b.compile())
	a.settled(a.compile())
}
