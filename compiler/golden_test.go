package compiler_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/tools/txtar"

	"camfleet.dev/compiler"
	"camfleet.dev/compiler/object"
)

var update = flag.Bool("update", false, "rewrite the expected parts of testdata/*.txtar")

// baseFiles are what every fleet of these tests has unless it has its own.
func baseFiles() map[string]string {
	return map[string]string{
		"cue.mod/module.cue": "module: \"example.com/fleet@v0\"\nlanguage: version: \"v0.17.0\"\n",
		"fleet.cue": `package fleet
import "camfleet.dev/schema"
fleet: schema.#Fleet & {name: "test", uid: "0123abcd-test"}
`,
		"clusters/home.cue": `package clusters
import "camfleet.dev/schema"
clusters: schema.#Clusters & {
	home: images: {camfleet: "registry.example/camfleet:1", nginx: "registry.example/nginx:1"}
	shop: images: {camfleet: "registry.example/camfleet:1", nginx: "registry.example/nginx:1"}
}
`,
	}
}

// fleetFS is a fleet of the base and these files; an empty file is none.
func fleetFS(files map[string]string) fstest.MapFS {
	all := baseFiles()
	for name, data := range files {
		all[name] = data
	}
	fsys := fstest.MapFS{}
	for name, data := range all {
		if data != "" {
			fsys[name] = &fstest.MapFile{Data: []byte(data), Mode: 0o644}
		}
	}
	return fsys
}

func compile(t testing.TB, fsys fs.FS, o compiler.Options) *object.Result {
	t.Helper()
	r, err := compiler.Compile(t.Context(), fsys, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestGolden compiles every testdata/*.txtar: the archive's files are the fleet
// (with the base), those in out/ are what must come of it. The comment's lines
// may set options: "cluster: NAME", "bodies" (of objects too).
func TestGolden(t *testing.T) {
	t.Parallel()
	names, _ := filepath.Glob("testdata/*.txtar")
	if len(names) < 8 {
		t.Fatalf("only %d archives", len(names))
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			t.Parallel()
			golden(t, name)
		})
	}
}

func golden(t *testing.T, name string) {
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	files, kept := map[string]string{}, []txtar.File{}
	var want []txtar.File
	for _, f := range archive.Files {
		if strings.HasPrefix(f.Name, "out/") {
			want = append(want, f)
			continue
		}
		kept = append(kept, f)
		files[f.Name] = string(f.Data)
	}
	got := outputs(t, compile(t, fleetFS(files), optionsOf(archive.Comment)), bytes.Contains(archive.Comment, []byte("\nbodies\n")))
	if *update {
		archive.Files = append(kept, got...)
		if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	compare(t, want, got)
}

func compare(t *testing.T, want, got []txtar.File) {
	t.Helper()
	for _, g := range got {
		i := slices.IndexFunc(want, func(w txtar.File) bool { return w.Name == g.Name })
		if i < 0 {
			t.Errorf("%s is new (run go test ./compiler -update):\n%s", g.Name, g.Data)
		} else if !bytes.Equal(want[i].Data, g.Data) {
			t.Errorf("%s differs (run go test ./compiler -update). got:\n%s\nwant:\n%s", g.Name, g.Data, want[i].Data)
		}
	}
	for _, w := range want {
		if !slices.ContainsFunc(got, func(g txtar.File) bool { return g.Name == w.Name }) {
			t.Errorf("%s is gone (run go test ./compiler -update)", w.Name)
		}
	}
}

func optionsOf(comment []byte) (o compiler.Options) {
	for line := range strings.Lines(string(comment)) {
		if name, ok := strings.CutPrefix(line, "cluster: "); ok {
			o.Cluster = strings.TrimSpace(name)
		}
	}
	return o
}

// outputs renders a result as the files in out/.
func outputs(t *testing.T, r *object.Result, bodies bool) []txtar.File {
	var problems, warnings, sites, objects strings.Builder
	for _, p := range r.Problems {
		fmt.Fprintln(&problems, p.Error())
	}
	for _, p := range r.Warnings {
		fmt.Fprintln(&warnings, p.Error())
	}
	fmt.Fprintf(&sites, "fleet %s broken=%v\n", r.Fleet.Name, r.Broken)
	for _, s := range r.Sites {
		fmt.Fprintf(&sites, "site %s broken=%v cameras=%v\n", s.Name, s.Broken, s.Cameras)
	}
	var files []txtar.File
	for _, o := range r.Objects {
		fmt.Fprintf(&objects, "%s from %s\n", o.ID, o.Source)
		if bodies {
			files = append(files, txtar.File{Name: "out/objects/" + o.String() + ".json", Data: pretty(t, o)})
		}
	}
	for name, b := range map[string]*strings.Builder{"out/problems": &problems, "out/warnings": &warnings, "out/sites": &sites, "out/objects.txt": &objects} {
		if b.Len() > 0 {
			files = append(files, txtar.File{Name: name, Data: []byte(b.String())})
		}
	}
	slices.SortFunc(files, func(a, b txtar.File) int { return strings.Compare(a.Name, b.Name) })
	return files
}

// pretty prints a body with what changes with the page's assets left out.
func pretty(t *testing.T, o object.Object) []byte {
	var v any
	if err := json.Unmarshal(o.Body, &v); err != nil {
		t.Fatalf("%s: %v", o.ID, err)
	}
	data, err := json.MarshalIndent(elide(v, o.Role == object.RolePage), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(data, '\n')
}

func elide(v any, page bool) any {
	switch v := v.(type) {
	case string:
		if len(v) > 500 {
			return "(elided)"
		}
	case map[string]any:
		for k := range v {
			if page && (k == object.AnnotationHash || k == "binaryData" || k == "data") {
				v[k] = "(elided)"
				continue
			}
			v[k] = elide(v[k], page)
		}
	case []any:
		for i := range v {
			v[i] = elide(v[i], page)
		}
	}
	return v
}
