package diagnose

import (
	gopath "path"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"

	"camfleet.dev/compiler/internal/load"
	"camfleet.dev/compiler/object"
)

// Index knows where the fields of a package stand in the user's files. It is
// made from the syntax alone, so that it outlives the CUE context, which it
// would otherwise keep in memory for the whole compile.
type Index struct {
	fields map[string]place
	extra  map[string]object.Position
	dir    string // the package's folder
	// fallback is what a position is when nothing better is known: the
	// package's first file, or its folder.
	fallback string
}

type place struct {
	label, value object.Position
	text         string // a literal as written, to say what was wrong with it
	constrained  bool   // the value is A & B
}

// NewIndex indexes a package's files, which are in the folder dir.
func NewIndex(files []*ast.File, dir string) *Index {
	ix := &Index{fields: map[string]place{}, extra: map[string]object.Position{}, dir: dir, fallback: dir}
	for _, f := range files {
		if ix.fallback == dir && gopath.Dir(f.Filename) == gopath.Clean(dir) {
			ix.fallback = f.Filename
		}
		ix.decls(nil, f.Decls)
	}
	return ix
}

// decls takes in fields that stand in the files as they are. What comes from a
// comprehension, a pattern or a definition has its position from elsewhere.
func (ix *Index) decls(at path, decls []ast.Decl) {
	for _, d := range decls {
		switch d := d.(type) {
		case *ast.Field:
			if name, ok := fieldName(d); ok {
				ix.field(at.add(name), d)
			}
		case *ast.EmbedDecl:
			ix.expr(at, d.Expr)
		}
	}
}

func fieldName(f *ast.Field) (string, bool) {
	label := f.Label
	if a, ok := label.(*ast.Alias); ok {
		e, isLabel := a.Expr.(ast.Label)
		if !isLabel {
			return "", false
		}
		label = e
	}
	if _, isPattern := label.(*ast.ListLit); isPattern {
		return "", false
	}
	name, _, err := ast.LabelName(label)
	return name, err == nil
}

func (ix *Index) field(at path, f *ast.Field) {
	key := at.String()
	_, constrained := f.Value.(*ast.BinaryExpr) // `site: schema.#Site & {…}` is the site rather than `site: cameras: …`
	if p, seen := ix.fields[key]; (!seen || constrained && !p.constrained) && len(at) < 32 {
		p := place{label: ix.position(f.Label.Pos()), constrained: constrained}
		p.value = p.label
		if f.Value != nil && !isStruct(f.Value) {
			p.value, p.text = ix.position(f.Value.Pos()), literalText(f.Value)
		}
		ix.fields[key] = p
	}
	if f.Value != nil && len(at) < 32 {
		ix.expr(at, f.Value)
	}
}

func (ix *Index) expr(at path, e ast.Expr) {
	switch e := e.(type) {
	case *ast.StructLit:
		ix.decls(at, e.Elts)
	case *ast.ListLit:
		for i, elem := range e.Elts {
			key := at.add(strconv.Itoa(i))
			if _, seen := ix.fields[key.String()]; !seen {
				p := ix.position(elem.Pos())
				ix.fields[key.String()] = place{label: p, value: p, text: literalText(elem)}
			}
			ix.expr(key, elem)
		}
	case *ast.ParenExpr:
		ix.expr(at, e.X)
	case *ast.Alias:
		ix.expr(at, e.Expr)
	case *ast.BinaryExpr:
		if e.Op == token.AND {
			ix.expr(at, e.X)
			ix.expr(at, e.Y)
		}
	}
}

func literalText(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		return e.Value
	case *ast.UnaryExpr:
		if x, ok := e.X.(*ast.BasicLit); ok && e.Op == token.SUB {
			return "-" + x.Value
		}
	case *ast.StructLit:
		return "{…}"
	case *ast.ListLit:
		return "[…]"
	}
	return ""
}

func isStruct(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.StructLit:
		return true
	case *ast.ParenExpr:
		return isStruct(e.X)
	case *ast.BinaryExpr:
		return e.Op == token.AND && (isStruct(e.X) || isStruct(e.Y))
	}
	return false
}

// position is p as a place in the user's files, or the zero Position.
func (ix *Index) position(p token.Pos) object.Position {
	if !p.IsValid() || load.SchemaFile(p.Filename()) {
		return object.Position{}
	}
	file := p.Filename()
	if !strings.HasSuffix(file, ".cue") {
		file = gopath.Join(ix.dir, file) // embedded: named from the package's folder
	}
	return object.Position{File: file, Line: p.Line(), Column: p.Column()}
}

// Add remembers a place that the syntax does not show.
func (ix *Index) Add(p object.Position, labels ...string) {
	if key := path(labels).String(); p.File != "" {
		ix.extra[key] = p
	}
}

// Learn remembers the places of a map's entries that the syntax does not show,
// because a comprehension makes them: an entry is where one of its own fields is.
func (ix *Index) Learn(entries cue.Value, own []string, labels ...string) {
	it, err := entries.Fields()
	for err == nil && it.Next() {
		at := path(labels).add(it.Selector().Unquoted())
		if _, ok := ix.exact(at); ok {
			continue
		}
		for _, name := range own {
			p := ix.position(it.Value().LookupPath(cue.MakePath(cue.Str(name))).Pos())
			if p.File != "" {
				ix.Add(p, at...)
				break
			}
		}
	}
}

// Pos is where the value at a CUE path stands, or else its nearest parent.
func (ix *Index) Pos(cuePath string) object.Position {
	return ix.nearest(parsePath(cuePath))
}

func (ix *Index) nearest(at path) object.Position {
	for ; len(at) > 0; at = at[:len(at)-1] {
		if p, ok := ix.exact(at); ok {
			return p.value
		}
		if p, ok := ix.extra[at.String()]; ok {
			return p
		}
	}
	return object.Position{File: ix.fallback}
}

// exact is where the path itself stands; ok is false if the syntax does not show it.
func (ix *Index) exact(at path) (place, bool) {
	p, ok := ix.fields[at.String()]
	return p, ok && p.label.File != ""
}
