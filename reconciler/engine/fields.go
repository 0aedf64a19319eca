package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
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
	var d differ
	d.compare("", a, b)
	slices.Sort(d.fields)
	return slices.Compact(d.fields)
}

func decode(raw []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("reading JSON: %w", err)
	}
	return v, nil
}

type differ struct{ fields []string }

func (d *differ) add(path string) { d.fields = append(d.fields, path) }

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
		if a, ok := a.([]any); ok && len(a) == len(b) {
			for i := range b {
				d.compare(elementName(path, i, b[i]), a[i], b[i])
			}
			return
		}
	case string:
		if a, ok := a.(string); ok {
			d.strings(path, a, b)
			return
		}
	default: // number, bool, null
		if a == b {
			return
		}
	}
	d.add(path)
}

func (d *differ) maps(path string, a, b map[string]any) {
	for _, k := range slices.Sorted(maps.Keys(b)) {
		if v, ok := a[k]; ok {
			d.compare(fieldName(path, k), v, b[k])
		} else {
			d.add(fieldName(path, k))
		}
	}
	for k := range a {
		if _, ok := b[k]; !ok {
			d.add(fieldName(path, k))
		}
	}
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
	d.add(path)
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
