package cluster

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"camfleet.dev/reconciler/engine"
)

// TestQuota: a full quota would refuse a second Pod beside the old one. The old
// one stays, and it is said what to do; the way out works.
func TestQuota(t *testing.T) {
	t.Parallel()
	w := newPendingWorld(t, "north")
	w.mustSync(w.compile())
	quotas := w.admin.Resource(Kind{APIVersion: "v1", Resource: "resourcequotas"}.resource()).Namespace(w.namespace())
	quota := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ResourceQuota", "spec": map[string]any{"hard": map[string]any{"count/pods": "1"}},
	}}
	quota.SetName("full")
	if _, err := quotas.Create(t.Context(), quota, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.until("the quota is full", func() bool {
		now, err := quotas.Get(t.Context(), "full", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		used, _, _ := unstructured.NestedString(now.Object, "status", "used", "count/pods")
		return used == "1" || used == "2" // the page's Pods may count, too
	})
	before := w.see("Pod", "camera-north").GetUID()
	w.camera("north", `url: "rtsp://10.0.0.2/north"`)
	r := w.compile()
	w.until("the quota refuses it", func() bool {
		c := find(w.sync(r), w.id("Pod", "camera-north"))
		return c.Action == engine.Failed && strings.Contains(c.Reason, "the old Pod stays: a quota has no room") && strings.Contains(c.Reason, "exceeded quota")
	})
	if w.see("Pod", "camera-north").GetUID() != before {
		t.Error("the old Pod is gone")
	}
	if err := quotas.Delete(t.Context(), "full", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.until("it is replaced", func() bool { return w.settles(r) })
}
