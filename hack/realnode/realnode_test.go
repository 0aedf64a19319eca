package realnode

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

// objects are a Pod as our cameras' are (restricted, ConfigMap, claim), its Services,
// and a Deployment of the same.
const objects = `
apiVersion: v1
kind: Namespace
metadata: {name: site, labels: {pod-security.kubernetes.io/enforce: restricted}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: site}
data: {colour: green}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: archive, namespace: site}
spec: {accessModes: [ReadWriteMany], resources: {requests: {storage: 1Ti}}}
---
apiVersion: v1
kind: Service
metadata: {name: tools, namespace: site}
spec: {clusterIP: None, selector: {app: tool}, ports: [{port: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: tool, namespace: site}
spec: {selector: {app: tool}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: tool, namespace: site, labels: {app: tool}}
spec: SPEC
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: site}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: SPEC}
`

const podSpec = `{
  hostname: one, subdomain: tools, automountServiceAccountToken: false, enableServiceLinks: false, terminationGracePeriodSeconds: 2,
  securityContext: {runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532, fsGroup: 65532, fsGroupChangePolicy: OnRootMismatch, seccompProfile: {type: RuntimeDefault}},
  containers: [{
    name: tool, image: "IMAGE",
    readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1},
    securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}},
    volumeMounts: [{name: settings, mountPath: /etc/settings}, {name: archive, mountPath: /archive, subPath: one}],
  }],
  volumes: [{name: settings, configMap: {name: settings}}, {name: archive, persistentVolumeClaim: {claimName: archive}}],
}`

// TestRealNode: a Pod as our cameras' runs, and is reached by all ways that ours are.
func TestRealNode(t *testing.T) {
	c := Start(t, Options{Nodes: 2})
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	began := time.Now()
	apply(ctx, t, c, strings.NewReplacer("SPEC", strings.ReplaceAll(podSpec, "IMAGE", c.ToolImage())).Replace(objects))
	kubectl(ctx, t, c, "wait", "-n", "site", "--for=condition=Ready", "--timeout=120s", "pod/tool")
	t.Logf("the first Pod was Ready %.1f s after kubectl apply", time.Since(began).Seconds())
	ip := kubectl(ctx, t, c, "get", "-n", "site", "pod", "tool", "-o", "jsonpath={.status.podIP}")
	pod := "http://" + ip + ":8080"

	t.Run("on its address", func(t *testing.T) {
		expect(ctx, t, pod+"/", "one")
		expect(ctx, t, pod+"/file?path=/etc/settings/colour", "green")
	})
	t.Run("by its Service", func(t *testing.T) {
		service := kubectl(ctx, t, c, "get", "-n", "site", "service", "tool", "-o", "jsonpath={.spec.clusterIP}")
		expect(ctx, t, "http://"+service+"/", "one")
		expect(ctx, t, pod+"/get?url="+url.QueryEscape("http://tool/"), "one") // itself, through the Service
	})
	t.Run("by name", func(t *testing.T) {
		for _, name := range []string{"one.tools", "one.tools.site.svc.cluster.local", "tools"} {
			expect(ctx, t, pod+"/lookup?name="+name, ip)
		}
		expect(ctx, t, pod+"/lookup?name=kubernetes.default", "10.96.0.1")
	})
	t.Run("the other way", func(t *testing.T) {
		expect(ctx, t, pod+"/get?url="+url.QueryEscape("http://"+c.Registry+"/v2/pause/tags/list"), `{"name":"pause","tags":["1"]}`)
	})
	t.Run("its log", func(t *testing.T) {
		if log := kubectl(ctx, t, c, "logs", "-n", "site", "tool"); !strings.Contains(log, "serving on :8080") {
			t.Errorf("the log is %q", log)
		}
	})
	t.Run("its volume", func(t *testing.T) { volume(t, c, pod) })
	t.Run("a change of its settings", func(t *testing.T) {
		kubectl(ctx, t, c, "patch", "-n", "site", "configmap", "settings", "--type=merge", "-p", `{"data":{"colour":"red"}}`)
		expect(ctx, t, pod+"/file?path=/etc/settings/colour", "red")
	})
	t.Run("killed", func(t *testing.T) { killed(ctx, t, c, pod) })
	t.Run("drained", func(t *testing.T) { drained(ctx, t, c) })
	t.Run("silent", func(t *testing.T) { silent(ctx, t, c) })
}

// volume: the folder belongs to the Pod's group, as fsGroup asks.
func volume(t *testing.T, c *Cluster, _ string) {
	info, err := os.Stat(filepath.Join(c.Volume("site", "archive"), "one"))
	if err != nil {
		t.Fatal(err)
	}
	if gid := gidOf(info); gid != 65532 || info.Mode().Perm()&0o020 == 0 {
		t.Errorf("the volume's folder has group %d and mode %v", gid, info.Mode())
	}
}

// killed: a container whose process dies is started again.
func killed(ctx context.Context, t *testing.T, c *Cluster, pod string) {
	if err := c.Kill(ctx, "site", "tool"); err != nil {
		t.Fatal(err)
	}
	err := poll(ctx, "the container was started again", func(ctx context.Context) error {
		if n := kubectl(ctx, t, c, "get", "-n", "site", "pod", "tool", "-o", "jsonpath={.status.containerStatuses[0].restartCount}"); n != "1" {
			return fmt.Errorf("%s restarts", n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	expect(ctx, t, pod+"/", "one")
}

// drained: the Deployment's Pod moves to the other node.
func drained(ctx context.Context, t *testing.T, c *Cluster) {
	kubectl(ctx, t, c, "rollout", "status", "-n", "site", "deployment/web", "--timeout=60s")
	where := func() string {
		return kubectl(ctx, t, c, "get", "-n", "site", "pods", "-l", "app=web", "--field-selector=status.phase=Running", "-o", "jsonpath={.items[*].spec.nodeName}")
	}
	before := where()
	kubectl(ctx, t, c, "drain", before, "--ignore-daemonsets", "--force", "--timeout=60s")
	kubectl(ctx, t, c, "rollout", "status", "-n", "site", "deployment/web", "--timeout=60s")
	if after := where(); after == before || !strings.HasPrefix(after, "node-") {
		t.Errorf("the Pod was on %q, and is on %q", before, after)
	}
	kubectl(ctx, t, c, "uncordon", before)
}

// silent: a kubelet that stops is noticed, its Pods go on; it comes back and they stay.
func silent(ctx context.Context, t *testing.T, c *Cluster) {
	where := kubectl(ctx, t, c, "get", "-n", "site", "pods", "-l", "app=web", "-o", "jsonpath={.items[0].spec.nodeName} {.items[0].status.podIP} {.items[0].metadata.uid}")
	fields := strings.Fields(where)
	i := slices.IndexFunc(c.Nodes, func(n *Node) bool { return n.Name == fields[0] })
	if err := c.Nodes[i].StopKubelet(ctx); err != nil {
		t.Fatal(err)
	}
	kubectl(ctx, t, c, "wait", "--for=condition=Ready=Unknown", "--timeout=60s", "node/"+fields[0])
	expect(ctx, t, "http://"+fields[1]+":8080/", "one")
	if err := c.Nodes[i].StartKubelet(); err != nil {
		t.Fatal(err)
	}
	kubectl(ctx, t, c, "wait", "--for=condition=Ready", "--timeout=60s", "node/"+fields[0])
	if after := kubectl(ctx, t, c, "get", "-n", "site", "pods", "-l", "app=web", "-o", "jsonpath={.items[0].spec.nodeName} {.items[0].status.podIP} {.items[0].metadata.uid}"); after != where {
		t.Errorf("the Pod was %s and is %s", where, after)
	}
}

func kubectl(ctx context.Context, t *testing.T, c *Cluster, args ...string) string {
	t.Helper()
	return must(t, c.Kubectl(ctx, args...))
}

func apply(ctx context.Context, t *testing.T, c *Cluster, text string) {
	t.Helper()
	cmd := c.Kubectl(ctx, "apply", "--server-side", "-f", "-")
	cmd.Stdin = strings.NewReader(text)
	must(t, cmd)
}

func must(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args[2:], " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// expect waits until a URL answers with a text.
func expect(ctx context.Context, t *testing.T, url, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	err := poll(ctx, url+" answers", func(ctx context.Context) error {
		got, err := fetch(ctx, url)
		if err == nil && strings.TrimSpace(got) != want {
			err = fmt.Errorf("it says %q, want %q", got, want)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func fetch(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", res.Status, text)
	}
	return string(text), err
}

func gidOf(info os.FileInfo) uint32 {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	return stat.Gid
}
