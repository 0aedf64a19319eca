package cluster

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"camfleet.dev/reconciler/engine"
)

// limit gives the site a quota that just fits, less so many Pods, and returns
// what sets it anew.
func (w *world) limit(name string, resources ...string) (set func(pods int64)) {
	w.Helper()
	w.until("the page's Pod is there", func() bool {
		list, err := w.api(w.id("Pod", "x")).List(w.Context(), metav1.ListOptions{})
		if err != nil {
			w.Fatal(err)
		}
		return len(list.Items) == 2
	})
	quotas := w.admin.Resource(Kind{APIVersion: "v1", Resource: "resourcequotas"}.resource()).Namespace(w.namespace())
	hard := map[string]any{}
	for _, r := range resources {
		hard[r] = "1000"
	}
	quota := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ResourceQuota", "spec": map[string]any{"hard": hard}}}
	quota.SetName(name)
	if _, err := quotas.Create(w.Context(), quota, metav1.CreateOptions{}); err != nil {
		w.Fatal(err)
	}
	status := func(of string) map[string]string {
		now, err := quotas.Get(w.Context(), name, metav1.GetOptions{})
		if err != nil {
			w.Fatal(err)
		}
		out, _, _ := unstructured.NestedStringMap(now.Object, "status", of)
		return out
	}
	var used map[string]string
	w.until("the quota counts both Pods", func() bool { used = status("used"); return used[resources[0]] == "2" })
	return func(less int64) {
		w.Helper()
		var parts []string
		want := maps.Clone(used)
		want[resources[0]] = fmt.Sprint(2 - less)
		for _, r := range slices.Sorted(maps.Keys(want)) {
			parts = append(parts, fmt.Sprintf("%q:%q", r, want[r]))
		}
		patch := []byte(`{"spec":{"hard":{` + strings.Join(parts, ",") + `}}}`)
		if _, err := quotas.Patch(w.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			w.Fatal(err)
		}
		w.until("the quota is set", func() bool { return status("hard")[resources[0]] == want[resources[0]] })
	}
}

// TestQuota: a quota that just fits lets a Pod be replaced, although the
// rehearsal counts beside the old one. One that does not leaves the old one as
// it is, and it is said what to do; so does one of which nobody can be sure.
func TestQuota(t *testing.T) {
	t.Parallel()
	w := newPendingWorld(t, "north")
	w.mustSync(w.compile())
	set := w.limit("full", "count/pods", "pods", "requests.cpu", "requests.memory")
	id := w.id("Pod", "camera-north")
	uid := func() types.UID { return w.see(id.Kind, id.Name).GetUID() }
	refused := func(url string) {
		t.Helper()
		before := uid()
		w.camera("north", url)
		r := w.compile()
		// Its cache of quotas may be some moments behind.
		w.until("the quota refuses it", func() bool {
			c := find(w.sync(r), id)
			return c.Action == engine.Failed && strings.Contains(c.Reason, "the old Pod stays: a quota has no room") && strings.Contains(c.Reason, "exceeded quota")
		})
		if uid() != before {
			t.Error("the old Pod is gone")
		}
	}
	set(1)
	refused(`url: "rtsp://10.0.0.2/north"`)
	set(0)
	refused(`url: "rtsp://10.0.0.2/north", resources: cpu: "50m"`)
	before := uid()
	w.camera("north", `url: "rtsp://10.0.0.2/north"`)
	r := w.compile()
	w.until("it is replaced", func() bool { return w.settles(r) })
	if uid() == before {
		t.Error("it is the old Pod")
	}
	w.camera("north", `url: "rtsp://10.0.0.3/north"`)
	if set := w.mustSync(w.compile()); find(set, id).Action != engine.Replaced {
		t.Errorf("planned\n%s", set)
	}
}

// TestParseQuota: what does not look like a quota's refusal is none, and sums are right.
func TestParseQuota(t *testing.T) {
	t.Parallel()
	pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{
		{Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{"cpu": resource.MustParse("100m"), "memory": resource.MustParse("64Mi"), "example.com/gpu": resource.MustParse("1")},
			Limits:   corev1.ResourceList{"memory": resource.MustParse("128Mi")},
		}},
		{Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse("0.1")}}},
	}}}
	const is = `pods "camera-north-rehearsal" is forbidden: exceeded quota: q, `
	for message, want := range map[string]bool{
		is + "requested: pods=1, used: pods=3, limited: pods=3":                                                             true,
		is + "requested: pods=1, used: pods=4, limited: pods=3":                                                             false,
		is + "requested: count/pods=1, used: count/pods=3, limited: count/pods=3":                                           true,
		is + "requested: cpu=200m, used: cpu=1, limited: cpu=1":                                                             true,
		is + "requested: cpu=201m, used: cpu=1, limited: cpu=1":                                                             false,
		is + "requested: requests.cpu=200m, used: requests.cpu=1900m, limited: requests.cpu=2":                              true,
		is + "requested: limits.memory=128Mi,pods=1, used: limits.memory=1Gi,pods=3, limited: limits.memory=1Gi,pods=3":     true,
		is + "requested: limits.memory=129Mi,pods=1, used: limits.memory=1Gi,pods=3, limited: limits.memory=1Gi,pods=3":     false,
		is + "requested: limits.cpu=1, used: limits.cpu=1, limited: limits.cpu=1":                                           false, // it has none
		is + "requested: requests.example.com/gpu=1, used: requests.example.com/gpu=1, limited: requests.example.com/gpu=1": false,
		is + "requested: pods=1, used: pods=3":                                                                              false,
		is + "requested: pods=1, used: cpu=3, limited: cpu=3":                                                               false,
		is + "requested: pods=x, used: pods=3, limited: pods=3":                                                             false,
		is + "requested: pods, used: pods=3, limited: pods=3":                                                               false,
		is + "requested: , used: , limited: ":                                                                               false,
		is + "requested: pods=1e99999999999, used: pods=1, limited: pods=1":                                                 false,
		"": false,
	} {
		uses, ok := usage(pod)
		numbers, parsed := parseQuota(message)
		if got := ok && parsed && numbers.fit(uses); got != want {
			t.Errorf("%s: %t", message, got)
		}
	}
	pod.Status.Phase = corev1.PodFailed
	if _, ok := usage(pod); ok {
		t.Error("a Pod that has ended counts")
	}
}

// TestCountsAlike: a Pod that may count in another quota is not the same.
func TestCountsAlike(t *testing.T) {
	t.Parallel()
	const pod = `{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"image":"a","name":"c","resources":{"requests":{"cpu":"100m"}}}],"priorityClassName":"high"}}`
	for name, c := range map[string]struct {
		from, to string
		want     bool
	}{
		"the same":           {"", "", true},
		"another image":      {`"a"`, `"b"`, true},
		"another spelling":   {`"100m"`, `"0.1"`, true},
		"more":               {`"100m"`, `"101m"`, false},
		"a limit":            {`{"requests"`, `{"limits":{"cpu":"1"},"requests"`, false},
		"another priority":   {`"high"`, `"low"`, false},
		"another container":  {`[{`, `[{"name":"d"},{`, false},
		"a deadline":         {`"priority`, `"activeDeadlineSeconds":5,"priority`, false},
		"other Pods near it": {`"priority`, `"affinity":{"podAffinity":{}},"priority`, false},
		"nothing known":      {pod, `{}`, false},
		"no JSON":            {`{`, `[`, false},
	} {
		if got := countsAlike([]byte(pod), []byte(strings.Replace(pod, c.from, c.to, 1))); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	if countsAlike([]byte(`{}`), []byte(`{}`)) {
		t.Error("nothing counts as nothing")
	}
}
