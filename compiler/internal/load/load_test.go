package load

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/mod/module"

	"camfleet.dev/compiler/internal/tree"
	"camfleet.dev/schema"
)

const moduleFile = "module: \"example.com/fleet@v0\"\nlanguage: version: \"v0.9.0\"\n"

func treeOf(t *testing.T, files map[string]string) *tree.Tree {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, data := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(data), Mode: 0o644}
	}
	tr, _, problems, err := tree.Read(t.Context(), fsys, tree.Limits{Files: 100, FileBytes: 1 << 20, Bytes: 1 << 20})
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	return tr
}

func loader(t *testing.T, files map[string]string) *Loader {
	t.Helper()
	if files["cue.mod/module.cue"] == "" {
		files["cue.mod/module.cue"] = moduleFile
	}
	l, err := New(treeOf(t, files))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestModuleFile(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ data, want string }{
		"missing":      {"", "init --upgrade"},
		"no CUE":       {"module {", "expected"},
		"no module":    {"language: version: \"v0.9.0\"\n", "module"},
		"dependencies": {moduleFile + "deps: \"x.org/y@v0\": v: \"v0.1.0\"\n", "fetches none"},
		"too new":      {"module: \"x.org/y@v0\"\nlanguage: version: \"v99.0.0\"\n", "version"},
	} {
		files := map[string]string{"fleet.cue": "package fleet\n"}
		if c.data != "" {
			files["cue.mod/module.cue"] = c.data
		}
		if _, err := New(treeOf(t, files)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New(treeOf(t, map[string]string{"x.cue": ""})); !errors.Is(err, ErrNoModule) {
		t.Error(err)
	}
}

const site = "package site\nimport s \"camfleet.dev/schema\"\nsite: s.#Site & {cluster: \"home\", timeZone: \"UTC\", storage: size: \"1Ti\"}\n"

func TestPackage(t *testing.T) {
	t.Parallel()
	l := loader(t, map[string]string{
		"sites/a/x.cue": site, "sites/a/y.cue": "package site\nsite: cameras: north: url: \"rtsp://10.0.0.1/\"\n",
		"sites/a/_ignored.cue": "package other\n",
		"sites/bare/x.cue":     "package site\nsite: cameras: north: {url: \"rtsp://10.0.0.1/\"}\n",
	})
	p := l.Package("sites/a", "site", "#Site")
	if p.Err != nil || p.Field.Validate(cue.Concrete(true)) != nil || len(p.Files) != 2 {
		t.Fatalf("%v, %v, %d files", p.Err, p.Field.Validate(cue.Concrete(true)), len(p.Files))
	}
	if transport, err := p.Field.LookupPath(cue.ParsePath("cameras.north.transport")).String(); err != nil || transport != "tcp" {
		t.Errorf("default: %q, %v", transport, err)
	}
	if got := p.Files[0].Filename; got != "sites/a/x.cue" {
		t.Errorf("the file is called %q", got)
	}
	bare := l.Package("sites/bare", "site", "#Site")
	if transport, err := bare.Field.LookupPath(cue.ParsePath("cameras.north.transport")).String(); err != nil || transport != "tcp" {
		t.Errorf("a site that does not say schema.#Site: %q, %v", transport, err)
	}
	if bare.Field.Validate(cue.Concrete(true)) == nil {
		t.Error("and it is not checked")
	}
}

func TestPackageErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ data, want string }{
		"syntax":        {"package site\nsite: {{", "x.cue:2"},
		"clause":        {"package sites\n", "`package site`"},
		"no clause":     {"site: {}\n", "first line must be"},
		"fetch":         {"package site\nimport \"x.org/y\"\nsite: y\n", "fetches no modules"},
		"fetch by @":    {"package site\nimport \"x.org/y@v1:z\"\nsite: z\n", "fetches no modules"},
		"own, missing":  {"package site\nimport \"example.com/fleet/nope\"\nsite: nope\n", "no CUE file in nope"},
		"transitively":  {"package site\nimport \"example.com/fleet/lib\"\nsite: lib.x\n", "x.org/deep"},
		"two at a time": {"package site\nimport (\n\"x.org/a\"\n\"x.org/b\"\n)\nsite: a.x & b.y\n", "x.org/b"},
	} {
		l := loader(t, map[string]string{"sites/a/x.cue": c.data, "lib/lib.cue": "package lib\nimport \"x.org/deep\"\nx: deep.y\n"})
		p := l.Package("sites/a", "site", "#Site")
		if p.Err == nil || !strings.Contains(cueerrors.Details(p.Err, nil), c.want) {
			t.Errorf("%s: %v", name, cueerrors.Details(p.Err, nil))
		}
	}
}

// TestOneLoaderManyPackages is for the race detector.
func TestOneLoaderManyPackages(t *testing.T) {
	t.Parallel()
	files := map[string]string{}
	for _, name := range []string{"a", "b", "c", "d"} {
		files["sites/"+name+"/x.cue"] = strings.ReplaceAll(site, "home", name)
	}
	l := loader(t, files)
	var wg sync.WaitGroup
	for _, name := range []string{"a", "b", "c", "d", "a", "b"} {
		wg.Go(func() {
			p := l.Package("sites/"+name, "site", "#Site")
			if got, err := p.Field.LookupPath(cue.ParsePath("cluster")).String(); err != nil || got != name {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		})
	}
	wg.Wait()
}

func TestConforms(t *testing.T) {
	t.Parallel()
	imports := "package site\nimport s \"camfleet.dev/schema\"\n"
	for src, want := range map[string]bool{
		imports + "site: s.#Site & {}": true, imports + "site: {} & (s.#Site)": true, imports + "site: s.#Site": true,
		imports + "\"site\": s.#Site":    true,
		imports + "site: s.#Site | {}":   false,
		imports + "site: s.#Camera":      false,
		imports + "sites: s.#Site":       false,
		imports + "site: x: s.#Site":     false,
		imports + "site: other.#Site":    false,
		"package site\nsite: s.#Site":    false,
		imports + "s: #Site: 5\nsite: 5": false,
	} {
		f, err := parser.ParseFile("x.cue", src)
		if err != nil {
			t.Fatal(err)
		}
		if got := conforms([]*ast.File{f}, "site", "#Site"); got != want {
			t.Errorf("%q: %v", src, got)
		}
	}
}

func TestNothingIsFetched(t *testing.T) {
	t.Parallel()
	var r noRegistry
	_, modErr := r.ModFile(t.Context(), module.Version{})
	_, fetchErr := r.Fetch(t.Context(), module.Version{})
	versions, err := r.ModuleVersions(t.Context(), "x")
	if !errors.Is(modErr, errNoFetch) || !errors.Is(fetchErr, errNoFetch) || len(versions) > 0 || err != nil {
		t.Error(modErr, fetchErr, versions, err)
	}
}

func TestSchemaFile(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		shownName("/" + schemaDir + "/site.cue"): true, "": true,
		shownName("/sites/a/x.cue"): false, "cue.mod/module.cue": false, schema.ImportPath: false,
	} {
		if SchemaFile(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}
