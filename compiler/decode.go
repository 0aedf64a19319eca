package compiler

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"

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

// member is a field inside the package's field. There must be one: not opaque.
func (d decoded[T]) member(label string) cue.Value {
	return d.field.LookupPath(cue.MakePath(cue.Str(label)))
}

// names lists the members of a map, also the broken ones.
func names(v cue.Value) map[string]bool {
	out := map[string]bool{}
	it, err := v.Fields()
	for err == nil && it.Next() {
		out[it.Selector().Unquoted()] = true
	}
	return out
}

// decodePackage loads the package in dir, which has exactly one top-level
// field, and decodes that. A panic of the evaluator is a problem of this package.
func decodePackage[T any](l *load.Loader, dir string, d definition) (out decoded[T], index *diagnose.Index, problems []object.Problem) {
	index = diagnose.NewIndex(nil, dir)
	defer func() {
		if r := recover(); r != nil {
			out = decoded[T]{opaque: true}
			problems = []object.Problem{panicked(dir, r)}
		}
	}()
	p := l.Package(dir, d.field, d.name)
	index = diagnose.NewIndex(p.Files, dir)
	out = decoded[T]{opaque: true, field: p.Field}
	if p.Err != nil {
		return out, index, diagnose.Error(p.Err, index)
	}
	problems = diagnose.TopLevel(p.Value, index, d.field, d.name)
	if !out.field.Exists() {
		if err := p.Value.Err(); err != nil {
			problems = diagnose.Error(err, index)
		}
		return out, index, problems
	}
	out.opaque = false
	bad := diagnose.Value(out.field, out.value, index, d.field)
	problems = append(problems, bad...)
	raw := goodJSON(out.field, reflect.TypeFor[T](), len(bad) > 0, d.depth)
	if raw == nil {
		return out, index, problems
	}
	if err := unmarshal(raw, &out.value, len(bad) == 0); err != nil && len(bad) == 0 {
		problems = append(problems, object.Problem{Position: index.Pos(d.field), Path: d.field, Message: diagnose.Redact(err.Error())})
	}
	return out, index, problems
}

// panicked is the problem of a folder on which CUE or camfleet itself failed.
func panicked(dir string, r any) object.Problem {
	return object.Problem{Position: object.Position{File: dir},
		Message: fmt.Sprintf("camfleet failed here: %s; undo the last change to this folder, and please report it", diagnose.Redact(fmt.Sprint(r)))}
}

// definition is a package's one field and the schema's definition of it.
type definition struct {
	field, name string
	depth       int // how far down broken parts are left out on their own
}

var (
	fleetDefinition    = definition{"fleet", "#Fleet", 1}
	clustersDefinition = definition{"clusters", "#Clusters", 1}
	serversDefinition  = definition{"servers", "#Servers", 1}
	packagesDefinition = definition{"packages", "#Packages", 1}
	siteDefinition     = definition{"site", "#Site", 2} // site → cameras → north
)

// goodJSON is v as JSON; what is broken is left out, member by member, down to
// depth. It is nil where nothing is good.
func goodJSON(v cue.Value, t reflect.Type, broken bool, depth int) json.RawMessage {
	if !broken || v.Validate(cue.Concrete(true)) == nil {
		raw, err := v.MarshalJSON()
		if err == nil {
			return raw
		}
	}
	if depth == 0 || diagnose.IsLeaf(t) {
		return nil
	}
	it, err := v.Fields()
	if err != nil {
		return nil
	}
	members := map[string]json.RawMessage{}
	for it.Next() {
		name := it.Selector().Unquoted()
		member, ok := diagnose.Member(t, name)
		if !ok {
			continue
		}
		if raw := goodJSON(it.Value(), member, true, depth-1); raw != nil {
			members[name] = raw
		}
	}
	raw, err := json.Marshal(members)
	if err != nil {
		return nil
	}
	return raw
}

// unmarshal decodes JSON into a Go type; strictly, the type must have every
// field, which it does not where the schema has refused some.
func unmarshal(raw []byte, to any, strict bool) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	if strict {
		d.DisallowUnknownFields()
	}
	if err := d.Decode(to); err != nil {
		return fmt.Errorf("does not fit %s: %w", reflect.TypeOf(to).Elem(), err)
	}
	return nil
}
