package diagnose

import (
	"fmt"
	"io/fs"
	"sync"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/parser"

	"camfleet.dev/schema"
)

// hints are the schema's own words on what a field must be, by "Camera.url".
// CUE has no words of its own for a missing field; these say what to write.
var hints = sync.OnceValue(func() map[string]string {
	h := hintReader{defs: map[string]ast.Expr{}, out: map[string]string{}}
	names, _ := fs.Glob(schema.FS, "*.cue")
	for _, name := range names {
		data, err := schema.FS.ReadFile(name)
		if err != nil {
			continue
		}
		f, err := parser.ParseFile(name, data)
		if err != nil {
			continue // the schema's tests prove that it parses
		}
		h.definitions(f)
	}
	for name, def := range h.defs {
		h.fields(name, def)
	}
	return h.out
})

// definitions are the names that users write after "schema.".
func definitions() []string {
	return []string{"#Fleet", "#Clusters", "#Servers", "#Packages", "#Site", "#Camera", "#Edge", "#Cluster", "#Server", "#Package", "#Policy", "#Storage", "#Page", "#Recording", "#Retention", "#Live", "#Location"}
}

type hintReader struct {
	defs map[string]ast.Expr
	out  map[string]string
}

func (h *hintReader) definitions(f *ast.File) {
	for _, d := range f.Decls {
		if field, ok := d.(*ast.Field); ok {
			if name, _, err := ast.LabelName(field.Label); err == nil {
				h.defs[name] = field.Value
			}
		}
	}
}

func (h *hintReader) fields(def string, e ast.Expr) {
	lit, ok := e.(*ast.StructLit)
	if !ok {
		return
	}
	for _, d := range lit.Elts {
		switch d := d.(type) {
		case *ast.EmbedDecl:
			if id, ok := d.Expr.(*ast.Ident); ok && id.Name != def {
				h.fields(def, h.defs[id.Name])
			}
		case *ast.Field:
			name, _, err := ast.LabelName(d.Label)
			if words := h.words(d.Value, 0); err == nil && words != "" {
				h.out[fmt.Sprintf("%s.%s", def[1:], name)] = words
			}
		}
	}
}

// words finds the error("…") in a constraint, through references.
func (h *hintReader) words(e ast.Expr, depth int) string {
	if depth > 8 {
		return ""
	}
	switch e := e.(type) {
	case *ast.BinaryExpr:
		if w := h.words(e.Y, depth+1); w != "" {
			return w
		}
		return h.words(e.X, depth+1)
	case *ast.ParenExpr:
		return h.words(e.X, depth+1)
	case *ast.Ident:
		if def := h.defs[e.Name]; def != nil {
			return h.words(def, depth+1)
		}
	case *ast.CallExpr:
		if id, ok := e.Fun.(*ast.Ident); !ok || id.Name != "error" || len(e.Args) != 1 {
			return ""
		}
		if lit, ok := e.Args[0].(*ast.BasicLit); ok {
			s, _ := literal.Unquote(lit.Value)
			return s
		}
	}
	return ""
}
