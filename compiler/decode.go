package compiler

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"cuelang.org/go/cue"

	"camfleet.dev/compiler/internal/diagnose"
	"camfleet.dev/compiler/internal/load"
	"camfleet.dev/compiler/object"
)

// decoded is what could be read of a package's one field. Where parts are
// broken the others are there, so that they can be checked as well.
type decoded[T any] struct {
	value  T
	opaque bool // nothing could be read
	field  cue.Value
}

// names lists the members of a map in the field, also of broken ones.
func (d decoded[T]) names(path []string) map[string]bool {
	out := map[string]bool{}
	if d.opaque {
		return out
	}
	v := d.field
	for _, label := range path {
		v = v.LookupPath(cue.MakePath(cue.Str(label)))
	}
	it, err := v.Fields()
	for err == nil && it.Next() {
		out[it.Selector().Unquoted()] = true
	}
	return out
}

// decodePackage loads the package in dir, which has exactly one top-level
// field, and decodes that.
func decodePackage[T any](l *load.Loader, dir, field string, required bool) (decoded[T], *diagnose.Index, []object.Problem) {
	p := l.Package(dir)
	index := diagnose.NewIndex(p.Files, dir)
	out := decoded[T]{opaque: true}
	if p.Err != nil {
		return out, index, diagnose.Error(p.Err, index)
	}
	problems := diagnose.TopLevel(p.Value, index, field, required)
	out.field = p.Value.LookupPath(cue.MakePath(cue.Str(field)))
	if !out.field.Exists() {
		if err := p.Value.Err(); err != nil {
			problems = diagnose.Error(err, index)
		}
		return out, index, problems
	}
	out.opaque = false
	bad := diagnose.Value(out.field, out.value, index, field)
	raw := goodJSON(out.field, len(bad) > 0, 2)
	if raw == nil {
		return out, index, append(problems, bad...)
	}
	if err := strict(raw, &out.value); err != nil {
		bad = append(bad, object.Problem{Position: index.Pos(field), Path: field, Message: diagnose.Redact(err.Error())})
	}
	return out, index, append(problems, bad...)
}

// goodJSON is v as JSON; what is broken is left out, member by member, down to
// depth. It is nil where nothing is good.
func goodJSON(v cue.Value, broken bool, depth int) json.RawMessage {
	if !broken || v.Validate(cue.Concrete(true)) == nil {
		if raw, err := v.MarshalJSON(); err == nil {
			return raw
		}
	}
	if depth == 0 || v.IncompleteKind() != cue.StructKind {
		return nil
	}
	it, err := v.Fields()
	if err != nil {
		return nil
	}
	members := map[string]json.RawMessage{}
	for it.Next() {
		if raw := goodJSON(it.Value(), true, depth-1); raw != nil {
			members[it.Selector().Unquoted()] = raw
		}
	}
	raw, err := json.Marshal(members)
	if err != nil {
		return nil
	}
	return raw
}

// strict decodes JSON into a Go type that must have all its fields.
func strict(raw []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return fmt.Errorf("does not fit %s: %w", reflect.TypeOf(to).Elem().Name(), err)
	}
	return nil
}

// sorted are a map's keys in order.
func sorted[V any](m map[string]V) []string {
	return slices.Clip(diagnose.Known(m))
}
