package cluster

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
)

// sizeOf is what a Pod's only container asks for and may take: "20m/32Mi/256Mi".
func sizeOf(u *unstructured.Unstructured) string {
	containers := u.Object["spec"].(map[string]any)["containers"].([]any)
	get := func(path ...string) string {
		text, _, _ := unstructured.NestedString(containers[0].(map[string]any), append([]string{"resources"}, path...)...)
		return text
	}
	return get("requests", "cpu") + "/" + get("requests", "memory") + "/" + get("limits", "memory")
}

// TestResize: more and less CPU and memory reach a Pod that runs, which stays
// the same Pod; afterwards there is nothing left to do, for a new process neither.
func TestResize(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "north")
	w.mustSync(w.compile())
	w.resizable("camera-north")
	before := w.see("Pod", "camera-north")
	for _, c := range []struct{ camera, want string }{
		{`resources: {cpu: "50m"}`, "50m/32Mi/256Mi"},
		{`resources: {cpu: "0.03", memory: "512Mi"}`, "30m/512Mi/512Mi"},
		{`resources: {cpu: "30m", memory: "64Mi"}`, "30m/64Mi/256Mi"},
		{`description: "the gate", resources: {cpu: "1", memory: "65536Ki"}`, "1/64Mi/256Mi"},
		{`description: "the gate"`, "20m/32Mi/256Mi"},
	} {
		w.camera("north", `url: "rtsp://10.0.0.1/north", `+c.camera)
		r := w.compile()
		w.traffic.take()
		set := w.mustSync(r)
		if got := find(set, w.id("Pod", "camera-north")); got.Action != engine.Configured {
			t.Errorf("%s: %s", c.camera, set)
		}
		if sent := strings.Join(w.traffic.take(), " "); strings.Contains(sent, "DELETE") || strings.Contains(sent, "POST") || strings.Contains(sent, "GET") {
			t.Errorf("%s: requests %s", c.camera, sent)
		}
		after := w.see("Pod", "camera-north")
		if got := sizeOf(after); got != c.want || after.GetUID() != before.GetUID() {
			t.Errorf("%s: the Pod has %s, want %s; another Pod: %t", c.camera, got, c.want, after.GetUID() != before.GetUID())
		}
		w.restart()
		w.settled(r)
		w.traffic.take()
		w.mustSync(r)
		if sent := w.traffic.take(); len(sent) > 0 {
			t.Errorf("%s: afterwards, requests %q", c.camera, sent)
		}
	}
	if said := w.events("camera-north"); len(said) > 0 {
		t.Errorf("nobody else had changed anything, and it says %q", said)
	}
}

// TestResizeWithTheRest: a label that changes at the same time arrives, too.
func TestResizeWithTheRest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "north")
	w.mustSync(w.compile())
	w.resizable("camera-north")
	before := w.see("Pod", "camera-north")
	w.camera("north", `url: "rtsp://10.0.0.1/north", resources: {cpu: "50m"}`)
	w.files["sites/"+w.site+"/kustomization.yaml"] = text("labels: [{pairs: {example.com/a: b}}]")
	w.mustSync(w.compile())
	after := w.see("Pod", "camera-north")
	if after.GetUID() != before.GetUID() || sizeOf(after) != "50m/32Mi/256Mi" || after.GetLabels()["example.com/a"] != "b" {
		t.Errorf("it has %s and %v", sizeOf(after), after.GetLabels())
	}
}

// TestResizedByOthers: what somebody else makes of a Pod's CPU is put back, and it is said who that was.
func TestResizedByOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "north")
	r := w.compile()
	w.mustSync(r)
	w.resizable("camera-north")
	w.resizeBy("vpa", `{"requests":{"cpu":"5"},"limits":{"memory":"9Gi"}}`)
	w.until("it is seen", func() bool { return len(w.plan(r).Changed().Changes) > 0 })
	w.mustSync(r)
	if got := sizeOf(w.see("Pod", "camera-north")); got != "20m/32Mi/256Mi" {
		t.Errorf("it has %s", got)
	}
	w.until("it is told", func() bool { return len(w.events("camera-north")) > 0 })
	if said := w.events("camera-north"); len(said) != 1 || !strings.Contains(said[0], "vpa had changed") || strings.Contains(said[0], "camfleet had") {
		t.Errorf("events: %q", said)
	}
}

// TestResizeRefused: a change of the class of service is refused; the Pod stays as it is.
func TestResizeRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "north")
	r := w.compile()
	w.mustSync(r)
	w.resizable("camera-north")
	before := w.see("Pod", "camera-north")
	i := slices.IndexFunc(r.Objects, func(o object.Object) bool { return o.Kind == "Pod" })
	r.Objects[i].Body = resized(t, r.Objects[i].Body, map[string]any{
		"requests": map[string]any{"cpu": "1", "memory": "1Gi"}, "limits": map[string]any{"cpu": "1", "memory": "1Gi"},
	})
	w.traffic.take()
	for range 2 {
		c := find(w.sync(r), w.id("Pod", "camera-north"))
		if c.Action != engine.Failed || !strings.Contains(c.Reason, "keeps running") || !strings.Contains(c.Reason, "QOS") {
			t.Errorf("refused: %v", c)
		}
	}
	if after := w.see("Pod", "camera-north"); after.GetUID() != before.GetUID() || after.GetDeletionTimestamp() != nil || sizeOf(after) != sizeOf(before) {
		t.Error("the Pod was touched")
	}
	if sent := strings.Join(w.traffic.take(), " "); strings.Contains(sent, "DELETE") || strings.Contains(sent, "POST") {
		t.Errorf("requests %s", sent)
	}
}

// TestResizePending: what a kubelet cannot give yet is seen.
func TestResizePending(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "north")
	w.mustSync(w.compile())
	w.runs("camera-north")
	w.status("camera-north", func(s map[string]any) {
		s["conditions"] = append(s["conditions"].([]any), map[string]any{
			"type": "PodResizePending", "status": "True", "reason": "Infeasible", "message": "the node has 4 CPU",
		})
	})
	w.until("it is observed", func() bool {
		pods := w.Observe().Pods
		return len(pods) == 1 && pods[0].Resize == "Infeasible: the node has 4 CPU" && pods[0].Ready
	})
	w.settled(w.compile())
}

func resized(t *testing.T, body json.RawMessage, resources map[string]any) json.RawMessage {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal(body, &o); err != nil {
		t.Fatal(err)
	}
	o["spec"].(map[string]any)["containers"].([]any)[0].(map[string]any)["resources"] = resources
	out, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// resizeBy resizes camera north's container in somebody's name.
func (w *world) resizeBy(who, resources string) {
	w.Helper()
	patch := `{"spec":{"containers":[{"name":"rtsp2hls","resources":` + resources + `}]}}`
	_, err := w.api(w.id("Pod", "x")).Patch(w.Context(), "camera-north", types.StrategicMergePatchType, []byte(patch),
		metav1.PatchOptions{FieldManager: who}, "resize")
	if err != nil {
		w.Fatal(err)
	}
}

// runs waits until kwok has made a Pod run.
func (w *world) runs(pod string) {
	w.Helper()
	w.until(pod+" runs", func() bool {
		s, _ := w.see("Pod", pod).Object["status"].(map[string]any)
		return s["phase"] == "Running"
	})
}

// resizable makes a Pod look as one of a kubelet that can resize it: kwok's does not.
func (w *world) resizable(pod string) {
	w.Helper()
	w.runs(pod)
	w.status(pod, func(s map[string]any) {
		for _, c := range s["containerStatuses"].([]any) {
			c.(map[string]any)["resources"] = map[string]any{"requests": map[string]any{"cpu": "20m"}}
		}
	})
}

// status changes a Pod's status, as a kubelet would.
func (w *world) status(pod string, change func(map[string]any)) {
	w.Helper()
	u := w.see("Pod", pod)
	s := maps.Clone(u.Object["status"].(map[string]any))
	change(s)
	u.Object["status"] = s
	if _, err := w.api(w.id("Pod", pod)).UpdateStatus(w.Context(), u, metav1.UpdateOptions{FieldManager: "kubelet"}); err != nil {
		w.Fatal(err)
	}
}
