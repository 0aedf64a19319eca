package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The budget of a file and a function, in lines. Long test tables are code too.
const (
	maxFile     = 400
	maxFunction = 120
	usualLength = 60   // of a function …
	usualShare  = 0.95 // … in this share of all
)

// TestBudget holds the size budget, and a few habits that a parser can see.
func TestBudget(t *testing.T) {
	t.Parallel()
	functions, usual := 0, 0
	for _, name := range root(t, "git", "ls-files", "*.go") {
		src, err := os.ReadFile(filepath.Join("..", "..", name))
		if os.IsNotExist(err) {
			continue // deleted, not committed yet
		} else if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(src), "\n"); n > maxFile && !strings.HasSuffix(name, "_test.go") {
			t.Errorf("%s: %d lines, the budget is %d", name, n, maxFile)
		}
		for _, f := range funcs(t, name, src) {
			functions++
			if f.lines <= usualLength {
				usual++
			}
			if f.lines > maxFunction {
				t.Errorf("%s:%d: %s has %d lines, the budget is %d", name, f.line, f.name, f.lines, maxFunction)
			}
			if f.name == "init" {
				t.Errorf("%s:%d: init(): wire things where they are used", name, f.line)
			}
			if f.sleeps && strings.HasSuffix(name, "_test.go") {
				t.Errorf("%s:%d: %s sleeps: wait for what you wait for", name, f.line, f.name)
			}
		}
	}
	if share := float64(usual) / float64(functions); share < usualShare {
		t.Errorf("%.1f %% of %d functions have at most %d lines, want %.0f %%", 100*share, functions, usualLength, 100*usualShare)
	}
}

type function struct {
	name        string
	line, lines int
	sleeps      bool
}

func funcs(t *testing.T, name string, src []byte) []function {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, src, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var found []function
	for _, d := range file.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		start, end := fset.Position(fn.Pos()).Line, fset.Position(fn.End()).Line
		found = append(found, function{fn.Name.Name, start, end - start + 1, sleeps(fn)})
	}
	return found
}

// sleeps tells whether a function calls time.Sleep.
func sleeps(fn *ast.FuncDecl) bool {
	found := false
	ast.Inspect(fn, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		pkg, ok := sel.X.(*ast.Ident)
		found = found || ok && pkg.Name == "time" && sel.Sel.Name == "Sleep"
		return true
	})
	return found
}
