package applied_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"camfleet.dev/compiler"
	"camfleet.dev/compiler/manifest"
	"camfleet.dev/hack/cptest"
)

// shared is the API server of all tests here; each has sites of its own in it.
var shared = cptest.Shared{Options: cptest.Options{Nodes: 2}}

func TestMain(m *testing.M) { os.Exit(shared.Main(m)) }

// write compiles a fleet, and writes its files as `camfleet compile -o` does.
func write(t *testing.T, fleet fs.FS) (dir string, names []string) {
	t.Helper()
	r, err := compiler.Compile(t.Context(), fleet, compiler.Options{})
	if err != nil || len(r.Problems) > 0 {
		t.Fatal(err, r.Problems)
	}
	files, err := manifest.Files(r.Objects)
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	for _, f := range files {
		put(t, filepath.Join(dir, f.Name), f.Data)
		names = append(names, f.Name)
	}
	return dir, names
}

func put(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// apply runs kubectl, and returns what it says of each object.
func apply(t *testing.T, c *cptest.Cluster, dir string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := c.Kubectl(ctx, "apply", "--server-side", "-R", "-f", dir)
	var out, errors bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errors
	if err := cmd.Run(); err != nil || errors.Len() > 0 {
		t.Fatalf("kubectl apply: %v\n%s%s", err, &out, &errors)
	}
	return strings.Split(strings.TrimSpace(out.String()), "\n")
}

func kubectl(t *testing.T, c *cptest.Cluster, args ...string) string {
	t.Helper()
	out, err := c.Kubectl(t.Context(), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("kubectl %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// state is what must not change when the same files are applied again: UIDs
// tell an object that was made anew, generations a spec that was changed.
func state(t *testing.T, c *cptest.Cluster, namespaces ...string) string {
	t.Helper()
	var out strings.Builder
	for _, ns := range namespaces {
		out.WriteString(kubectl(t, c, "get", "namespace", ns, "-o", "jsonpath={.metadata.name} {.metadata.uid}{'\\n'}"))
		out.WriteString(kubectl(t, c, "get", "-n", ns, "-l", "app.kubernetes.io/managed-by=camfleet",
			"pvc,configmap,service,networkpolicy,ingress,cronjob,deployment,pod", "-o",
			"jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.uid} {.metadata.generation}{'\\n'}{end}"))
		// What nobody writes a status to must not be written at all.
		out.WriteString(kubectl(t, c, "get", "-n", ns, "-l", "app.kubernetes.io/managed-by=camfleet", "configmap,networkpolicy", "-o",
			"jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion}{'\\n'}{end}"))
	}
	return out.String()
}

// TestExampleOnAnEmptyCluster: one kubectl takes the whole example fleet, in
// one go and without a warning (Pod Security's among them), and changes nothing
// the second time.
func TestExampleOnAnEmptyCluster(t *testing.T) {
	t.Parallel()
	c := shared.Get(t)
	dir, names := write(t, os.DirFS("../../sites"))
	begun := time.Now()
	said := apply(t, c, dir)
	t.Logf("%d objects in %s", len(said), time.Since(begun).Round(time.Millisecond))
	if len(said) != len(names) {
		t.Errorf("%d files, and kubectl applied %d objects", len(names), len(said))
	}
	for _, line := range said {
		if !strings.HasSuffix(line, " serverside-applied") {
			t.Errorf("kubectl said %q", line)
		}
	}
	sites := []string{"camfleet-gate", "camfleet-yard"}
	before := state(t, c, sites...)
	if n := strings.Count(before, "Pod/camera-"); n != 6 {
		t.Errorf("%d camera Pods of 6:\n%s", n, before)
	}
	apply(t, c, dir)
	if after := state(t, c, sites...); after != before {
		t.Errorf("applying the same again changed something. Before:\n%s\nafter:\n%s", before, after)
	}
}

// small is a site with one camera, a door, a host, and an overlay.
func small(name string) fstest.MapFS {
	file := func(lines ...string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte(strings.Join(lines, "\n") + "\n")}
	}
	const schema = `import "camfleet.dev/schema"`
	return fstest.MapFS{
		"cue.mod/module.cue": file(`module: "example.com/fleet@v0"`, `language: version: "v0.17.0"`),
		"fleet.cue":          file("package fleet", schema, `fleet: schema.#Fleet & {name: "test", uid: "uid-`+name+`-0001"}`),
		"clusters/home.cue":  file("package clusters", schema, `clusters: schema.#Clusters & {home: images: {camfleet: "camfleet:1", nginx: "nginx:1"}}`),
		"sites/" + name + "/site.cue": file("package site", schema, `site: schema.#Site & {`,
			`	cluster: "home", timeZone: "UTC", storage: {size: "3Ti", accessMode: "ReadWriteMany"}`,
			`	page: {auth: secret: "viewers", host: "`+name+`.example.org", tlsSecret: "page-tls"}`,
			`	cameras: north: {url: "rtsp://10.0.0.1/x", credentials: secret: "cameras"}`, `}`),
		"sites/" + name + "/kustomization.yaml": file("patches:", "- target: {kind: Pod}", "  patch: |",
			`    [{"op": "add", "path": "/spec/containers/0/resources/limits/cpu", "value": "1"}]`),
	}
}

// TestSiteAlone: a site's folder is complete. With so few objects its Pod comes
// a moment after its namespace, whose service account must be there by then.
func TestSiteAlone(t *testing.T) {
	t.Parallel()
	c := shared.Get(t)
	for i := range 6 {
		name := fmt.Sprintf("small-%d", i)
		dir, names := write(t, small(name))
		if said := apply(t, c, filepath.Join(dir, "camfleet-"+name)); len(said) != len(names) {
			t.Errorf("%d files, and kubectl applied %d objects", len(names), len(said))
		}
		if got := state(t, c, "camfleet-"+name); !strings.Contains(got, "Pod/camera-north") || !strings.Contains(got, "Ingress/page") {
			t.Errorf("there is\n%s", got)
		}
	}
}

// TestStream: `camfleet compile | kubectl apply -f -` is one stream in the same order.
func TestStream(t *testing.T) {
	t.Parallel()
	c := shared.Get(t)
	dir, names := write(t, small("stream"))
	var stream bytes.Buffer
	for _, name := range names {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&stream, "---\n%s", b)
	}
	cmd := c.Kubectl(t.Context(), "apply", "--server-side", "-f", "-")
	cmd.Stdin = &stream
	if out, err := cmd.CombinedOutput(); err != nil || strings.Count(string(out), "serverside-applied") != len(names) || strings.Contains(string(out), "Warning") {
		t.Errorf("kubectl: %v\n%s", err, out)
	}
}
