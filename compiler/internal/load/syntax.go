package load

import (
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"
	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"camfleet.dev/schema"
)

// conflict finds what Git leaves in a file that it could not merge.
var conflict = regexp.MustCompile(`(?m)^(<<<<<<<|>>>>>>>) `)

// clauses checks that the CUE files of a folder are all of one package: CUE
// would leave out the others without a word, and their cameras with them.
func (l *Loader) clauses(dir, name string) (errs cueerrors.Error) {
	list, err := fs.ReadDir(l.fs, dir)
	if err != nil {
		return cueerrors.Promote(err, "")
	}
	for _, d := range list {
		if d.IsDir() || !strings.HasSuffix(d.Name(), ".cue") || strings.HasPrefix(d.Name(), "_") || strings.HasPrefix(d.Name(), ".") {
			continue
		}
		file := path.Join(dir, d.Name())
		data, err := l.fs.ReadFile(file)
		if err != nil {
			return cueerrors.Promote(err, "")
		}
		f, err := parser.ParseFile(file, data, parser.ImportsOnly)
		marker := conflict.FindIndex(data)
		switch {
		case marker != nil && !parses(file, data):
			at := token.NewFile(file, -1, len(data))
			at.SetLinesForContent(data)
			errs = cueerrors.Append(errs, cueerrors.Newf(at.Pos(marker[0], token.NoRelPos), "is a merge conflict; keep one side, and remove the lines that begin with <<<<<<<, ======= and >>>>>>>"))
		case err != nil:
			errs = cueerrors.Append(errs, cueerrors.Promote(err, ""))
		case f.PackageName() == "":
			errs = cueerrors.Append(errs, cueerrors.Newf(start(file), "has no package clause; its first line must be `package %s`", name))
		case f.PackageName() != name:
			errs = cueerrors.Append(errs, cueerrors.Newf(f.Pos(), "is in package %s, but the files of this folder must be in `package %s`", f.PackageName(), name))
		default:
			errs = cueerrors.Append(errs, l.imports(f))
		}
	}
	return errs
}

func parses(file string, data []byte) bool {
	_, err := parser.ParseFile(file, data)
	return err == nil
}

// Below lists the CUE files of a package in folders below its own. CUE does not
// read them with it, which nobody who put them there expects.
func (l *Loader) Below(dir, name string) []string {
	var files []string
	// The tree is in memory: walking it cannot fail.
	_ = fs.WalkDir(l.fs, dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(p, ".cue") || path.Dir(p) == dir {
			return err
		}
		data, err := l.fs.ReadFile(p)
		if err != nil {
			return err
		}
		if f, err := parser.ParseFile(p, data, parser.PackageClauseOnly); err == nil && f.PackageName() == name {
			files = append(files, p)
		}
		return nil
	})
	return files
}

// imports checks what a file imports before CUE does, which stops at the first
// that it does not find and has no way out to offer.
func (l *Loader) imports(f *ast.File) (errs cueerrors.Error) {
	for spec := range f.ImportSpecs() {
		full, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // CUE says so
		}
		name := ast.ParseImportPath(full).Path
		first, _, _ := strings.Cut(name, "/")
		dir, own := strings.CutPrefix(name, l.module+"/")
		switch {
		case !strings.Contains(first, ".") || name == schema.ImportPath: // CUE's standard library; ours
		case !own:
			errs = cueerrors.Append(errs, cueerrors.Newf(spec.Pos(), "camfleet fetches no modules, so %q cannot be imported; import %s, CUE's standard library, or copy what is needed into a folder of this repository (%s/…)",
				name, schema.ImportPath, l.module))
		case !l.hasCUE(dir):
			errs = cueerrors.Append(errs, cueerrors.Newf(spec.Pos(), "%q is not in this repository: there is no CUE file in %s", name, dir))
		}
	}
	return errs
}

func (l *Loader) hasCUE(dir string) bool {
	list, _ := fs.Glob(l.fs, dir+"/*.cue")
	return len(list) > 0
}

// start is a position for a file that has no syntax to point at.
func start(file string) token.Pos {
	return token.NewFile(file, -1, 1).Pos(0, token.NoRelPos)
}

// conforms reports whether the files say `name: schema.#Definition & …`
// themselves, so that unifying once more can be saved.
func conforms(files []*ast.File, name, definition string) bool {
	for _, f := range files {
		alias := importName(f)
		for _, d := range f.Decls {
			field, ok := d.(*ast.Field)
			if !ok || alias == "" {
				continue
			}
			if label, _, err := ast.LabelName(field.Label); err == nil && label == name && mentions(field.Value, alias, definition) {
				return true
			}
		}
	}
	return false
}

// importName is what a file calls the schema, or "".
func importName(f *ast.File) string {
	for spec := range f.ImportSpecs() {
		if spec.Path.Value != strconv.Quote(schema.ImportPath) {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path.Base(schema.ImportPath)
	}
	return ""
}

func mentions(e ast.Expr, alias, definition string) bool {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return mentions(e.X, alias, definition)
	case *ast.BinaryExpr:
		return e.Op == token.AND && (mentions(e.X, alias, definition) || mentions(e.Y, alias, definition))
	case *ast.SelectorExpr:
		x, ok := e.X.(*ast.Ident)
		label, _, err := ast.LabelName(e.Sel)
		return ok && err == nil && x.Name == alias && label == definition
	}
	return false
}
