package compiler_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"camfleet.dev/compiler"
	"camfleet.dev/compiler/object"
)

const example = "../sites"

func marshal(t testing.TB, r *object.Result) []byte {
	t.Helper()
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func exampleFS(t testing.TB) fs.FS {
	t.Helper()
	root, err := os.OpenRoot(example)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root.FS()
}

// TestExample holds that the example fleet is right, without a warning.
func TestExample(t *testing.T) {
	t.Parallel()
	r := compile(t, exampleFS(t), compiler.Options{})
	for _, p := range slices.Concat(r.Problems, r.Warnings) {
		t.Error(p.Error())
	}
	cameras := 0
	for _, s := range r.Sites {
		cameras += len(s.Cameras)
	}
	if len(r.Sites) != 2 || cameras != 6 || len(r.Objects) < 20 {
		t.Errorf("%d sites, %d cameras, %d objects", len(r.Sites), cameras, len(r.Objects))
	}
	for _, o := range r.Objects {
		if !json.Valid(o.Body) || o.Source.Line == 0 || !strings.HasPrefix(o.Source.File, "sites/"+o.Site+"/") {
			t.Errorf("%s: from %s", o.ID, o.Source)
		}
	}
	if !slices.IsSortedFunc(r.Objects, func(a, b object.Object) int { return a.ID.Compare(b.ID) }) {
		t.Error("objects are not sorted")
	}
}

// TestPure holds that the same files give the same bytes: again, whatever runs
// at the same time, from whatever kind of file system, on whatever machine.
func TestPure(t *testing.T) {
	want := marshal(t, compile(t, exampleFS(t), compiler.Options{Parallel: 1}))
	t.Setenv("ZONEINFO", filepath.Join(t.TempDir(), "none"))
	t.Setenv("TZ", "Asia/Tokyo")
	t.Setenv("CUE_REGISTRY", "registry.example.invalid")
	t.Setenv("CUE_CACHE_DIR", t.TempDir())
	t.Setenv("CUE_EXPERIMENT", "nonsense")
	copied := fstest.MapFS{}
	if err := fs.WalkDir(exampleFS(t), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(example, p))
		copied[p] = &fstest.MapFile{Data: data}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for _, parallel := range []int{0, 1, 2, 7, 100} {
		for name, fsys := range map[string]fs.FS{"os.Root": exampleFS(t), "os.DirFS": os.DirFS(example), "a map": copied} {
			if got := marshal(t, compile(t, fsys, compiler.Options{Parallel: parallel})); !bytes.Equal(got, want) {
				t.Errorf("from %s with %d at a time: other bytes", name, parallel)
			}
		}
	}
}

// TestVendoredSchemaIsNotRead holds that the copy in a repository cannot change
// what is compiled, nor any file put where the compiler keeps its own.
func TestVendoredSchemaIsNotRead(t *testing.T) {
	t.Parallel()
	files := map[string]string{"sites/gate/site.cue": rightSite("gate", 2)}
	want := marshal(t, compile(t, fleetFS(files), compiler.Options{}))
	for _, name := range []string{
		"cue.mod/pkg/camfleet.dev/schema/x.cue", "cue.mod/usr/camfleet.dev/schema/x.cue", ".camfleet-schema/x.cue",
		"cue.mod/local-module.cue", "cue.mod/gen/x.cue",
	} {
		files[name] = "package schema\n#Site: never: _|_\n"
		if got := marshal(t, compile(t, fleetFS(files), compiler.Options{})); !bytes.Equal(got, want) {
			t.Errorf("%s changes the result:\n%s", name, got[:min(len(got), 500)])
		}
		delete(files, name)
	}
}

// rightSite is a site without a mistake, in cluster home.
func rightSite(name string, cameras int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "package site\nimport \"camfleet.dev/schema\"\nsite: schema.#Site & {\n\tcluster: \"home\"\n\ttimeZone: \"UTC\"\n\tstorage: {size: \"999999Ti\", accessMode: \"ReadWriteMany\"}\n")
	for i := range cameras {
		fmt.Fprintf(&b, "\tcameras: \"cam-%05d\": {\n\t\turl: \"rtsp://%s.example.org/%d\"\n\t\tdescription: \"Camera %d\"\n\t\tcredentials: secret: \"cameras\"\n\t\tlocation: {latitude: 52.5, longitude: 13.4, heading: 90}\n\t\trecording: retention: age: \"3d\"\n\t\tbitrate: \"2Mbps\"\n\t}\n", i, name, i, i)
	}
	return b.String() + "}\n"
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r, err := compiler.Compile(ctx, exampleFS(t), compiler.Options{}); !errors.Is(err, context.Canceled) || r != nil {
		t.Errorf("%v, %v", r, err)
	}
}

// brokenFS fails to open one file.
type brokenFS struct {
	fs.FS
	name string
}

var errDisk = errors.New("the disk is gone")

func (b brokenFS) Open(name string) (fs.File, error) {
	if name == b.name {
		return nil, errDisk
	}
	return b.FS.Open(name)
}

// TestUnreadable holds that a file system's failure is an error, never "no such
// site".
func TestUnreadable(t *testing.T) {
	t.Parallel()
	good := fleetFS(map[string]string{"sites/gate/site.cue": rightSite("gate", 1)})
	for _, name := range []string{"sites", "sites/gate", "sites/gate/site.cue", "fleet.cue", "."} {
		r, err := compiler.Compile(t.Context(), brokenFS{good, name}, compiler.Options{})
		if !errors.Is(err, errDisk) || r != nil {
			t.Errorf("%s: %v, %v", name, r, err)
		}
	}
}

// TestEmpty holds that a repository with nothing in it is a mistake, and not a
// fleet without sites.
func TestEmpty(t *testing.T) {
	t.Parallel()
	for name, fsys := range map[string]fs.FS{
		"nothing":      fstest.MapFS{},
		"a README":     fstest.MapFS{"README.md": &fstest.MapFile{Data: []byte("x")}},
		"only modules": fleetFS(map[string]string{"fleet.cue": ""}),
	} {
		r := compile(t, fsys, compiler.Options{})
		if !r.Broken || len(r.Problems) == 0 {
			t.Errorf("%s: broken %v, problems %v", name, r.Broken, r.Problems)
		}
		if p := r.Problems[0]; len(r.Problems) != 1 || !strings.HasPrefix(p.Error(), "fleet.cue: fleet: is missing") {
			t.Errorf("%s: %v", name, r.Problems)
		}
	}
	if r := compile(t, fleetFS(nil), compiler.Options{}); r.Broken || len(r.Problems) > 0 || len(r.Sites) > 0 {
		t.Errorf("a new fleet without sites: %+v", r)
	}
}

// TestPolicy: a policy that says nothing has the defaults, a fleet without one has none.
func TestPolicy(t *testing.T) {
	t.Parallel()
	for policy, want := range map[string]float64{"": 0, "policy: {}": 0.1, "policy: replaceAtOnce: 0.25": 0.25, "policy: replaceAtOnce: 1": 1} {
		fleet := "package fleet\nimport \"camfleet.dev/schema\"\nfleet: schema.#Fleet & {name: \"test\", uid: \"0123abcd-test\", " + policy + "}\n"
		r := compile(t, fleetFS(map[string]string{"fleet.cue": fleet, "sites/gate/site.cue": rightSite("gate", 1)}), compiler.Options{})
		got := 0.0
		if r.Fleet.Policy != nil {
			got = r.Fleet.Policy.ReplaceAtOnce
		}
		if len(r.Problems) > 0 || got != want {
			t.Errorf("%q gives %v, want %v (%v)", policy, got, want, r.Problems)
		}
	}
}

// TestElsewhere: whoever compiles one cluster's sites knows which ones others have,
// so that a site which has moved is not taken for one that is gone.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	two := "package clusters\nimport \"camfleet.dev/schema\"\nclusters: schema.#Clusters & {busan: images: {camfleet: \"c:1\", nginx: \"n:1\"}}\n"
	files := fleetFS(map[string]string{
		"clusters/busan.cue": two, "sites/gate/site.cue": rightSite("gate", 1),
		"sites/yard/site.cue": strings.Replace(rightSite("yard", 1), `cluster: "home"`, `cluster: "busan"`, 1),
	})
	for cluster, want := range map[string]map[string]string{"": nil, "home": {"yard": "busan"}, "busan": {"gate": "home"}} {
		r := compile(t, files, compiler.Options{Cluster: cluster})
		if len(r.Problems) > 0 || !maps.Equal(r.Elsewhere, want) || len(r.Sites)+len(r.Elsewhere) != 2 {
			t.Errorf("%q: %v, %d sites, %v", cluster, r.Elsewhere, len(r.Sites), r.Problems)
		}
	}
}
