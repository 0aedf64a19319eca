package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// changedFields names the fields that differ between two JSON objects, sorted.
// A text that holds a JSON object (camera.json in a ConfigMap) is looked into.
// Values are left out on purpose: a reason goes to logs and pages.
func changedFields(live, want json.RawMessage) []string {
	a, errA := decode(live)
	b, errB := decode(want)
	if errA != nil || errB != nil {
		return []string{"everything"} // what is live cannot be read: write it again
	}
	var names []string
	for _, f := range compare(a, b) {
		names = append(names, f.path)
	}
	return names
}

// field is one that differs.
type field struct {
	path     string
	old, new any // absent if there is none
}

// absent is the value of a field that is not there.
type absent struct{}

// compare returns the fields that differ, sorted by path.
func compare(a, b any) []field {
	var d differ
	d.compare("", a, b)
	byPath := func(a, b field) int { return strings.Compare(a.path, b.path) }
	slices.SortStableFunc(d.fields, byPath)
	return slices.CompactFunc(d.fields, func(a, b field) bool { return byPath(a, b) == 0 })
}

func decode(raw []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("reading JSON: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("reading JSON: there is more behind it")
	}
	return v, nil
}

type differ struct{ fields []field }

func (d *differ) add(path string, a, b any) { d.fields = append(d.fields, field{path, a, b}) }

func (d *differ) compare(path string, a, b any) {
	if sameQuantity(path, a, b) {
		return
	}
	switch b := b.(type) {
	case map[string]any:
		if a, ok := a.(map[string]any); ok {
			d.maps(path, a, b)
			return
		}
	case []any:
		if a, ok := a.([]any); ok {
			d.lists(path, a, b)
			return
		}
	case string:
		if a, ok := a.(string); ok {
			d.strings(path, a, b)
			return
		}
	default: // number, bool, null, or a text that is masked
		if a == b {
			return
		}
	}
	d.add(path, a, b)
}

// maps compares field by field. Null is not there: an API server drops it.
func (d *differ) maps(path string, a, b map[string]any) {
	for k, v := range b {
		if had, ok := a[k]; ok {
			d.compare(fieldName(path, k), had, v)
		} else if v != nil {
			d.add(fieldName(path, k), absent{}, v)
		}
	}
	for k, v := range a {
		if _, ok := b[k]; !ok && v != nil {
			d.add(fieldName(path, k), v, absent{})
		}
	}
}

// lists compares lists in order, but those in which an API server finds its way
// by a key: what others add to them may have moved our elements.
func (d *differ) lists(path string, a, b []any) {
	if key := listKey(path); key != "" {
		x, okX := byKey(a, key)
		y, okY := byKey(b, key)
		if okX && okY {
			d.keyed(path, x, y)
			return
		}
	}
	if len(a) != len(b) {
		d.add(path, a, b)
		return
	}
	for i := range b {
		d.compare(elementName(path, i, b[i]), a[i], b[i])
	}
}

func (d *differ) keyed(path string, a, b map[string]any) {
	for k, v := range b {
		if had, ok := a[k]; ok {
			d.compare(path+"["+k+"]", had, v)
		} else {
			d.add(path+"["+k+"]", absent{}, v)
		}
	}
	for k, v := range a {
		if _, ok := b[k]; !ok {
			d.add(path+"["+k+"]", v, absent{})
		}
	}
}

// listKey is the key of a list whose order means nothing, or "".
func listKey(path string) string {
	switch path[strings.LastIndexByte(path, '.')+1:] {
	case "containers", "volumes", "ports", "env", "imagePullSecrets":
		return "name"
	case "volumeMounts":
		return "mountPath"
	}
	return ""
}

// byKey is a list by the values of a key that each element has, and none twice.
func byKey(list []any, key string) (map[string]any, bool) {
	out := make(map[string]any, len(list))
	for _, v := range list {
		m, _ := v.(map[string]any)
		name, ok := m[key].(string)
		if _, twice := out[name]; !ok || twice {
			return nil, false
		}
		out[name] = v
	}
	return out, true
}

func (d *differ) strings(path, a, b string) {
	if a == b {
		return
	}
	if strings.HasPrefix(a, "{") && strings.HasPrefix(b, "{") {
		x, errX := decode([]byte(a))
		y, errY := decode([]byte(b))
		if n := len(d.fields); errX == nil && errY == nil {
			if d.compare(path, x, y); len(d.fields) > n {
				return
			}
		}
	}
	d.add(path, a, b)
}

// fieldName is path.key, or path[key] when the key has a dot or a slash in it.
func fieldName(path, key string) string {
	switch {
	case strings.ContainsAny(key, "./[]"):
		return path + "[" + key + "]"
	case path == "":
		return key
	}
	return path + "." + key
}

// elementName names an element of a list by its name where it has one.
func elementName(path string, i int, element any) string {
	if m, ok := element.(map[string]any); ok {
		if name, ok := m["name"].(string); ok {
			return path + "[" + name + "]"
		}
	}
	return fmt.Sprintf("%s[%d]", path, i)
}

const maxFieldsNamed = 4

// sentence says which fields changed, without going on for ever.
func sentence(fields []string) string {
	if more := len(fields) - maxFieldsNamed; more > 0 {
		return fmt.Sprintf("%s and %d more changed", strings.Join(fields[:maxFieldsNamed], ", "), more)
	}
	return strings.Join(fields, ", ") + " changed"
}
