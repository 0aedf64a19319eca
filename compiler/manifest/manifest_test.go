package manifest_test

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"camfleet.dev/compiler"
	"camfleet.dev/compiler/manifest"
	"camfleet.dev/compiler/object"
)

func example(t *testing.T) []object.Object {
	t.Helper()
	r, err := compiler.Compile(t.Context(), os.DirFS("../../sites"), compiler.Options{})
	if err != nil || len(r.Problems) > 0 {
		t.Fatal(err, r.Problems)
	}
	return r.Objects
}

// TestFiles: every object is there once and whole, in the same files each time.
func TestFiles(t *testing.T) {
	t.Parallel()
	objects := example(t)
	files, err := manifest.Files(objects)
	if err != nil || len(files) != len(objects) {
		t.Fatalf("%d objects in %d files: %v", len(objects), len(files), err)
	}
	bodies := map[string]bool{}
	for _, o := range objects {
		bodies[string(o.Body)] = true
	}
	for _, f := range files {
		body, err := yaml.YAMLToJSONStrict(f.Data)
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		var v any
		if err := json.Unmarshal(body, &v); err != nil {
			t.Fatal(err)
		}
		if body, err = json.Marshal(v); err != nil || !bodies[string(body)] {
			t.Errorf("%s is none of the objects (%v)", f.Name, err)
		}
		delete(bodies, string(body))
	}
	slices.Reverse(objects)
	again, err := manifest.Files(objects)
	if err != nil || !slices.EqualFunc(files, again, func(a, b manifest.File) bool { return a.Name == b.Name && bytes.Equal(a.Data, b.Data) }) {
		t.Errorf("another order gives other files (%v)", err)
	}
}

// TestOrder: in each folder, and over all of them, what others need comes first.
func TestOrder(t *testing.T) {
	t.Parallel()
	files, err := manifest.Files(example(t))
	if err != nil {
		t.Fatal(err)
	}
	order := []string{"namespace", "configmap", "networkpolicy", "persistentvolumeclaim", "service", "cronjob", "deployment", "pod"}
	last, folder := 0, ""
	for _, f := range files {
		dir, name, _ := strings.Cut(f.Name, "/")
		if dir != folder {
			last, folder = 0, dir
			if name != "0-namespace-"+dir+".yaml" {
				t.Errorf("%s begins with %s", dir, name)
			}
		}
		kind := strings.Split(name, "-")[1]
		at := slices.Index(order, kind)
		if at < last {
			t.Errorf("%s comes after %ss", f.Name, order[last])
		}
		last = at
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	one := func(kind, namespace, name string) object.Object {
		return object.Object{ID: object.ID{Kind: kind, Namespace: namespace, Name: name}, Body: json.RawMessage(`{}`)}
	}
	files, err := manifest.Files([]object.Object{one("Ingress", "camfleet-gate", "page"), one("Namespace", "", "camfleet-gate")})
	if err != nil || files[0].Name != "camfleet-gate/0-namespace-camfleet-gate.yaml" || files[1].Name != "camfleet-gate/2-ingress-page.yaml" {
		t.Errorf("got %v, %v", files, err)
	}
	for _, o := range []object.Object{
		one("Pod", "camfleet-gate", "../../x"), one("Pod", "..", "x"), one("Pod", "camfleet-gate", ""), one("Pod", "a/b", "x"), one("../Pod", "a", "x"), one("Pod", "a", "x\x00"),
	} {
		if files, err := manifest.Files([]object.Object{o}); err == nil {
			t.Errorf("%s became %s", o.ID, files[0].Name)
		}
	}
	if _, err := manifest.Files([]object.Object{one("Role", "a", "x"), one("role", "a", "x")}); err == nil {
		t.Error("two objects in one file")
	}
	if files, err := manifest.Files(nil); err != nil || len(files) != 0 {
		t.Errorf("nothing gives %v, %v", files, err)
	}
}
