package diagnose

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"camfleet.dev/compiler/object"
	"camfleet.dev/schema"
)

var (
	notFound = regexp.MustCompile(`^reference "([^"]+)" not found$`)
	unclosed = regexp.MustCompile(`^expected '([}\])])', found 'EOF'$`)
)

// wayOut adds to CUE's own words on a mistake of syntax what is probably to be
// done about it: CUE says what its parser met, and not what a person forgot.
func wayOut(message string) string {
	if m := notFound.FindStringSubmatch(message); m != nil {
		if m[1] == "schema" {
			return message + fmt.Sprintf("; add `import %q` below the package clause", schema.ImportPath)
		}
		return message + fmt.Sprintf("; if it is text, put it in quotes: %q", m[1])
	}
	if m := unclosed.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("the file ends before a closing %q; add it where it belongs", m[1])
	}
	for words, hint := range map[string]string{
		"missing ',' in":                  "put a comma or a line break here, or quotes around a value such as \"7d\"",
		"string literal not terminated":   "close it with a quotation mark on the same line",
		"expected operand, found 'EOF'":   "a value is missing; text stands in quotes",
		"expected operand, found '}'":     "a value is missing; text stands in quotes",
		"expected label or ':', found":    "a field is written `name: value`, and text in quotes",
		"expected operand, found newline": "a value is missing; text stands in quotes",
	} {
		if strings.HasPrefix(message, words) {
			return message + "; " + hint
		}
	}
	return message
}

// withoutEcho drops what a parser says at the end of a file in which it has
// lost its way before: it is the same mistake once more.
func withoutEcho(list []object.Problem) []object.Problem {
	return slices.DeleteFunc(slices.Clone(list), func(p object.Problem) bool {
		return strings.HasPrefix(p.Message, "the file ends before a closing") && slices.ContainsFunc(list, func(o object.Problem) bool {
			return o.File == p.File && o != p && (o.Line < p.Line || o.Line == p.Line && o.Column < p.Column)
		})
	})
}
