package manifests

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestApply installs every overlay over the one before, on a real API server
// with Pod Security on: no warning, and nothing to do the second time.
func TestApply(t *testing.T) {
	c := shared.Get(t)
	out, err := c.Kubectl(t.Context(), "apply", "-f", "testdata/monitoring.yaml").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err = c.Kubectl(t.Context(), "wait", "--for=condition=Established", "crd", "--all", "--timeout=30s").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, folder := range overlays(t) {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			Apply(t, c, folder)
			for line := range strings.Lines(Apply(t, c, folder)) {
				// kubectl always sends the selector of a PodDisruptionBudget (patchStrategy replace).
				if !strings.HasSuffix(strings.TrimSpace(line), " unchanged") && !strings.HasPrefix(line, "poddisruptionbudget") {
					t.Errorf("applied again: %s", line)
				}
			}
			diff, err := c.Kubectl(t.Context(), "diff", "-k", folder).CombinedOutput()
			if err != nil || len(diff) > 0 {
				t.Errorf("kubectl diff: %v\n%s", err, diff)
			}
		})
	}
	// Pods that wait for their Secrets are the kubelet's business; kwok's nodes have none.
	out, err = c.Kubectl(t.Context(), "-n", Namespace, "rollout", "status", "deployment/camfleet", "--timeout=60s").CombinedOutput()
	if err != nil {
		t.Errorf("the API server takes the Deployment, and not its Pods: %v\n%s", err, out)
	}
	// What the tests below install, and what they count, is theirs alone.
	for _, folder := range overlays(t) {
		out, err = c.Kubectl(t.Context(), "delete", "-k", folder, "--ignore-not-found", "--timeout=60s").CombinedOutput()
		if err != nil {
			t.Errorf("kubectl delete -k %s: %v\n%s", folder, err, out)
		}
	}
}
