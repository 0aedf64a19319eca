package compiler_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"camfleet.dev/compiler"
	"camfleet.dev/compiler/object"
)

// compileWithin compiles in a bound of time; what was begun cannot be ended, so
// that a test fails and does not wait.
func compileWithin(t *testing.T, bound time.Duration, files map[string]string) *object.Result {
	t.Helper()
	fsys, done := fleetFS(files), make(chan *object.Result, 1)
	failed := make(chan error, 1)
	go func() {
		r, err := compiler.Compile(t.Context(), fsys, compiler.Options{})
		if err != nil {
			failed <- err
			return
		}
		done <- r
	}()
	select {
	case r := <-done:
		return r
	case err := <-failed:
		t.Fatal(err)
	case <-time.After(bound):
		t.Fatalf("it still compiles after %v", bound)
	}
	return nil
}

const quantityBound = 20 * time.Second

// hostileQuantities are ways in which a quantity comes into an object that an
// overlay changes or brings; %s is the quantity.
var hostileQuantities = map[string]struct {
	files []string
	place string
}{
	"JSON patch": {[]string{"patches:\n- target: {kind: Pod}\n  patch: |\n    - {op: replace, path: /spec/containers/0/resources/requests/cpu, value: \"%s\"}\n"}, "kustomization.yaml:4"},
	"merge patch": {[]string{"patches: [{path: p.yaml}]\n", "p.yaml",
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: page, namespace: camfleet-evil}\nspec: {template: {spec: {containers: [{name: nginx, resources: {limits: {memory: \"%s\"}}}]}}}\n"}, "p.yaml:4"},
	"not quoted":       {[]string{"patches:\n- target: {kind: Pod}\n  patch: |\n    - {op: replace, path: /spec/containers/0/resources/limits/memory, value: %s}\n"}, "kustomization.yaml"},
	"in other letters": {[]string{"patches:\n- target: {kind: Pod}\n  patch: |\n    - {op: add, path: /spec/containers/0/Resources, value: {Limits: {cpu: \"%s\"}}}\n"}, "kustomization.yaml:4"},
	"init container":   {[]string{"patches:\n- target: {kind: Pod}\n  patch: '[{\"op\": \"add\", \"path\": \"/spec/initContainers\", \"value\": [{\"name\": \"x\", \"image\": \"x\", \"resources\": {\"limits\": {\"cpu\": \"%s\"}}}]}]'\n"}, "kustomization.yaml"},
	"a volume's size":  {[]string{"patches:\n- target: {kind: Pod}\n  patch: '[{\"op\": \"add\", \"path\": \"/spec/volumes/-\", \"value\": {\"name\": \"x\", \"emptyDir\": {\"sizeLimit\": \"%s\"}}}]'\n"}, "kustomization.yaml"},
	"a divisor":        {[]string{"patches:\n- target: {kind: Pod}\n  patch: '[{\"op\": \"add\", \"path\": \"/spec/containers/0/env\", \"value\": [{\"name\": \"X\", \"valueFrom\": {\"resourceFieldRef\": {\"resource\": \"limits.cpu\", \"divisor\": \"%s\"}}}]}]'\n"}, "kustomization.yaml"},
	"overhead":         {[]string{"patches:\n- target: {kind: Pod}\n  patch: '[{\"op\": \"add\", \"path\": \"/spec/overhead\", \"value\": {\"cpu\": \"%s\"}}]'\n"}, "kustomization.yaml"},
	"a claim":          {[]string{"resources: [x.yaml]\n", "x.yaml", "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: x}\nspec: {resources: {requests: {storage: \"%s\"}}}\n"}, "x.yaml:4:40"},
	"a Pod":            {[]string{"resources: [x.yaml]\n", "x.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec:\n  containers:\n  - name: x\n    resources: {requests: {cpu: \"%s\"}}\n"}, "x.yaml:7:33"},
	"a Pod in a list":  {[]string{"resources: [x.yaml]\n", "x.yaml", "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: x}\n  spec: {containers: [{name: x, resources: {requests: {cpu: \"%s\"}}}]}\n"}, "x.yaml:7"},
	"another Pod":      {[]string{"resources: [x.yaml]\n", "x.yaml", "apiVersion: v1\nkind: List\nitems:\n- apiVersion: example.org/v1\n  kind: Pod\n  metadata: {name: x}\n  spec: {containers: [{name: x, resources: {requests: {cpu: \"%s\"}}}]}\n"}, "sites/evil/"},
	"a template":       {[]string{"resources: [x.yaml]\n", "x.yaml", "apiVersion: v1\nkind: PodTemplate\nmetadata: {name: x}\ntemplate: {spec: {containers: [{name: x, resources: {requests: {cpu: \"%s\"}}}]}}\n"}, "x.yaml:4"},
}

// TestHostileQuantities: what would take hours to compute with is refused
// before anybody does.
func TestHostileQuantities(t *testing.T) {
	t.Parallel()
	for name, c := range hostileQuantities {
		for _, quantity := range []string{"1e999999999", "1e-999999999", "1E-99999999", strings.Repeat("9", 200_000)} {
			t.Run(name+"/"+quantity[:min(len(quantity), 12)], func(t *testing.T) {
				t.Parallel()
				files := map[string]string{"sites/evil/site.cue": rightSite("evil", 1), "sites/good/site.cue": rightSite("good", 1)}
				fillIn(files, c.files, quantity)
				r := compileWithin(t, quantityBound, files)
				if name == "not quoted" && len(r.Problems) == 0 {
					return // a number of YAML, and as good as 0
				}
				onlyGood(t, r)
				if p := r.Problems[0]; !strings.Contains(p.Error(), c.place) || len(p.Error()) > 700 || p.Message == "" {
					t.Errorf("want a problem at %s: %.900s", c.place, p.Error())
				}
			})
		}
	}
}

// fillIn lays an overlay's files, with the quantity in them.
func fillIn(files map[string]string, overlay []string, quantity string) {
	put := func(name, data string) {
		if strings.Contains(data, "%s") {
			data = fmt.Sprintf(data, quantity)
		}
		files["sites/evil/"+name] = data
	}
	put("kustomization.yaml", overlay[0])
	for i := 1; i < len(overlay); i += 2 {
		put(overlay[i], overlay[i+1])
	}
}

// TestLargeNumbersElsewhere: where no quantity is meant, a text stays a text.
func TestLargeNumbersElsewhere(t *testing.T) {
	t.Parallel()
	r := compileWithin(t, quantityBound, map[string]string{
		"sites/good/site.cue":           rightSite("good", 1),
		"sites/good/kustomization.yaml": "commonAnnotations: {example.org/x: \"1e999999999\"}\npatches:\n- target: {kind: Pod}\n  patch: '[{\"op\": \"add\", \"path\": \"/spec/containers/0/env\", \"value\": [{\"name\": \"X\", \"value\": \"1e-999999999\"}]}]'\n",
	})
	if len(r.Problems) > 0 {
		t.Errorf("problems: %v", r.Problems)
	}
}

// TestHostileNumbers: the same in CUE, where the schema's fields are.
func TestHostileNumbers(t *testing.T) {
	t.Parallel()
	camera := func(fields string) string {
		imports := ""
		if strings.Contains(fields, "x.Y") {
			imports = "import \"example.com/fleet/shared:x\"\n"
		}
		return "package site\nimport \"camfleet.dev/schema\"\n" + imports + "site: schema.#Site & {cluster: \"home\", timeZone: \"UTC\", storage: size: \"99Ti\"\n" +
			"cameras: a: {url: \"rtsp://10.0.0.1/\", " + fields + "}\n}\n"
	}
	for name, fields := range map[string]string{
		"cpu":          `resources: cpu: "1e999999999"`,
		"memory":       `resources: memory: "1e-999999999"`,
		"long memory":  `resources: memory: "` + strings.Repeat("9", 100_000) + `Mi"`,
		"latitude":     `location: {latitude: 1e999999999, longitude: 1}`,
		"longitude":    `location: {latitude: 1, longitude: -1e-999999999}`,
		"a sum":        `location: {latitude: 1e999999999 + 1, longitude: 1}`,
		"a product":    `location: {latitude: 1e999999999 * 1e999999999, longitude: 1}`,
		"a quotient":   `location: {latitude: 1 / 1e-999999999, longitude: 1}`,
		"many digits":  `location: {latitude: ` + strings.Repeat("9", 100_000) + `, longitude: 1}`,
		"a comparison": `location: {latitude: 1e999999999 & >1e999999998, longitude: 1}`,
		"a whole one":  `location: {latitude: int & 1e999999999, longitude: 1}`,
		"in a text":    `description: "\(1e999999999)"`,
		"bytes":        `recording: retention: bytes: "1e999999999"`,
		"an age":       `recording: retention: age: "` + strings.Repeat("9", 100_000) + `d"`,
		"K, M, G":      `location: {latitude: 999999999999999999999999999999Pi, longitude: 1}`,
		"a decimal Gi": `location: {latitude: 1.5e999999999, longitude: 1}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := compileWithin(t, quantityBound, map[string]string{"sites/evil/site.cue": camera(fields), "shared/x.cue": "package x\nY: 1e999999999 + 1\n", "sites/good/site.cue": rightSite("good", 1)})
			onlyGood(t, r)
			if p := r.Problems[0]; !strings.HasPrefix(p.Error(), "sites/evil/site.cue:") && !strings.HasPrefix(p.Error(), "shared/x.cue:2:4:") || len(p.Error()) > 1000 || p.Message == "" {
				t.Errorf("problem: %.1200s", p.Error())
			}
		})
	}
}
