package schema_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/load"

	"camfleet.dev/schema"
)

// load builds the schema from its files, as stock CUE does.
func build(t *testing.T) cue.Value {
	t.Helper()
	inst := load.Instances([]string{"."}, &load.Config{Dir: ".", Env: []string{"CUE_REGISTRY=none"}})[0]
	if inst.Err != nil {
		t.Fatal(inst.Err)
	}
	v := cuecontext.New().BuildInstance(inst)
	if err := v.Validate(); err != nil {
		t.Fatal(err)
	}
	return v
}

// roots are the types that a repository's packages decode to.
func roots() []any {
	return []any{schema.Fleet{}, schema.Cluster{}, schema.Site{}, schema.Server{}, schema.Package{}}
}

// TestGoAndCUEAgree walks every definition beside its Go type, both ways: the
// same fields, optional in both or in neither, of the same kind.
func TestGoAndCUEAgree(t *testing.T) {
	t.Parallel()
	v := build(t)
	a := &agreement{t: t, schema: v, seen: map[string]bool{}}
	for _, root := range roots() {
		typ := reflect.TypeOf(root)
		a.value("#"+typ.Name(), v.LookupPath(cue.ParsePath("#"+typ.Name())), typ)
	}
	maps := []string{"#Clusters", "#Servers", "#Packages"}
	it, err := v.Fields(cue.Definitions(true))
	if err != nil {
		t.Fatal(err)
	}
	for it.Next() {
		name := it.Selector().String()
		if it.Value().IncompleteKind() == cue.StructKind && !a.seen[name] && !slices.Contains(maps, name) {
			t.Errorf("%s has no Go type", name)
		}
	}
}

type agreement struct {
	t      *testing.T
	schema cue.Value
	seen   map[string]bool
}

type goField struct {
	optional bool
	typ      reflect.Type
}

func goFields(typ reflect.Type) map[string]goField {
	out := map[string]goField{}
	for _, f := range reflect.VisibleFields(typ) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		out[name] = goField{options == "omitempty", f.Type}
	}
	return out
}

func (a *agreement) value(at string, v cue.Value, typ reflect.Type) {
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	want := kindOf(typ)
	if got := v.IncompleteKind(); got != want {
		a.t.Errorf("%s is %v in CUE and %v (%v) in Go", at, got, typ, want)
		return
	}
	switch {
	case want == cue.ListKind:
		a.value(at+"[]", v.LookupPath(cue.MakePath(cue.AnyIndex)), typ.Elem())
	case typ.Kind() == reflect.Map:
		a.value(at+"[string]", v.LookupPath(cue.MakePath(cue.AnyString)), typ.Elem())
	case want == cue.StructKind:
		a.fields(at, v, typ)
	}
}

func (a *agreement) fields(at string, v cue.Value, typ reflect.Type) {
	a.seen["#"+typ.Name()] = true
	if !a.schema.LookupPath(cue.ParsePath("#" + typ.Name())).Exists() {
		a.t.Errorf("Go type %s has no definition #%s", typ, typ.Name())
	}
	left := goFields(typ)
	it, err := v.Fields(cue.Optional(true))
	if err != nil {
		a.t.Fatal(at, err)
	}
	for it.Next() {
		name := it.Selector().Unquoted()
		f, ok := left[name]
		if !ok {
			a.t.Errorf("%s.%s is in CUE only", at, name)
			continue
		}
		delete(left, name)
		if optional := it.Selector().ConstraintType() == cue.OptionalConstraint; optional != f.optional {
			a.t.Errorf("%s.%s: optional is %v in CUE and %v in Go", at, name, optional, f.optional)
		}
		a.value(at+"."+name, it.Value(), f.typ)
	}
	for name := range left {
		a.t.Errorf("%s.%s is in Go only", at, name)
	}
}

// kindOf is how a Go type is written in CUE.
func kindOf(typ reflect.Type) cue.Kind {
	if reflect.PointerTo(typ).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		return cue.StringKind
	}
	switch typ.Kind() {
	case reflect.String:
		return cue.StringKind
	case reflect.Bool:
		return cue.BoolKind
	case reflect.Int:
		return cue.IntKind
	case reflect.Float64:
		return cue.NumberKind
	case reflect.Slice:
		return cue.ListKind
	}
	return cue.StructKind
}

// TestAgreementBites shows that the test above sees what it is for.
func TestAgreementBites(t *testing.T) {
	t.Parallel()
	type Thing struct {
		Name string  `json:"name"`
		Size int     `json:"size,omitempty"`
		Gone float64 `json:"gone"`
	}
	for name, src := range map[string]string{
		"the same":          `#Thing: {name!: string, size?: int, gone: *1.5 | number}`,
		"only in Go":        `#Thing: {name!: string, size?: int}`,
		"only in CUE":       `#Thing: {name!: string, size?: int, gone!: number, new?: int}`,
		"optional in CUE":   `#Thing: {name?: string, size?: int, gone!: number}`,
		"optional in Go":    `#Thing: {name!: string, size!: int, gone!: number}`,
		"of another kind":   `#Thing: {name!: int, size?: int, gone!: number}`,
		"no number but int": `#Thing: {name!: string, size?: int, gone!: int}`,
	} {
		v := cuecontext.New().CompileString(src)
		probe := &testing.T{}
		a := &agreement{t: probe, schema: v, seen: map[string]bool{}}
		a.value("#Thing", v.LookupPath(cue.ParsePath("#Thing")), reflect.TypeFor[Thing]())
		if probe.Failed() == (name == "the same") {
			t.Errorf("%s: failed = %v", name, probe.Failed())
		}
	}
}
