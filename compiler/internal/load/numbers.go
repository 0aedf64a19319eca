package load

import (
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/token"
)

const (
	// maxDigits is how long a number may be written, and maxExponent how many
	// digits its exponent may have: CUE computes with larger ones wrongly
	// (1e999999999 + 1 is 2 there), or for hours.
	maxDigits   = 100
	maxExponent = 3
)

// numbers refuses numbers that nobody means, before anything computes with them:
// in the package's files, and in those of the repository that it imports.
func numbers(inst *build.Instance, seen map[*build.Instance]bool) (errs cueerrors.Error) {
	if seen[inst] {
		return nil
	}
	seen[inst] = true
	for _, f := range inst.Files {
		if SchemaFile(shownName(f.Filename)) {
			continue
		}
		ast.Walk(f, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && !modest(lit) {
				errs = cueerrors.Append(errs, cueerrors.Newf(lit.Pos(), "the number %.20s… is too large, or has too many digits, to compute with", lit.Value))
			}
			return true
		}, nil)
	}
	for _, imported := range inst.Imports {
		errs = cueerrors.Append(errs, numbers(imported, seen))
	}
	return errs
}

func modest(lit *ast.BasicLit) bool {
	switch lit.Kind {
	case token.INT:
		return len(lit.Value) <= maxDigits
	case token.FLOAT:
		at := strings.IndexAny(lit.Value, "eE")
		return len(lit.Value) <= maxDigits && (at < 0 || len(strings.TrimLeft(lit.Value[at+1:], "+-0_")) <= maxExponent)
	}
	return true
}
