package story

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"camfleet.dev/hack/manifests"
	"camfleet.dev/reconciler/status"
)

// overlay is what README.md of manifests/ tells to write, for a closed network.
const overlay = `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
- %[1]s/base
components:
- %[1]s/components/git-token
- %[1]s/components/private-ca
- %[1]s/components/webhook
configMapGenerator:
- name: camfleet-settings
  namespace: camfleet-system
  behavior: merge
  literals:
  - REPOSITORY=%[2]s
  - CLUSTER=%[3]s
- name: camfleet-ca
  namespace: camfleet-system
  files: [ca.crt]
images:
- name: camfleet
  newName: %[4]s/camfleet
  newTag: story
`

// install installs the reconciler, which finds the fleet as somebody applied it by
// hand, and replaces nothing.
func (w *world) install() {
	w.Helper()
	before := w.pods()
	authority := w.serveGit()
	dir := w.TempDir()
	folder, err := filepath.Rel(dir, manifests.Folder(""))
	w.must(err)
	w.must(os.WriteFile(filepath.Join(dir, "ca.crt"), authority, 0o600))
	w.must(os.WriteFile(filepath.Join(dir, "kustomization.yaml"), fmt.Appendf(nil, overlay, folder, w.gitURL, cluster, w.c.Registry), 0o600))
	manifests.Apply(w.T, w.c.Cluster, dir)
	w.kubectl("create", "secret", "generic", "-n", manifests.Namespace, "camfleet-git", "--from-literal=token="+gitToken)
	w.kubectl("create", "secret", "generic", "-n", manifests.Namespace, "camfleet-hook", "--from-literal=secret="+hookSecret)
	w.kubectl("rollout", "status", "-n", manifests.Namespace, "deployment/camfleet", "--timeout=120s")
	w.synced(w.repo.Git("rev-parse", "HEAD"))
	for name, uid := range before {
		if after := w.pods()[name]; after != uid {
			w.Errorf("%s is another Pod since the reconciler took over", name)
		}
	}
}

// pods are the uids of the camera Pods by name.
func (w *world) pods() map[string]string {
	w.Helper()
	found := map[string]string{}
	out := w.kubectl("get", "pods", "-n", namespace, "-l", "camfleet.dev/role=camera", "-o", `jsonpath={range .items[*]}{.metadata.name} {.metadata.uid}{"\n"}{end}`)
	for line := range strings.Lines(out) {
		if name, uid, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			found[name] = uid
		}
	}
	return found
}

// status is what `camfleet status` tells of the cluster.
func (w *world) status() (status.Status, error) {
	var s status.Status
	out, err := w.tryCamfleet("status", "--namespace", manifests.Namespace, "-o", "json")
	if s2 := json.Unmarshal([]byte(out), &s); s2 != nil {
		return s, fmt.Errorf("camfleet status: %w: %.300s (%v)", s2, out, err)
	}
	return s, nil
}

// synced waits until a commit is live and says how long it took.
func (w *world) synced(commit string) time.Duration {
	w.Helper()
	return w.within(90*time.Second, "commit "+commit[:8]+" is live", func() error {
		s, err := w.status()
		if err == nil && (s.Commit != commit || s.State != status.Synced) {
			err = fmt.Errorf("the status is %s at commit %s: %s", s.State, s.Commit, s.Summary)
		}
		return err
	})
}
