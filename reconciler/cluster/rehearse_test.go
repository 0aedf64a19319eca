package cluster

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
)

// edit changes an object as somebody with kubectl would.
func (w *world) edit(id object.ID, patch string) {
	w.Helper()
	_, err := w.api(id).Patch(w.Context(), id.Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "kubectl-edit"})
	if err != nil {
		w.Fatal(err)
	}
}

// TestRefusedPodKeepsItsConfiguration: a Pod that Pod Security would refuse, with
// another URL, changes neither the Pod nor what it runs with; the Pod of another
// camera is asked about once, before its configuration is changed.
func TestRefusedPodKeepsItsConfiguration(t *testing.T) {
	t.Parallel()
	w := newPendingWorld(t, "east", "north")
	w.mustSync(w.compile())
	version := func(kind string) string {
		u := w.see(kind, "camera-north")
		if kind == "Pod" { // the scheduler writes its status
			return string(u.GetUID())
		}
		return u.GetResourceVersion()
	}
	before := map[string]string{"ConfigMap": "", "NetworkPolicy": "", "Pod": ""}
	for kind := range before {
		before[kind] = version(kind)
	}
	w.camera("north", `url: "rtsp://10.0.0.2/north"`)
	w.camera("east", `url: "rtsp://10.0.0.2/east"`)
	r := w.compile()
	i := slices.IndexFunc(r.Objects, func(o object.Object) bool { return o.Kind == "Pod" && o.Camera == "north" })
	r.Objects[i].Body = []byte(strings.Replace(string(r.Objects[i].Body), `"allowPrivilegeEscalation":false`, `"allowPrivilegeEscalation":true`, 1))
	w.traffic.take()
	set := w.sync(r)
	if c := find(set, w.id("Pod", "camera-north")); c.Action != engine.Failed || !strings.Contains(c.Reason, "the old Pod stays: the new one would be refused") {
		t.Error(c)
	}
	for kind, was := range before {
		if version(kind) != was {
			t.Errorf("%s was changed", kind)
		}
		if c := find(set, w.id(kind, "camera-north")); kind != "Pod" && (c.Action != engine.Waiting || !strings.Contains(c.Reason, "as its Pod was refused")) {
			t.Error(c)
		}
	}
	var east []string
	rehearsed := 0
	for _, request := range w.traffic.take() {
		rehearsed += strings.Count(request, "POST /api/v1/namespaces/"+w.namespace()+"/pods")
		if method, path, _ := strings.Cut(request, " "); strings.Contains(path, "/camera-east") {
			east = append(east, method+" "+path[strings.LastIndexByte(path[:strings.LastIndexByte(path, '/')], '/')+1:])
		}
	}
	want := []string{"PATCH configmaps/camera-east", "PATCH networkpolicies/camera-east", "DELETE pods/camera-east", "PATCH pods/camera-east"}
	slices.Sort(east[:min(2, len(east))])
	if !slices.Equal(east, want) || rehearsed != 2 {
		t.Errorf("%d rehearsals, %q", rehearsed, east)
	}
}

// TestStrayedHash: who takes camfleet.dev/hash off a Pod, or writes another, gets
// it back, and the Pod goes on.
func TestStrayedHash(t *testing.T) {
	t.Parallel()
	w := newPendingWorld(t, "north")
	r := w.compile()
	w.mustSync(r)
	id := w.id("Pod", "camera-north")
	before := w.see(id.Kind, id.Name)
	for _, hash := range []string{`null`, `"theirs"`, `""`} {
		w.edit(id, fmt.Sprintf(`{"metadata":{"annotations":{%q:%s}}}`, object.AnnotationHash, hash))
		w.until("it is seen", func() bool { return len(w.plan(r).Changed().Changes) > 0 })
		if c := find(w.mustSync(r), id); c.Action != engine.Configured || !strings.Contains(c.Reason, "nothing else: it goes on") {
			t.Errorf("%s: %v", hash, c)
		}
		after := w.see(id.Kind, id.Name)
		if after.GetUID() != before.GetUID() || after.GetAnnotations()[object.AnnotationHash] != before.GetAnnotations()[object.AnnotationHash] {
			t.Errorf("%s: it is %s with %s", hash, after.GetUID(), after.GetAnnotations())
		}
	}
}

// TestHeldByFinalizer: a Pod that somebody's finalizer holds says so.
func TestHeldByFinalizer(t *testing.T) {
	t.Parallel()
	w := newPendingWorld(t, "north")
	r := w.compile()
	w.mustSync(r)
	id := w.id("Pod", "camera-north")
	w.edit(id, `{"metadata":{"finalizers":["example.com/backup"]}}`)
	if err := w.api(id).Delete(t.Context(), id.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.until("it is named", func() bool {
		found, err := w.List(t.Context(), w.fleet)
		if err != nil {
			t.Fatal(err)
		}
		c := find(engine.Plan(r, found, engine.Options{Now: time.Now().Add(time.Hour)}), id)
		return c.Action == engine.Waiting && strings.Contains(c.Reason, "held by its finalizer example.com/backup")
	})
	for _, p := range w.Observe().Pods {
		if p.Name == id.Name && !slices.Equal(p.Finalizers, []string{"example.com/backup"}) {
			t.Errorf("%+v", p)
		}
	}
	w.edit(id, `{"metadata":{"finalizers":null}}`)
	w.until("another one is there", func() bool { return len(w.sync(r).Changes) == 0 && w.exists(id.Kind, id.Name) })
}
