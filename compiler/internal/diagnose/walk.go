// Package diagnose turns what CUE says about a value into what a user needs:
// one problem per mistake, at the place in the user's own file, with a way out.
//
// CUE's own report is not enough: it hides missing and unknown fields behind
// any other error, repeats a mistake for every branch of a disjunction, and
// points into the schema. So a value that does not validate is walked beside
// the Go type that it should decode to, and CUE is asked about every leaf.
package diagnose

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/errors"

	"camfleet.dev/compiler/object"
)

// Value explains everything that is wrong with v, which should decode to a
// value like example and stands at the path given by labels. It returns nothing
// for a value that is right.
func Value(v cue.Value, example any, ix *Index, labels ...string) []object.Problem {
	if v.Validate(cue.Concrete(true)) == nil {
		return nil
	}
	w := &walker{ix: ix, root: labels[0], groups: map[string]*group{}}
	w.walk(v, reflect.TypeOf(example), labels)
	w.take(v.Validate(cue.Concrete(true)), nil)
	return w.problems()
}

// Error explains an error that is not about one value: syntax, imports,
// references.
func Error(err error, ix *Index) []object.Problem {
	w := &walker{ix: ix, groups: map[string]*group{}}
	w.take(err, nil)
	return withoutEcho(w.problems())
}

// group is what is wrong at one path.
type group struct {
	path    path
	raw     []rawError
	problem *object.Problem // decided already, by the walk
}

type rawError struct {
	message string
	places  []object.Position // in the user's files
}

type walker struct {
	ix     *Index
	root   string // the package's field
	groups map[string]*group
	order  []*group
}

func (w *walker) group(at path) *group {
	key := at.String()
	g := w.groups[key]
	if g == nil {
		g = &group{path: slices.Clone(at)}
		w.groups[key] = g
		w.order = append(w.order, g)
	}
	return g
}

// take sorts CUE's errors into groups. An error without a path is at fallback.
func (w *walker) take(err error, fallback path) {
	for _, e := range errors.Errors(err) {
		at := w.pathOf(e, fallback)
		r := rawError{message: message(e, len(at) == 0)}
		for _, p := range errors.Positions(e) {
			if p := w.ix.position(p); p.File != "" {
				r.places = append(r.places, p)
			}
		}
		g := w.group(at)
		if len(at) == 0 { // nothing to group by: each stands for itself
			g = &group{}
			w.order = append(w.order, g)
		}
		if !slices.ContainsFunc(g.raw, func(o rawError) bool { return o.message == r.message && slices.Equal(o.places, r.places) }) {
			g.raw = append(g.raw, r)
		}
	}
}

// pathOf is an error's path in the package. Where the compiler itself has
// unified the field with its definition, CUE's path begins with that.
func (w *walker) pathOf(e errors.Error, fallback path) path {
	at := unquoteAll(e.Path())
	switch {
	case len(at) == 0 || strings.ContainsAny(at[0], "/@"): // an import path is not a place in the value
		return fallback
	case w.root != "" && strings.HasPrefix(at[0], "#"):
		at[0] = w.root
	}
	return at
}

// message is an error's own words; whole adds those of its cause, which is where
// the loader says what it missed.
func message(e errors.Error, whole bool) string {
	if whole {
		return e.Error()
	}
	format, args := e.Msg()
	if format == "" {
		return e.Error()
	}
	return fmt.Sprintf(format, args...)
}

func (w *walker) walk(v cue.Value, t reflect.Type, at path) {
	t = deref(t)
	switch {
	case IsLeaf(t):
		w.take(v.Validate(cue.Concrete(true)), at)
	case t.Kind() == reflect.Slice:
		w.list(v, t, at)
	default:
		w.fields(v, t, at)
	}
}

// list walks the elements there are. Something else in a list's place has none,
// and CUE's own words are about the whole.
func (w *walker) list(v cue.Value, t reflect.Type, at path) {
	for i := 0; ; i++ {
		e := v.LookupPath(cue.MakePath(cue.Index(i)))
		if !e.Exists() {
			if i == 0 {
				w.notList(v, at)
			}
			return
		}
		w.walk(e, t.Elem(), at.add(strconv.Itoa(i)))
	}
}

// fields walks a struct, or a map if t is one.
func (w *walker) fields(v cue.Value, t reflect.Type, at path) {
	// A struct with errors inside has fields all the same; only what is no
	// struct at all has none.
	it, err := v.Fields(cue.Optional(true)) // without it, required fields look as if they were there
	if err != nil {
		w.notStruct(v, t, at)
		return
	}
	var known []field
	if t.Kind() == reflect.Struct {
		known = fieldsOf(t)
	}
	present := map[string]bool{}
	for it.Next() {
		if it.Selector().ConstraintType() != 0 {
			continue // the schema's; it is not there
		}
		name := it.Selector().Unquoted()
		present[name] = true
		w.remember(it.Value(), at.add(name))
		if t.Kind() == reflect.Map {
			w.walk(it.Value(), t.Elem(), at.add(name))
			continue
		}
		if i := slices.IndexFunc(known, func(f field) bool { return f.name == name }); i >= 0 {
			w.walk(it.Value(), known[i].typ, at.add(name))
		} else {
			w.unknown(at.add(name), known)
		}
	}
	for _, f := range known {
		if !f.optional && !present[f.name] {
			w.missing(at.add(f.name), t)
		}
	}
}

// remember asks the value itself for its place where the syntax does not show
// one: fields made by a comprehension.
func (w *walker) remember(v cue.Value, at path) {
	if _, ok := w.ix.exact(at); !ok {
		w.ix.Add(w.ix.userPosition(v), at...)
	}
}

// userPosition is where v comes from in the user's files, if CUE knows.
func (ix *Index) userPosition(v cue.Value) object.Position {
	if p := ix.position(v.Pos()); p.File != "" {
		return p
	}
	op, parts := v.Expr()
	if op != cue.AndOp {
		return object.Position{}
	}
	for _, part := range parts {
		if p := ix.position(part.Pos()); p.File != "" {
			return p
		}
	}
	return object.Position{}
}
