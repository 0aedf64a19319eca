package cluster

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
)

// TestTakeOver: what kubectl applied from the same files is taken over in
// place: no Pod is replaced.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "north")
	r := w.compile()
	kubectl(t, shared.Get(t), r)
	before := w.see("Pod", "camera-north")
	set := w.mustSync(r)
	if n := set.Counts()[engine.Configured]; n != len(r.Objects) || n != len(set.Changes) {
		t.Errorf("want all %d objects configured:\n%s", len(r.Objects), set)
	}
	after := w.see("Pod", "camera-north")
	if after.GetUID() != before.GetUID() || len(after.GetOwnerReferences()) != 1 {
		t.Errorf("the Pod was replaced, or has no owner: %v", after.GetOwnerReferences())
	}
	w.restart()
	w.traffic.take()
	w.mustSync(r)
	if got := w.traffic.take(); len(got) > 0 {
		t.Errorf("afterwards, it made requests: %q", got)
	}
}

// TestTakeOverThenChange: what kubectl has applied is still kubectl's, too. A
// change in Git is none of kubectl's doing, and is not told as such; a change
// by kubectl is.
func TestTakeOverThenChange(t *testing.T) {
	t.Parallel()
	w := newPendingWorld(t, "north")
	kubectl(t, shared.Get(t), w.compile())
	// Git has gone on since: these values are kubectl's, and were never ours.
	w.camera("north", `url: "rtsp://10.0.0.1/north", recording: retention: age: "3d"`)
	w.mustSync(w.compile())
	w.camera("north", `url: "rtsp://10.0.0.1/north", recording: retention: age: "4d", resources: {cpu: "50m"}`)
	set := w.mustSync(w.compile())
	config, pod := w.id("ConfigMap", "camera-north"), w.id("Pod", "camera-north")
	if find(set, config).Action != engine.Configured || find(set, pod).Action != engine.Configured {
		t.Errorf("planned\n%s", set)
	}
	w.restart() // tells the rest
	for _, said := range w.events(config.Name) {
		if said != "taken over from kubectl" {
			t.Errorf("nobody has changed anything, and it says %q", said)
		}
	}
	vandal := strings.NewReader(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"camera-north","namespace":"` + w.namespace() + `"},"data":{"camera.json":"{}"}}`)
	cmd := shared.Get(t).Kubectl(t.Context(), "apply", "--server-side", "--force-conflicts", "-f", "-")
	cmd.Stdin = vandal
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	w.until("it is put back, and told", func() bool {
		w.sync(w.compile())
		return strings.Contains(strings.Join(w.events(config.Name), "\n"), "put back to what Git says: kubectl had changed data.camera.json")
	})
}

// TestTakeOverThenRemoval: what Git has no more after a takeover goes away, and
// what kubectl applied besides stays, as kubectl's.
func TestTakeOverThenRemoval(t *testing.T) {
	t.Parallel()
	for name, flags := range map[string][]string{"server-side": {"--server-side"}, "client-side": {"--server-side=false"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newPendingWorld(t, "north")
			r := w.compile()
			id := w.id("ConfigMap", "camera-north")
			// The page is too large for kubectl without --server-side.
			r.Objects = slices.DeleteFunc(r.Objects, func(o object.Object) bool { return o.ID == w.id("ConfigMap", "page") })
			i := slices.IndexFunc(r.Objects, func(o object.Object) bool { return o.ID == id })
			plain := r.Objects[i]
			with := func(data, notes string) object.Object {
				o := plain
				o.Body = []byte(strings.Replace(string(o.Body), `"data":{`, `"data":{`+data, 1))
				o.Body = []byte(strings.Replace(string(o.Body), `"annotations":{`, `"annotations":{`+notes, 1))
				return o
			}
			r.Objects[i] = with(`"extra":"1",`, `"their/note":"stays",`)
			kubectl(t, shared.Get(t), r, flags...)
			r.Objects[i] = with(`"extra":"1",`, "")
			w.mustSync(r)
			// Somebody applies it once more: the fields are kubectl's again, too.
			r.Objects[i] = with(`"extra":"1",`, `"their/note":"stays",`)
			kubectl(t, shared.Get(t), r, flags...)
			w.until("it is seen", func() bool { return w.watched.get(id).shared })
			r.Objects[i] = plain
			w.mustSync(r)
			after := w.see(id.Kind, id.Name)
			if data := after.Object["data"].(map[string]any); data["extra"] != nil {
				t.Error("a key stays that Git has no more")
			}
			if notes := after.GetAnnotations(); notes["their/note"] != "stays" {
				t.Errorf("kubectl's own annotation is gone: %v", notes)
			}
			for _, e := range after.GetManagedFields() {
				if strings.HasPrefix(e.Manager, "kubectl") && strings.Contains(e.FieldsV1.GetRawString(), "camera.json") {
					t.Errorf("%s still manages %s", e.Manager, e.FieldsV1.GetRawString())
				}
			}
			w.restart()
			w.traffic.take()
			w.mustSync(r)
			if got := w.traffic.take(); len(got) > 0 {
				t.Errorf("afterwards, it made requests: %q", got)
			}
		})
	}
}

// TestServersSpelling: what an API server makes of a body (a default inside an
// atomic field) is no drift, and what somebody makes of it is.
func TestServersSpelling(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "north")
	w.files["sites/"+w.site+"/kustomization.yaml"] = text(`resources: [more.yaml]`)
	w.files["sites/"+w.site+"/more.yaml"] = text(`apiVersion: apps/v1
kind: Deployment
metadata: {name: more}
spec:
  replicas: 0
  selector: {matchLabels: {app: more}}
  template:
    metadata: {labels: {app: more}}
    spec:
      automountServiceAccountToken: false
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: more
          securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
          image: more:1
          resources: {requests: {cpu: 0.5, memory: 1024Mi}}
          env: [{name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]
`)
	r := w.compile()
	w.mustSync(r)
	w.traffic.take()
	w.mustSync(r)
	if got := w.traffic.take(); len(got) > 0 {
		t.Errorf("the server's spelling was taken for drift: %q", got)
	}
	w.restart()
	if w.sync(r); len(w.traffic.take()) > 1 {
		t.Error("a restart may cost one request for such an object, and no more")
	}
	w.settled(r)
	id := w.id("Deployment", "more")
	patch := []byte(`{"spec":{"template":{"spec":{"containers":[{"name":"more","env":[{"name":"IP","valueFrom":{"fieldRef":{"fieldPath":"status.hostIP"}}}]}]}}}}`)
	if _, err := w.api(id).Patch(t.Context(), id.Name, "application/strategic-merge-patch+json", patch, metav1.PatchOptions{FieldManager: "helm"}); err != nil {
		t.Fatal(err)
	}
	w.until("the drift is seen", func() bool { return len(w.plan(r).Changed().Changes) > 0 })
	w.mustSync(r)
	w.until("it is told", func() bool { return len(w.events(id.Name)) > 0 })
	if said := w.events(id.Name); len(said) != 1 || !strings.Contains(said[0], "helm had changed") {
		t.Errorf("events: %q", said)
	}
}

// TestNoRights: a cluster that cannot be read is an error that says what cannot, and never an empty list.
func TestNoRights(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "north")
	w.Sync = 2 * time.Second
	w.Kinds = append(Kinds(), Kind{APIVersion: "example.com/v1", Kind: "Thing", Resource: "things"})
	found, err := w.List(t.Context(), w.fleet)
	if err == nil || !strings.Contains(err.Error(), "things (") || len(found) > 0 {
		t.Errorf("found %d objects, error %v", len(found), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.Sync = time.Hour
	if _, err := w.List(ctx, w.fleet); err == nil {
		t.Error("it did not stop")
	}
}
