// Package load evaluates one CUE package of a fleet's repository with the
// embedded schema, in memory: no network, no module cache, no host file system.
package load

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/cuecontext"
	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/load"
	"cuelang.org/go/mod/modfile"
	"cuelang.org/go/mod/module"

	"camfleet.dev/compiler/internal/tree"
	"camfleet.dev/schema"
)

// schemaDir is where the embedded schema is put into the tree. The name cannot
// be a Go or CUE import path, so nobody's files are hidden by it.
const schemaDir = ".camfleet-schema"

// Loader loads packages of one commit. It is safe for concurrent use: each
// Package has a CUE context of its own, because a context never frees what it
// has seen.
type Loader struct {
	fs     *tree.Tree
	module string // the repository's, without a version
}

// Package is an evaluated CUE package. Err is what was wrong with it as a
// whole: syntax, imports, references.
type Package struct {
	Value cue.Value
	Field cue.Value   // the one that counts, unified with its definition
	Files []*ast.File // the user's, in order
	Err   cueerrors.Error
}

// New prepares t for loading: the schema put in, the vendored copy of it (for
// stock CUE tools) left out, and a module file with nothing to fetch. moduleErr
// is what is wrong with the repository's own cue.mod/module.cue.
func New(t *tree.Tree) (l *Loader, moduleErr error) {
	name, err := moduleName(t)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{
		"cue.mod/module.cue": fmt.Appendf(nil, "module: %q\nlanguage: version: %q\ndeps: \"%s@v0\": {v: \"v0.1.0\", default: true}\n",
			name, schema.LanguageVersion, schema.ImportPath),
		"cue.mod/local-module.cue": fmt.Appendf(nil, "deps: \"%s@v0\": {v: \"v0.1.0\", replaceWith: \"/%s\"}\n",
			schema.ImportPath, schemaDir),
		schemaDir + "/cue.mod/module.cue": fmt.Appendf(nil, "module: \"%s@v0\"\nlanguage: version: %q\n",
			schema.ImportPath, schema.LanguageVersion),
	}
	if err := fs.WalkDir(schema.FS, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files[schemaDir+"/"+p], err = schema.FS.ReadFile(p)
		return err
	}); err != nil {
		return nil, fmt.Errorf("reading the embedded schema: %w", err)
	}
	base, _, _ := strings.Cut(name, "@")
	return &Loader{fs: t.With(files, "cue.mod", schemaDir), module: base}, nil
}

// ErrNoModule means that the repository has no cue.mod/module.cue.
var ErrNoModule = errors.New("is missing; `camfleet init --upgrade` writes it")

func moduleName(t *tree.Tree) (string, error) {
	data, err := t.ReadFile("cue.mod/module.cue")
	if errors.Is(err, fs.ErrNotExist) {
		return "", ErrNoModule
	}
	if err != nil {
		return "", err
	}
	f, err := modfile.Parse(data, "cue.mod/module.cue")
	if err != nil {
		return "", err
	}
	for dep := range f.Deps {
		return "", fmt.Errorf("depends on the module %q, but camfleet fetches none; copy what is needed into a folder of this repository", dep)
	}
	return f.QualifiedModule(), nil
}

// Package loads and evaluates the package called name in dir ("." is the root),
// and makes sure that its field of that name is the schema's definition. A panic
// of the evaluator is returned as an error of this package.
func (l *Loader) Package(dir, name, definition string) (p *Package) {
	p = &Package{}
	defer func() {
		if r := recover(); r != nil {
			p.Err = cueerrors.Promote(fmt.Errorf("CUE's evaluator failed on this package: %v", r), "")
		}
	}()
	if p.Err = l.clauses(dir, name); p.Err != nil {
		return p
	}
	inst := l.instance(pattern(dir))
	p.Files = inst.Files
	if inst.Err != nil {
		p.Err = inst.Err
		return p
	}
	if p.Err = numbers(inst, map[*build.Instance]bool{}); p.Err != nil {
		return p
	}
	ctx := cuecontext.New()
	p.Value = ctx.BuildInstance(inst)
	p.Field = p.Value.LookupPath(cue.MakePath(cue.Str(name)))
	if p.Field.Exists() && !conforms(p.Files, name, definition) {
		def := ctx.BuildInstance(l.instance(schema.ImportPath)).LookupPath(cue.ParsePath(definition))
		p.Field = def.Unify(p.Field)
	}
	return p
}

func (l *Loader) instance(what string) *build.Instance {
	return load.Instances([]string{what}, &load.Config{
		FS: l.fs, Dir: "/", Registry: noRegistry{}, Env: []string{}, FromFSPath: shownName,
	})[0]
}

func pattern(dir string) string {
	if dir == "." {
		return "."
	}
	return "./" + dir
}

// shownName is a file's name in messages: relative to the repository, or a
// name that SchemaFile knows.
func shownName(p string) string {
	if p = strings.TrimPrefix(path.Clean(p), "/"); p == "" {
		return "." // embedding refuses a module root without a name
	}
	if rest, ok := strings.CutPrefix(p, schemaDir); ok {
		return schema.ImportPath + rest
	}
	return p
}

// SchemaFile reports whether a position's file is the embedded schema's (or
// CUE's own): of no use to somebody who cannot edit it.
func SchemaFile(name string) bool {
	return name == "" || strings.HasPrefix(name, schema.ImportPath+"/")
}

// noRegistry is a registry with nothing in it: imports are the schema, CUE's
// standard library and the repository's own packages.
type noRegistry struct{}

var errNoFetch = errors.New("camfleet fetches no modules; import camfleet.dev/schema, CUE's standard library or a package of this repository")

func (noRegistry) ModFile(context.Context, module.Version) (*modfile.File, error) {
	return nil, errNoFetch
}

func (noRegistry) Fetch(context.Context, module.Version) (module.SourceLoc, error) {
	return module.SourceLoc{}, errNoFetch
}

func (noRegistry) ModuleVersions(context.Context, string) ([]string, error) {
	return nil, nil
}
