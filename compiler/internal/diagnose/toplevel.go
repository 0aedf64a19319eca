package diagnose

import (
	"fmt"

	"cuelang.org/go/cue"

	"camfleet.dev/compiler/object"
)

// TopLevel checks that a package has exactly the one field that camfleet reads:
// a package is open, so that CUE accepts any other silently.
func TopLevel(v cue.Value, ix *Index, field, definition string) []object.Problem {
	var list []object.Problem
	it, err := v.Fields()
	if err != nil {
		return nil
	}
	found := false
	for it.Next() {
		name := it.Selector().Unquoted()
		if name == field {
			found = true
			continue
		}
		list = append(list, object.Problem{
			Position: ix.labelOf(path{name}, it.Value()), Path: Path(name),
			Message: fmt.Sprintf("is outside %q, which is all that camfleet reads of this package; move it into %q, or make it hidden (_%s) or a definition (#%s)", field, field, name, name),
		})
	}
	if !found && v.Err() == nil {
		list = append(list, object.Problem{
			Position: object.Position{File: ix.fallback}, Path: field,
			Message: fmt.Sprintf("is missing; write `%s: schema.%s & {…}`", field, definition),
		})
	}
	return list
}

func (ix *Index) labelOf(at path, v cue.Value) object.Position {
	if p, ok := ix.exact(at); ok {
		return p.label
	}
	if p := ix.userPosition(v); p.File != "" {
		return p
	}
	return object.Position{File: ix.fallback}
}
