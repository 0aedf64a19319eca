package overlay

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"camfleet.dev/compiler/object"
)

// immodest finds the quantities of an object that are not to be read: its Go
// type says where there are any. It is asked before anything decodes the object.
func immodest(id object.ID, m map[string]any) []string {
	typed, _ := typeOf(id)
	if typed == nil {
		return nil // refused; nothing decodes it
	}
	var out []string
	quantities(reflect.TypeOf(typed), m, func(v any) {
		if text := fmt.Sprint(v); !object.Modest(text) {
			out = append(out, text)
		}
	})
	slices.Sort(out)
	return slices.Compact(out)
}

var quantityType = reflect.TypeFor[resource.Quantity]()

// quantities calls visit with every scalar of v that would become a quantity in t.
func quantities(t reflect.Type, v any, visit func(any)) {
	switch t.Kind() {
	case reflect.Pointer:
		quantities(t.Elem(), v, visit)
	case reflect.Slice:
		list, _ := v.([]any)
		for _, item := range list {
			quantities(t.Elem(), item, visit)
		}
	case reflect.Map:
		for _, item := range asMap(v) {
			quantities(t.Elem(), item, visit)
		}
	case reflect.Struct:
		if t != quantityType {
			fields(t, v, visit)
		} else if v != nil {
			visit(v)
		}
	}
}

// fields is quantities for a struct. Letters' case is not looked at, because
// not every decoder does.
func fields(t reflect.Type, v any, visit func(any)) {
	m := asMap(v)
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			quantities(f.Type, v, visit)
			continue
		}
		for key, value := range m {
			if strings.EqualFold(key, name) {
				quantities(f.Type, value, visit)
			}
		}
	}
}

func asMap(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

// note remembers where a value stands that is no modest quantity, for when one
// is found where a quantity should be.
func (o *overlay) note(n *yaml.Node, place func(*position) object.Position) {
	if n.Kind == yaml.ScalarNode && n.Value != "" && strings.Contains("+-.0123456789", n.Value[:1]) && !object.Modest(n.Value) {
		if o.odd == nil {
			o.odd = map[string]object.Position{}
		}
		if _, ok := o.odd[n.Value]; !ok {
			o.odd[n.Value] = place(at(n))
		}
	}
	for _, c := range n.Content {
		o.note(c, place)
	}
}

// modest refuses an object with quantities that are not to be read.
func (o *overlay) modest(id object.ID, m map[string]any) bool {
	bad := immodest(id, m)
	for _, text := range bad {
		pos, known := o.odd[text]
		if !known {
			pos = o.origin(id)
		}
		o.refuse(pos, "%s: %.60q is no quantity that a Pod can have; write cores such as \"500m\", memory such as \"64Mi\"", id, text)
	}
	return len(bad) == 0
}
