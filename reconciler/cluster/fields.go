package cluster

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// manager is the name under which we apply fields.
const manager = "camfleet"

// resizeSubresource is where the CPU and memory of a running Pod are applied.
const resizeSubresource = "resize"

// owned is the JSON of exactly the fields of u that we applied, as they are
// now, in the spelling of the compiler: sorted keys and no white space. What
// names the object is always in it; the owner, which we add to a Pod, never is.
// applied is false when nobody ever applied it in our name.
func owned(u *unstructured.Unstructured) (body json.RawMessage, applied bool, err error) {
	body, _, applied, err = ownedAndNoted(u)
	return body, applied, err
}

// ownedAndNoted is owned, and what we have noted about it, see annotationAdmitted.
func ownedAndNoted(u *unstructured.Unstructured) (body json.RawMessage, noted string, applied bool, err error) {
	fields, err := ours(u)
	if err != nil {
		return nil, "", false, err
	}
	out := map[string]any{}
	if fields != nil {
		out, _ = project("", u.Object, fields).(map[string]any)
	}
	metadata, ok := out["metadata"].(map[string]any)
	if !ok {
		metadata = map[string]any{}
	}
	delete(metadata, "ownerReferences")
	if notes, ok := metadata["annotations"].(map[string]any); ok {
		noted, _ = notes[annotationAdmitted].(string)
		if delete(notes, annotationAdmitted); noted != "" && len(notes) == 0 {
			delete(metadata, "annotations")
		}
	}
	metadata["name"] = u.GetName()
	if ns := u.GetNamespace(); ns != "" {
		metadata["namespace"] = ns
	}
	out["apiVersion"], out["kind"], out["metadata"] = u.GetAPIVersion(), u.GetKind(), metadata
	if body, err = json.Marshal(out); err != nil {
		return nil, "", fields != nil, fmt.Errorf("encoding the fields of %s/%s: %w", u.GetNamespace(), u.GetName(), err)
	}
	return body, noted, fields != nil, nil
}

// ours are the fields that we applied, to the object and through the
// subresource resize: nil when we own nothing. An entry of another API version
// speaks of other fields, so it does not count.
func ours(u *unstructured.Unstructured) (map[string]any, error) {
	var out map[string]any
	for _, e := range u.GetManagedFields() {
		if e.Manager != manager || e.Operation != metav1.ManagedFieldsOperationApply ||
			e.Subresource != "" && e.Subresource != resizeSubresource ||
			e.APIVersion != u.GetAPIVersion() || e.FieldsV1 == nil {
			continue
		}
		var fields map[string]any
		if err := json.Unmarshal(e.FieldsV1.GetRawBytes(), &fields); err != nil {
			return nil, fmt.Errorf("reading managedFields of %s/%s: %w", u.GetNamespace(), u.GetName(), err)
		}
		out = union(out, fields)
	}
	return out, nil
}

// appliers are those who manage the object itself, and not its status.
func appliers(u *unstructured.Unstructured) string {
	var names []string
	for _, e := range u.GetManagedFields() {
		if e.Subresource == "" && !slices.Contains(names, e.Manager) {
			names = append(names, e.Manager)
		}
	}
	if len(names) == 0 {
		return "somebody"
	}
	return strings.Join(names, " and ")
}

// union adds the fields of b to those of a, which it may change.
func union(a, b map[string]any) map[string]any {
	if a == nil {
		return b
	}
	for key, sub := range b {
		of, ok := a[key].(map[string]any)
		if more, is := sub.(map[string]any); ok && is {
			a[key] = union(of, more)
		} else {
			a[key] = sub
		}
	}
	return a
}

// project is the part of v that fields (in the form of fieldsV1, see
// k8s.io/apimachinery/pkg/apis/meta/v1.FieldsV1) names. It never changes v. The
// key "." stands for a map or list element itself, and adds nothing.
// name is the field's own name.
func project(name string, v any, fields map[string]any) any {
	if len(fields) == 0 {
		return leaf(name, v)
	}
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, sub := range fields {
			field, ok := strings.CutPrefix(key, "f:")
			if value, has := v[field]; ok && has {
				sub, _ := sub.(map[string]any)
				out[field] = project(field, value, sub)
			}
		}
		return out
	case []any:
		return projectList(v, fields)
	}
	return v // it has another shape than when it was applied
}

// leaf is a field that we own as a whole. An empty map that we applied, such
// as strategy: {}, is one, too; what a server or somebody else put into it is
// not ours. Only of atomic maps is the content ours.
func leaf(name string, v any) any {
	if m, ok := v.(map[string]any); ok && len(m) > 0 && granular(name) {
		return map[string]any{}
	}
	return v
}

// granular tells whether a map or struct of this name has fields that are owned one by one,
// in all kinds that we render. Where it says no, the content is compared as a whole.
func granular(name string) bool {
	switch name {
	case "metadata", "spec", "strategy", "rollingUpdate", "template", "jobTemplate", "resources", "requests", "limits",
		"securityContext", "capabilities", "labels", "annotations", "data", "affinity", "nodeAffinity", "podAffinity", "podAntiAffinity",
		"emptyDir", "seccompProfile", "dnsConfig", "lifecycle":
		return true
	}
	return false
}

// projectList keeps the order of the live list.
func projectList(list []any, fields map[string]any) []any {
	elements := parseElements(fields)
	out := make([]any, 0, len(elements))
	for i, v := range list {
		for _, e := range elements {
			if e.matches(i, v) {
				out = append(out, project("", v, e.fields))
				break
			}
		}
	}
	return out
}

// element selects members of a list: by some of their fields, by value or by index.
type element struct {
	keys   map[string]any // k:{"name":"north"}
	value  any            // v:"ALL"
	index  int            // i:0
	by     byte           // 'k', 'v' or 'i'
	fields map[string]any
}

func parseElements(fields map[string]any) []element {
	out := make([]element, 0, len(fields))
	for key, sub := range fields {
		by, text, ok := strings.Cut(key, ":")
		if !ok || len(by) != 1 {
			continue
		}
		e := element{by: by[0]}
		e.fields, _ = sub.(map[string]any)
		var err error
		switch e.by {
		case 'k':
			err = json.Unmarshal([]byte(text), &e.keys)
		case 'v':
			err = json.Unmarshal([]byte(text), &e.value)
		case 'i':
			e.index, err = strconv.Atoi(text)
		default:
			continue
		}
		if err == nil {
			out = append(out, e)
		}
	}
	return out
}

func (e element) matches(i int, v any) bool {
	switch e.by {
	case 'i':
		return e.index == i
	case 'v':
		return equal(e.value, v)
	}
	m, ok := v.(map[string]any)
	if !ok || len(e.keys) == 0 {
		return false
	}
	for key, want := range e.keys {
		if got, has := m[key]; !has || !equal(want, got) {
			return false
		}
	}
	return true
}

// equal compares two JSON values; numbers may come as integers or as floats.
func equal(a, b any) bool {
	if x, ok := number(a); ok {
		y, ok := number(b)
		return ok && x == y
	}
	return reflect.DeepEqual(a, b)
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}
