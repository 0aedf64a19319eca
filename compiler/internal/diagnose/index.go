package diagnose

import (
	"strconv"

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
	dir    string
}

type place struct {
	label, value object.Position
	text         string // a literal as written, to say what was wrong with it
}

// NewIndex indexes a package's files. dir is what positions fall back to when
// there is nothing better.
func NewIndex(files []*ast.File, dir string) *Index {
	ix := &Index{fields: map[string]place{}, dir: dir}
	for _, f := range files {
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
	if _, seen := ix.fields[key]; !seen && len(at) < 32 {
		p := place{label: position(f.Label.Pos())}
		p.value = p.label
		if f.Value != nil && !isStruct(f.Value) {
			p.value, p.text = position(f.Value.Pos()), literalText(f.Value)
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
				p := position(elem.Pos())
				ix.fields[key.String()] = place{p, p, literalText(elem)}
			}
			ix.expr(key, elem)
		}
	case *ast.ParenExpr:
		ix.expr(at, e.X)
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

func position(p token.Pos) object.Position {
	if !p.IsValid() || load.SchemaFile(p.Filename()) {
		return object.Position{}
	}
	return object.Position{File: p.Filename(), Line: p.Line(), Column: p.Column()}
}

// add remembers a place that the syntax does not show.
func (ix *Index) add(at path, p object.Position) {
	if _, seen := ix.fields[at.String()]; !seen && p.File != "" {
		ix.fields[at.String()] = place{label: p, value: p}
	}
}

// Pos is where the value at a CUE path stands, or else its nearest parent.
func (ix *Index) Pos(cuePath string) object.Position {
	return ix.nearest(parsePath(cuePath))
}

func (ix *Index) nearest(at path) object.Position {
	for ; len(at) > 0; at = at[:len(at)-1] {
		if p, ok := ix.fields[at.String()]; ok && p.value.File != "" {
			return p.value
		}
	}
	return object.Position{File: ix.dir}
}

// exact is where the path itself stands; ok is false if the syntax does not show it.
func (ix *Index) exact(at path) (place, bool) {
	p, ok := ix.fields[at.String()]
	return p, ok && p.label.File != ""
}
