package applied_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	corev1 "k8s.io/api/core/v1"

	"camfleet.dev/compiler"
)

// cameraPod compiles a small site whose camera's container gets these resources.
func cameraPod(t *testing.T, fleet fstest.MapFS, name, resources string) (pod corev1.Pod, hash string) {
	t.Helper()
	fleet["sites/"+name+"/kustomization.yaml"] = &fstest.MapFile{Data: []byte(
		"patches:\n- target: {kind: Pod}\n  patch: |\n    [{\"op\": \"replace\", \"path\": \"/spec/containers/0/resources\", \"value\": " + resources + "},\n" +
			"     {\"op\": \"add\", \"path\": \"/spec/nodeSelector\", \"value\": {\"nowhere\": \"true\"}}]\n")}
	r, err := compiler.Compile(t.Context(), fleet, compiler.Options{})
	if err != nil || len(r.Problems) > 0 {
		t.Fatal(err, r.Problems)
	}
	for _, o := range r.Objects {
		if o.Kind == "Pod" {
			if err := json.Unmarshal(o.Body, &pod); err != nil {
				t.Fatal(err)
			}
			return pod, o.Hash
		}
	}
	t.Fatal("no Pod")
	return pod, ""
}

// TestHashKnowsWhatCanBeResized: two Pods with other resources have the same
// hash only if the API server takes the one for a resize of the other.
func TestHashKnowsWhatCanBeResized(t *testing.T) {
	t.Parallel()
	c := shared.Get(t)
	const ours, guaranteed = `{"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"memory": "256Mi"}}`, `{"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}}`
	for i, p := range []struct {
		name, before, after string
		same                bool
		// refused is whether the API server refuses. A limit that is added it would take.
		refused bool
	}{
		{"requests", ours, `{"requests": {"cpu": "2", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}`, true, false},
		{"limits", ours, `{"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"memory": "512Mi"}}`, true, false},
		{"less of all", ours, `{"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "128Mi"}}`, true, false},
		{"still guaranteed", guaranteed, `{"requests": {"cpu": "2", "memory": "2Gi"}, "limits": {"cpu": "2", "memory": "2Gi"}}`, true, false},
		{"not guaranteed any more", guaranteed, `{"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}}`, false, true},
		{"guaranteed now", `{"requests": {"cpu": "1", "memory": "512Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}}`, guaranteed, false, true},
		{"a limit less", ours, `{"requests": {"cpu": "20m", "memory": "32Mi"}}`, false, true},
		{"a request less", ours, `{"requests": {"memory": "32Mi"}, "limits": {"memory": "256Mi"}}`, false, true},
		{"another resource", `{"requests": {"cpu": "20m"}, "limits": {"ephemeral-storage": "1Gi"}}`, `{"requests": {"cpu": "20m"}, "limits": {"ephemeral-storage": "2Gi"}}`, false, true},
		{"a limit more", ours, `{"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"cpu": "1", "memory": "256Mi"}}`, false, false},
	} {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			name := fmt.Sprintf("resize-%d", i)
			fleet := small(name)
			before, was := cameraPod(t, fleet, name, p.before)
			dir, _ := write(t, fleet)
			apply(t, c, filepath.Join(dir, "camfleet-"+name))
			after, is := cameraPod(t, fleet, name, p.after)
			if (was == is) != p.same {
				t.Errorf("the hash is the same: %v, want %v", was == is, p.same)
			}
			// What a merge cannot say, a removal can.
			value, err := json.Marshal([]map[string]any{{"op": "replace", "path": "/spec/containers/0/resources", "value": after.Spec.Containers[0].Resources}})
			if err != nil {
				t.Fatal(err)
			}
			out, err := c.Kubectl(t.Context(), "patch", "pod", before.Name, "-n", "camfleet-"+name, "--subresource", "resize", "--type", "json", "-p", string(value)).CombinedOutput()
			if (err != nil) != p.refused {
				t.Errorf("the API server refuses: %v, want %v\n%s", err != nil, p.refused, out)
			}
			if p.refused && !strings.Contains(string(out), "is invalid") {
				t.Errorf("it refuses for another reason: %s", out)
			}
		})
	}
}
