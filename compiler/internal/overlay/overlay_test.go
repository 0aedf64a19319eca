package overlay

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"camfleet.dev/compiler/internal/render"
	"camfleet.dev/compiler/object"
	"camfleet.dev/schema"
)

// gate renders a site with so many cameras (cam-000 …).
func gate(t testing.TB, cameras int) []object.Object {
	t.Helper()
	site := schema.Site{
		TimeZone: "Europe/Berlin", Storage: schema.Storage{Size: 1 << 60, AccessMode: "ReadWriteMany"}, Cameras: map[string]schema.Camera{},
	}
	for i := range cameras {
		site.Cameras[fmt.Sprintf("cam-%03d", i)] = schema.Camera{
			URL: fmt.Sprintf("rtsp://10.0.0.%d/x", i%250+1), Transport: "tcp", Bitrate: 4e6, Credentials: &schema.SecretRef{Secret: "keys"},
			Recording: schema.Recording{
				Enabled: true, Segment: schema.Duration(2 * time.Second), Retention: schema.Retention{Age: schema.Duration(time.Hour)},
				Days: schema.Days{Enabled: true, Retention: schema.Retention{Age: schema.Duration(24 * time.Hour)}},
			},
		}
	}
	out := render.Site(render.Input{
		Fleet: schema.Fleet{Name: "home", UID: "fleet-0001"}, Name: "gate", Site: site,
		ClusterSpec: schema.Cluster{Images: schema.Images{Camfleet: "registry.example/camfleet:1", Nginx: "nginx:1.29"}},
		Pos:         func(string) object.Position { return object.Position{File: "sites/gate/site.cue", Line: 3} },
	})
	if len(out.Problems) > 0 {
		t.Fatal(out.Problems)
	}
	return out.Objects
}

// folder is a site's folder: names and contents in turn.
func folder(files ...string) fs.FS {
	out := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		out[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	return out
}

// applied applies a kustomization that is right.
func applied(t *testing.T, objs []object.Object, files ...string) []object.Object {
	t.Helper()
	out, problems := Apply(t.Context(), folder(files...), "gate", objs)
	if len(problems) > 0 {
		t.Fatalf("problems: %v", problems)
	}
	return out
}

func get(t *testing.T, objs []object.Object, kind, name string) object.Object {
	t.Helper()
	i := slices.IndexFunc(objs, func(o object.Object) bool { return o.Kind == kind && o.Name == name })
	if i < 0 {
		t.Fatalf("no %s %s", kind, name)
	}
	return objs[i]
}

// value reads a field of an object: value(o, "spec", "replicas").
func value(t *testing.T, o object.Object, path ...any) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(o.Body, &v); err != nil {
		t.Fatal(err)
	}
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[step]
		case int:
			v = v.([]any)[step]
		}
	}
	return v
}

func same(a, b object.Object) bool {
	return a.ID == b.ID && a.Hash == b.Hash && bytes.Equal(a.Body, b.Body) && a.Site == b.Site && a.Camera == b.Camera && a.Role == b.Role && a.Source == b.Source
}

func TestNoOverlay(t *testing.T) {
	t.Parallel()
	before := gate(t, 1)
	if after := applied(t, before, "site.cue", "package site"); !slices.EqualFunc(before, after, same) {
		t.Error("objects changed without an overlay")
	}
}

// TestNothingIsLost: what goes through kustomize untouched comes back byte for byte.
func TestNothingIsLost(t *testing.T) {
	t.Parallel()
	before := gate(t, 3)
	for name, kust := range map[string]string{
		"alone": "patches:\n- target: {kind: Nothing}\n  patch: |\n    - {op: remove, path: /spec}\n",
		"whole": "replicas:\n- {name: page, count: 1}\n",
	} {
		after := applied(t, before, File, kust)
		if len(after) != len(before) {
			t.Fatalf("%s: %d objects became %d", name, len(before), len(after))
		}
		for i := range after {
			if !same(before[i], after[i]) {
				t.Errorf("%s: %s became\n%s\nfrom\n%s", name, before[i].ID, after[i].Body, before[i].Body)
			}
		}
	}
}

const morePatch = `
patches:
- target: {kind: Pod, name: cam.*-000}
  patch: |
    - op: replace
      path: /spec/containers/0/resources/requests/cpu
      value: 250m
- target: {kind: Pod, name: cam.*-003}
  patch: |
    - op: remove
      path: /spec/containers/0/resources/limits/memory
- target: {kind: Pod, labelSelector: camfleet.dev/camera=cam-001}
  path: overlay/tolerate.yaml
`

func TestPatches(t *testing.T) {
	t.Parallel()
	before := gate(t, 4)
	after := applied(t, before, File, strings.ReplaceAll(morePatch, "cam.*", "camera-cam"), "overlay/tolerate.yaml", `
apiVersion: v1
kind: Pod
metadata: {name: any}
spec:
  priorityClassName: recording
`)
	for _, c := range []struct {
		camera  string
		restart bool
	}{{"camera-cam-000", false}, {"camera-cam-001", true}, {"camera-cam-002", false}, {"camera-cam-003", true}} {
		was, is := get(t, before, "Pod", c.camera), get(t, after, "Pod", c.camera)
		if (was.Hash != is.Hash) != c.restart {
			t.Errorf("%s: hash was %s, is %s", c.camera, was.Hash, is.Hash)
		}
		if got := value(t, is, "metadata", "annotations", object.AnnotationHash); got != is.Hash {
			t.Errorf("%s: hash %s, annotation %v", c.camera, is.Hash, got)
		}
		if was.Source != is.Source || was.Camera != is.Camera || was.Role != is.Role || was.Site != is.Site {
			t.Errorf("%s has lost where it comes from: %+v", c.camera, is)
		}
	}
	if got := value(t, get(t, after, "Pod", "camera-cam-000"), "spec", "containers", 0, "resources", "requests", "cpu"); got != "250m" {
		t.Errorf("cpu is %v", got)
	}
	if got := value(t, get(t, after, "Pod", "camera-cam-001"), "spec", "priorityClassName"); got != "recording" {
		t.Errorf("priorityClassName is %v", got)
	}
	again := applied(t, before, File, strings.ReplaceAll(morePatch, "cam.*", "camera-cam"), "overlay/tolerate.yaml", "kind: Pod\napiVersion: v1\nmetadata: {name: b}\nspec: {priorityClassName: recording}\n")
	if is, was := get(t, again, "Pod", "camera-cam-000").Hash, get(t, after, "Pod", "camera-cam-000").Hash; is != was {
		t.Errorf("the same patch gives another hash: %s, %s", was, is)
	}
}

func TestWhatRestartsNothing(t *testing.T) {
	t.Parallel()
	before := gate(t, 2)
	after := applied(t, before, File, "labels:\n- pairs: {team: yard}\n  includeTemplates: true\ncommonAnnotations: {owner: us}\n")
	for i := range after {
		if before[i].Hash != after[i].Hash {
			t.Errorf("%s: a label restarts it", after[i].ID)
		}
		if value(t, after[i], "metadata", "labels", "team") != "yard" || value(t, after[i], "metadata", "annotations", "owner") != "us" {
			t.Errorf("%s: label or annotation is missing", after[i].ID)
		}
	}
	template := []any{"spec", "template", "metadata", "labels", "team"}
	if got := value(t, get(t, after, "Deployment", "page"), template...); got != "yard" {
		t.Errorf("the page's Pods have the label %v", got)
	}
	if data := value(t, get(t, after, "ConfigMap", "camera-cam-000"), "data"); data == nil {
		t.Error("a ConfigMap's data is lost")
	}
}

func TestImages(t *testing.T) {
	t.Parallel()
	before := gate(t, 1)
	after := applied(t, before, File, "images:\n- {name: registry.example/camfleet, newName: mirror.example/camfleet, newTag: '2'}\n")
	if got := value(t, get(t, after, "Pod", "camera-cam-000"), "spec", "containers", 0, "image"); got != "mirror.example/camfleet:2" {
		t.Errorf("image is %v", got)
	}
	if get(t, after, "Pod", "camera-cam-000").Hash == get(t, before, "Pod", "camera-cam-000").Hash {
		t.Error("another image, the same hash")
	}
	if got := value(t, get(t, after, "CronJob", "days-cam-000"), "spec", "jobTemplate", "spec", "template", "spec", "containers", 0, "image"); got != "mirror.example/camfleet:2" {
		t.Errorf("the CronJob's image is %v", got)
	}
}

// TestAdditions: a site may bring objects of its own, in folders of its own.
func TestAdditions(t *testing.T) {
	t.Parallel()
	after := applied(t, gate(t, 1),
		File, "resources: [extra/ingress.yaml, more]\ncomponents: [parts/a]\nconfigMapGenerator:\n- name: notes\n  files: [extra/notes.txt, b=extra/notes.txt]\n  literals: [c=d]\n",
		"extra/ingress.yaml", "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: page}\nspec:\n  defaultBackend: {service: {name: page, port: {number: 80}}}\n",
		"extra/notes.txt", "& *not: yaml: at all",
		"more/kustomization.yaml", "resources: [../extra/service.yaml]\n",
		"extra/service.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: extra}\nspec: {selector: {a: b}, ports: [{port: 1}]}\n",
		"parts/a/kustomization.yaml", "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\npatches:\n- target: {kind: Deployment, name: page}\n  patch: '[{\"op\": \"replace\", \"path\": \"/spec/replicas\", \"value\": 2}]'\n",
	)
	for _, id := range [][2]string{{"Ingress", "page"}, {"Service", "extra"}} {
		o := get(t, after, id[0], id[1])
		if o.Namespace != "camfleet-gate" || o.Site != "gate" || o.Source.File != "sites/gate/extra/"+strings.ToLower(id[0])+".yaml" || o.Source.Line != 1 || o.Camera != "" {
			t.Errorf("%s: %+v", id, o)
		}
		for label, want := range map[string]string{object.LabelManagedBy: "camfleet", object.LabelFleet: "fleet-0001", object.LabelSite: "gate"} {
			if got := value(t, o, "metadata", "labels", label); got != want {
				t.Errorf("%s: label %s is %v", o.ID, label, got)
			}
		}
	}
	if got := value(t, get(t, after, "Deployment", "page"), "spec", "replicas"); got != 2.0 {
		t.Errorf("replicas are %v", got)
	}
	notes := slices.IndexFunc(after, func(o object.Object) bool { return strings.HasPrefix(o.Name, "notes-") })
	if notes < 0 || value(t, after[notes], "data", "notes.txt") != "& *not: yaml: at all" || value(t, after[notes], "data", "b") == nil {
		t.Errorf("the generated ConfigMap is wrong (%d)", notes)
	}
	if !slices.IsSortedFunc(after, func(a, b object.Object) int { return a.Compare(b.ID) }) {
		t.Error("objects are not sorted")
	}
}

func TestWhatMayGo(t *testing.T) {
	t.Parallel()
	const drop = "patches:\n- target: {kind: NetworkPolicy}\n  patch: |\n    $patch: delete\n    kind: x\n    metadata: {name: x}\n"
	for _, o := range applied(t, gate(t, 2), File, drop) {
		if o.Kind == "NetworkPolicy" {
			t.Errorf("%s is still there", o.ID)
		}
	}
}

// TestPartsAreTheWhole: a kustomization that treats objects alone gives the
// same, run over the whole and over parts.
func TestPartsAreTheWhole(t *testing.T) {
	t.Parallel()
	before := gate(t, 40) // 166 objects
	const alone = `
images:
- {name: nginx, newTag: '1.30'}
labels:
- pairs: {team: yard}
commonAnnotations: {a: b}
patches:
- target: {kind: Pod}
  patch: '[{"op": "add", "path": "/spec/priorityClassName", "value": "high"}]'
- target: {kind: CronJob, name: days-cam-01.}
  patch: |
    apiVersion: batch/v1
    kind: CronJob
    metadata: {name: x}
    spec: {suspend: true}
`
	parts := applied(t, before, File, alone)
	whole := applied(t, before, File, alone+"replicas:\n- {name: page, count: 1}\n")
	if len(before) <= chunk || !slices.EqualFunc(parts, whole, same) {
		t.Errorf("%d objects in parts differ from %d as a whole", len(parts), len(whole))
	}
}

func TestSizeCap(t *testing.T) {
	t.Parallel()
	objs := gate(t, 130) // 526 objects
	_, problems := Apply(t.Context(), folder(File, "replicas:\n- {name: page, count: 1}\n"), "gate", objs)
	if len(problems) != 1 || !strings.Contains(problems[0].Message, "the site has 526 objects, and such an overlay can be applied to 500") {
		t.Errorf("got %v", problems)
	}
	if after := applied(t, objs, File, "labels:\n- pairs: {team: yard}\n"); len(after) != len(objs) {
		t.Errorf("%d objects became %d", len(objs), len(after))
	}
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	objs, problems := Apply(ctx, folder(File, "labels:\n- pairs: {team: yard}\n"), "gate", gate(t, 1))
	if len(objs) > 0 || len(problems) > 0 {
		t.Errorf("got %d objects, %v", len(objs), problems)
	}
}

func BenchmarkApply(b *testing.B) {
	objs := gate(b, 100)
	site := folder(File, "labels:\n- pairs: {team: yard}\nimages:\n- {name: nginx, newTag: '2'}\n")
	for b.Loop() {
		if _, problems := Apply(b.Context(), site, "gate", objs); len(problems) > 0 {
			b.Fatal(problems)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(len(objs)), "µs/object")
}
