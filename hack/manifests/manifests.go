// Package manifests helps tests with the folder manifests/: it installs it in a
// test's cluster, and lets the test be the reconciler, with its rights and no others.
//
//	token := manifests.Token(t, cp) // cp is of cptest
//	config := &rest.Config{Host: cp.Host, BearerToken: token, TLSClientConfig: rest.TLSClientConfig{CAData: cp.CA}}
package manifests

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"camfleet.dev/hack/cptest"
)

// Where the reconciler lives, and who it is there.
const (
	Namespace = "camfleet-system"
	Account   = "camfleet"
)

// patience is how long something may take that takes a moment.
const patience = 30 * time.Second

// Folder is the path of a folder of manifests/, such as "overlays/default".
func Folder(name string) string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "manifests", name)
}

// Token is a token of the reconciler's ServiceAccount. Rights and policy
// (manifests/rbac) are applied, and in force, when it returns.
func Token(t testing.TB, c *cptest.Cluster) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	Apply(t, c, Folder("rbac"))
	token := TokenOf(t, c, Account)
	path, err := c.Kubeconfig(token)
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(path) //nolint:errcheck // goes with the cluster's folder, too
	if err := enforced(ctx, c, path); err != nil {
		t.Fatal(err)
	}
	return token
}

// Apply is `kubectl apply -k`. A warning of the API server is a failure.
func Apply(t testing.TB, c *cptest.Cluster, folder string) string {
	t.Helper()
	out, err := c.Kubectl(t.Context(), "apply", "-k", folder).CombinedOutput()
	if err != nil || strings.Contains(string(out), "Warning") {
		t.Fatalf("kubectl apply -k %s: %v\n%s", folder, err, out)
	}
	return string(out)
}

// TokenOf is a token of a ServiceAccount in the reconciler's namespace.
func TokenOf(t testing.TB, c *cptest.Cluster, account string) string {
	t.Helper()
	out, err := c.Kubectl(t.Context(), "create", "token", account, "--namespace", Namespace, "--duration", "6h").Output()
	if err != nil {
		t.Fatalf("asking for a token of %s: %v", account, err)
	}
	return strings.TrimSpace(string(out))
}

// enforced waits until the API server enforces rights and policy: it reads both
// from watches. The question is one that only the policy says no to.
func enforced(ctx context.Context, c *cptest.Cluster, kubeconfig string) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		out, err := c.Kubectl(ctx, "--kubeconfig="+kubeconfig, "create", "configmap", "probe", "--namespace=default", "--dry-run=server").CombinedOutput()
		if err != nil && strings.Contains(string(out), "ValidatingAdmissionPolicy 'camfleet-reconciler'") {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the reconciler's rights are not in force after %v: %w; last: %s", patience, err, out)
		}
	}
}
