package cptest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pod is a Pod as our cameras' are: good for Pod Security "restricted", with a claim.
const pod = `{
  "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "%s"},
  "spec": {
    "automountServiceAccountToken": false,
    "securityContext": {"runAsNonRoot": true, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [{
      "name": "main", "image": "example.invalid/camera",
      "securityContext": {"privileged": %t, "allowPrivilegeEscalation": %t, "capabilities": {"drop": ["ALL"]}},
      "volumeMounts": [{"name": "archive", "mountPath": "/archive"}]
    }],
    "volumes": [{"name": "archive", "persistentVolumeClaim": {"claimName": "archive"}}]
  }
}`

const claim = `{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "archive"},
  "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}`

// bounded is a context that ends before the test binary does.
func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// must runs kubectl and returns what it said.
func must(t *testing.T, cmd *exec.Cmd, stdin string) string {
	t.Helper()
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args[2:], " "), err, out)
	}
	return string(out)
}

// mustNot runs kubectl, which is to be refused with these words.
func mustNot(t *testing.T, cmd *exec.Cmd, stdin string, words ...string) {
	t.Helper()
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatalf("%s: not refused\n%s", strings.Join(cmd.Args[2:], " "), out)
	}
	for _, w := range words {
		if !strings.Contains(string(out), w) {
			t.Errorf("%s: %q is not in the refusal:\n%s", strings.Join(cmd.Args[2:], " "), w, out)
		}
	}
}

// TestControlPlane starts one and shows that it is a real one: admission, the
// scheduler, the controllers and RBAC each do their work, and do it again after a crash.
func TestControlPlane(t *testing.T) {
	c := Start(t, Options{Nodes: 3, Audit: true})
	ctx := bounded(t)
	must(t, c.Kubectl(ctx, "create", "namespace", "site"), "")
	must(t, c.Kubectl(ctx, "label", "namespace", "site", "pod-security.kubernetes.io/enforce=restricted"), "")
	must(t, c.Kubectl(ctx, "create", "-n", "site", "-f", "-"), claim)

	t.Run("pod security", func(t *testing.T) {
		mustNot(t, c.Kubectl(ctx, "create", "-n", "site", "-f", "-"), fmt.Sprintf(pod, "bad", true, true),
			"Forbidden", `violates PodSecurity "restricted:latest"`, "privileged")
	})
	t.Run("a good Pod runs", func(t *testing.T) {
		must(t, c.Kubectl(ctx, "create", "-n", "site", "-f", "-"), fmt.Sprintf(pod, "good", false, false))
		waitReady(ctx, t, c, "good")
	})
	t.Run("kwok ends no Pod that is not ending", func(t *testing.T) {
		mustNot(t, c.Kubectl(ctx, "--kubeconfig="+c.kubeconfig(Kwok), "delete", "pod", "-n", "site", "good", "--grace-period=0"), "", "it is another one of that name")
		must(t, c.Kubectl(ctx, "create", "-n", "site", "-f", "-"), fmt.Sprintf(pod, "short", false, false))
		waitReady(ctx, t, c, "short")
		must(t, c.Kubectl(ctx, "delete", "pod", "-n", "site", "short", "--timeout=60s"), "")
	})
	t.Run("a limited account is denied", func(t *testing.T) { denied(ctx, t, c) })
	t.Run("the audit log", func(t *testing.T) {
		text, err := os.ReadFile(c.AuditLog)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{`"username":"admin"`, `"username":"system:kube-scheduler"`, `"username":"kwok"`, `"username":"system:serviceaccount:site:viewer"`} {
			if !strings.Contains(string(text), want) {
				t.Errorf("no request of %s is in the audit log", want)
			}
		}
	})
	t.Run("crash", func(t *testing.T) { crash(ctx, t, c) })
}

func waitReady(ctx context.Context, t *testing.T, c *Cluster, name string) {
	t.Helper()
	must(t, c.Kubectl(ctx, "wait", "-n", "site", "--for=condition=Ready", "--timeout=60s", "pod/"+name), "")
	if phase := must(t, c.Kubectl(ctx, "get", "-n", "site", "pod", name, "-o", "jsonpath={.status.phase} {.spec.nodeName}"), ""); !strings.HasPrefix(phase, "Running node-") {
		t.Errorf("the Pod is %q", phase)
	}
}

func denied(ctx context.Context, t *testing.T, c *Cluster) {
	must(t, c.Kubectl(ctx, "create", "serviceaccount", "-n", "site", "viewer"), "")
	must(t, c.Kubectl(ctx, "create", "rolebinding", "-n", "site", "viewer", "--clusterrole=view", "--serviceaccount=site:viewer"), "")
	token := strings.TrimSpace(must(t, c.Kubectl(ctx, "create", "token", "-n", "site", "viewer"), ""))
	kubeconfig, err := c.Kubeconfig(token)
	if err != nil {
		t.Fatal(err)
	}
	viewer := func(args ...string) *exec.Cmd {
		return c.Kubectl(ctx, append([]string{"--kubeconfig=" + kubeconfig}, args...)...)
	}
	must(t, viewer("get", "pods", "-n", "site"), "")
	const who = `User "system:serviceaccount:site:viewer" cannot `
	mustNot(t, viewer("delete", "pod", "-n", "site", "good"), "", "Forbidden", who+"delete")
	mustNot(t, viewer("get", "pods", "-n", "default"), "", "Forbidden", who+"list")
	mustNot(t, c.Kubectl(ctx, "--kubeconfig="+mustKubeconfig(t, c, "wrong"), "get", "pods"), "", "Unauthorized")
}

func mustKubeconfig(t *testing.T, c *Cluster, token string) string {
	t.Helper()
	path, err := c.Kubeconfig(token)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// crash kills etcd and the apiserver, at different moments, and finds everything there after.
func crash(ctx context.Context, t *testing.T, c *Cluster) {
	for _, name := range []Component{APIServer, Etcd, Kwok} {
		if err := c.Stop(ctx, name, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if pid := c.PID(name); pid != 0 {
			t.Errorf("%s is process %d after it was killed", name, pid)
		}
	}
	mustNot(t, c.Kubectl(ctx, "get", "pods"), "", "refused")
	for _, name := range []Component{Etcd, APIServer, Kwok} {
		if err := c.Run(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	// etcd alone: the apiserver stays, and answers again once etcd does.
	if err := c.Stop(ctx, Etcd, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := c.Run(ctx, Etcd); err != nil {
		t.Fatal(err)
	}
	if err := c.poll(ctx, "the apiserver is ready again", c.apiserverReady); err != nil {
		t.Fatal(err)
	}
	waitReady(ctx, t, c, "good")
	must(t, c.Kubectl(ctx, "create", "-n", "site", "-f", "-"), fmt.Sprintf(pod, "later", false, false))
	waitReady(ctx, t, c, "later")
}
