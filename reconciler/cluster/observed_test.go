package cluster

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"camfleet.dev/compiler/object"
)

// offline is a cluster without an API server, of which all was seen once.
func offline(tb testing.TB, fleet string, objects ...*unstructured.Unstructured) *Cluster {
	tb.Helper()
	log := slog.New(slog.NewTextHandler(tb.Output(), nil))
	c := &Cluster{Log: log}
	c.watched = emptyWatch(Kinds(), fleet, log, nil)
	byKind := map[name][]any{}
	for _, u := range objects {
		k := name{u.GetAPIVersion(), u.GetKind()}
		byKind[k] = append(byKind[k], u)
	}
	for k, s := range c.watched.shelves {
		if err := s.Replace(byKind[k], "1"); err != nil {
			tb.Fatal(err)
		}
	}
	if err := c.watched.nodes.Replace(byKind[name{"v1", "Node"}], "1"); err != nil {
		tb.Fatal(err)
	}
	return c
}

// seen is an object of a site, as a watch brings it.
func seen(kind, of, name string, version int, status map[string]any) *unstructured.Unstructured {
	id := object.ID{Kind: kind}
	for _, k := range Kinds() {
		if k.Kind == kind {
			id.APIVersion = k.APIVersion
		}
	}
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": id.APIVersion, "kind": kind, "status": status,
		"spec": map[string]any{"nodeName": "n1"},
		"metadata": map[string]any{
			"managedFields": []any{map[string]any{
				"manager": manager, "operation": "Apply", "apiVersion": id.APIVersion, "fieldsType": "FieldsV1",
				"fieldsV1": map[string]any{"f:spec": map[string]any{}},
			}},
		},
	}}
	u.SetName(name)
	u.SetNamespace(of)
	u.SetUID("u-" + u.GetUID())
	u.SetResourceVersion(fmt.Sprint(version))
	u.SetLabels(map[string]string{object.LabelSite: "gate", object.LabelCamera: name, object.LabelRole: object.RoleCamera})
	return u
}

func ready(yes string) map[string]any {
	return map[string]any{"phase": "Running", "conditions": []any{map[string]any{"type": "Ready", "status": yes}}}
}

// many is a fleet of 4n objects on a node.
func manySeen(n int) []*unstructured.Unstructured {
	node := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Node", "status": ready("True")}}
	node.SetName("n1")
	node.SetResourceVersion("1")
	out := []*unstructured.Unstructured{node}
	for i := range n {
		at := fmt.Sprintf("camfleet-s%d", i/100)
		camera := fmt.Sprintf("camera-c%04d", i)
		out = append(out, seen("ConfigMap", at, camera, 1, nil), seen("Pod", at, camera, 1, ready("True")),
			seen("NetworkPolicy", at, camera, 1, nil), seen("CronJob", at, fmt.Sprintf("days-c%04d", i), 1, nil))
	}
	return out
}

// TestObserveIsFresh: an observation is made anew after each change, by whatever
// way it comes, and only then.
func TestObserveIsFresh(t *testing.T) {
	t.Parallel()
	c := offline(t, "f", manySeen(2)...)
	w := c.watched
	pods := w.shelves[name{"v1", "Pod"}]
	pod := func(version int, yes string) *unstructured.Unstructured {
		return seen("Pod", "camfleet-s0", "camera-c0001", version, ready(yes))
	}
	entry := func(u *unstructured.Unstructured) *entry { return stripper(c.Log)(u) }
	id := entry(pod(1, "True")).live.ID
	steps := []struct {
		what string
		do   func() error
		want string
	}{
		{"at first", func() error { return nil }, "2 pods, c0001 ready, 1 nodes"},
		{"nothing", func() error { return nil }, "same"},
		{"a Pod changed", func() error { return pods.Update(pod(2, "False")) }, "2 pods, c0001 not ready, 1 nodes"},
		{"nothing", func() error { return nil }, "same"},
		{"we wrote it", func() error { w.wrote(&object.Object{ID: id}, entry(pod(4, "True"))); return nil }, "2 pods, c0001 ready, 1 nodes"},
		{"an old event", func() error { return pods.Update(pod(3, "False")) }, "2 pods, c0001 ready, 1 nodes"},
		{"time passed", func() error {
			w.mu.Lock()
			defer w.mu.Unlock()
			p := w.written[id]
			p.until = time.Now().Add(-time.Second)
			w.written[id], w.seen.until = p, p.until
			return nil
		}, "2 pods, c0001 not ready, 1 nodes"},
		{"we wrote it again", func() error { w.wrote(&object.Object{ID: id}, entry(pod(5, "True"))); return nil }, "2 pods, c0001 ready, 1 nodes"},
		{"it is gone", func() error { return pods.Delete(pod(5, "True")) }, "1 pods, 1 nodes"},
		{"it is listed", func() error { return pods.Replace([]any{pod(7, "True")}, "7") }, "1 pods, c0001 ready, 1 nodes"},
		{"its node is gone", func() error { return w.nodes.Replace(nil, "8") }, "1 pods, c0001 ready without a node, 0 nodes"},
		{"a watch fails", func() error { pods.note(t.Context(), errors.New("no")); return nil }, "1 pods, c0001 ready without a node, 0 nodes, 1 warnings"},
		{"it fails again", func() error { pods.note(t.Context(), errors.New("no")); return nil }, "same"},
		{"it works again", func() error { pods.note(t.Context(), nil); return nil }, "1 pods, c0001 ready without a node, 0 nodes"},
		{"something forged", func() error {
			u := seen("ConfigMap", "camfleet-s0", "theirs", 9, nil)
			u.SetManagedFields(nil)
			return w.shelves[name{"v1", "ConfigMap"}].Update(u)
		}, "1 pods, c0001 ready without a node, 0 nodes, 1 warnings"},
	}
	last, lastMade := "", 0
	made := func() int { return w.seen.made }
	for _, s := range steps {
		if err := s.do(); err != nil {
			t.Fatal(err)
		}
		got := summary(c.Observe())
		if s.want == "same" {
			if got != last || made() != lastMade {
				t.Errorf("%s: %s, and was made anew: %t", s.what, got, made() != lastMade)
			}
		} else if got != s.want {
			t.Errorf("%s: %s, want %s", s.what, got, s.want)
		}
		last, lastMade = got, made()
	}
}

func summary(o Observation) string {
	out := fmt.Sprintf("%d pods", len(o.Pods))
	for _, p := range o.Pods {
		if p.Name != "camera-c0001" {
			continue
		}
		if out += ", c0001"; !p.Ready {
			out += " not"
		}
		if out += " ready"; !p.NodeGone.IsZero() {
			out += " without a node"
		}
	}
	if out += fmt.Sprintf(", %d nodes", len(o.Nodes)); len(o.Warnings) > 0 {
		out += fmt.Sprintf(", %d warnings", len(o.Warnings))
	}
	return out
}

// TestObserveTogether: many may observe while the watches go on, and nobody
// sees an older state after a newer one.
func TestObserveTogether(t *testing.T) {
	t.Parallel()
	c := offline(t, "f", manySeen(20)...)
	pods := c.watched.shelves[name{"v1", "Pod"}]
	const last = 300
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for before := 0; before < last && t.Context().Err() == nil; {
				now := c.Observe().Pods[1].Restarts
				if now < before {
					t.Errorf("%d restarts after %d", now, before)
					return
				}
				before = now
			}
		})
	}
	for i := 1; i <= last; i++ {
		status := ready("True")
		status["containerStatuses"] = []any{map[string]any{"name": "a", "restartCount": int64(i)}}
		if err := pods.Update(seen("Pod", "camfleet-s0", "camera-c0001", i+1, status)); err != nil {
			t.Fatal(err)
		}
		if got := c.Observe().Pods[1].Restarts; got != i {
			t.Fatalf("%d restarts are seen, there were %d", got, i)
		}
	}
	all.Wait()
}

func BenchmarkObserve(b *testing.B) {
	c := offline(b, "f", manySeen(1000)...)
	if n := len(c.Observe().Pods); n != 1000 {
		b.Fatal(n)
	}
	b.Run("again", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.Observe()
		}
	})
	pods := c.watched.shelves[name{"v1", "Pod"}]
	b.Run("after a change of a Pod", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if err := pods.Update(seen("Pod", "camfleet-s0", "camera-c0001", i+2, ready([]string{"True", "False"}[i%2]))); err != nil {
				b.Fatal(err)
			}
			c.Observe()
		}
	})
}

// TestEndingRecordings: a claim or a namespace that somebody is deleting is
// told while recordings can be saved; other objects that end are not.
func TestEndingRecordings(t *testing.T) {
	t.Parallel()
	var all []*unstructured.Unstructured
	for _, kind := range []string{"PersistentVolumeClaim", "Namespace", "ConfigMap"} {
		u := seen(kind, "camfleet-gate", "a", 1, nil)
		now := metav1.Now()
		u.SetDeletionTimestamp(&now)
		all = append(all, u, seen(kind, "camfleet-gate", "b", 1, nil))
	}
	got := offline(t, "f", all...).Observe().Warnings
	if len(got) != 2 || !strings.Contains(got[0], "Namespace/a is being deleted") || !strings.Contains(got[1], "PersistentVolumeClaim/a is being deleted") {
		t.Errorf("warnings %q", got)
	}
}

// TestKnown: before everything was seen once, an observation says so: what is
// not in it may be there all the same.
func TestKnown(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	c := &Cluster{Log: log}
	if c.Observe().Known {
		t.Error("known before anything was asked for")
	}
	c.watched = emptyWatch(Kinds(), "f", log, nil)
	left := len(c.watched.shelves)
	for _, s := range c.watched.shelves {
		if c.Observe().Known {
			t.Errorf("known before %d kinds were seen", left)
		}
		if err := s.Replace(nil, "1"); err != nil {
			t.Fatal(err)
		}
		left--
	}
	if !c.Observe().Known {
		t.Error("not known, although all was seen")
	}
}

// TestClaimIsNamed: a Pod that waits for a volume says for which claim, and of
// which storage class; one that waits for something else does not.
func TestClaimIsNamed(t *testing.T) {
	t.Parallel()
	waits := func(message string) map[string]any {
		return map[string]any{"phase": "Pending", "conditions": []any{map[string]any{
			"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
		}}}
	}
	claim := func(at, class, phase string) *unstructured.Unstructured {
		u := seen("PersistentVolumeClaim", at, "archive", 1, map[string]any{"phase": phase})
		if class != "" {
			u.Object["spec"] = map[string]any{"storageClassName": class}
		}
		return u
	}
	const unbound = "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found"
	got := offline(t, "f",
		seen("Pod", "a", "camera-north", 1, waits(unbound)), claim("a", "fast", "Pending"),
		seen("Pod", "b", "camera-north", 1, waits(unbound)), claim("b", "", "Pending"),
		seen("Pod", "c", "camera-north", 1, waits("0/2 nodes are available: 2 Insufficient cpu.")), claim("c", "fast", "Pending"),
		seen("Pod", "d", "camera-north", 1, waits(unbound)), claim("d", "fast", "Bound"),
	).Observe().Pods
	for i, want := range []string{"claim archive (storage class fast)", "claim archive (the cluster's default storage class)", "", ""} {
		if message := got[i].Message; want != "" && !strings.HasSuffix(message, want) || want == "" && strings.Contains(message, "archive") {
			t.Errorf("%s: %q, want %q", got[i].Namespace, message, want)
		}
	}
}

// TestGoneBeforeItsAnswer: what a watch has shown to be gone is not believed to
// be there because the answer to its last write came later.
func TestGoneBeforeItsAnswer(t *testing.T) {
	t.Parallel()
	pod := seen("Pod", "camfleet-s0", "camera-north", 3, ready("True"))
	c := offline(t, "f", pod)
	w := c.watched
	answer := stripper(c.Log)(seen("Pod", "camfleet-s0", "camera-north", 4, ready("True")))
	if err := w.shelves[name{"v1", "Pod"}].Delete(pod); err != nil {
		t.Fatal(err)
	}
	w.wrote(&object.Object{ID: answer.live.ID}, answer)
	if e := w.get(answer.live.ID); e != nil {
		t.Errorf("it is taken to be there: %v", e.live.ID)
	}
	next := seen("Pod", "camfleet-s0", "camera-north", 5, ready("True"))
	next.SetUID("another")
	made := stripper(c.Log)(next)
	if w.wrote(&object.Object{ID: made.live.ID}, made); w.get(made.live.ID) == nil {
		t.Error("the next one is not there")
	}
	for i := range 3 * manyEnded {
		w.mu.Lock()
		w.end(types.UID(fmt.Sprint(i)), time.Now().Add(time.Duration(i)*time.Second))
		w.mu.Unlock()
	}
	if n := len(w.ended); n > 2*manyEnded {
		t.Errorf("%d are remembered", n)
	}
}
