package diagnose

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
)

// field is one of a Go type's, as the schema has it too (a test of the schema
// proves that).
type field struct {
	name     string
	optional bool
	typ      reflect.Type
}

func fieldsOf(t reflect.Type) []field {
	var list []field
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		list = append(list, field{name, strings.Contains(options, "omitempty"), f.Type})
	}
	return list
}

func fieldNames(list []field) []string {
	names := make([]string, len(list))
	for i, f := range list {
		names[i] = f.name
	}
	return names
}

// IsLeaf reports whether t is written as one value: a number, a string, a
// Duration …
func IsLeaf(t reflect.Type) bool {
	t = deref(t)
	if reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) ||
		reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return true
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Map, reflect.Slice:
		return false
	}
	return true
}

func deref(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// Member is the type of a struct's field or of a map's values; ok is false if t
// has no such member.
func Member(t reflect.Type, name string) (member reflect.Type, ok bool) {
	t = deref(t)
	switch {
	case IsLeaf(t):
		return nil, false
	case t.Kind() == reflect.Map:
		return t.Elem(), true
	case t.Kind() != reflect.Struct:
		return nil, false
	}
	for _, f := range fieldsOf(t) {
		if f.name == name {
			return f.typ, true
		}
	}
	return nil, false
}
