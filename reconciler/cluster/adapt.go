package cluster

import (
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"camfleet.dev/reconciler/engine"
)

// Most of a Pod cannot be changed: of its spec, the images can, tolerations may
// come, and a deadline may become shorter; CPU and memory have a subresource. So
// what admission has made of a Pod stays, and is applied as it stands: sending
// what Git says could only be refused, or would restart the containers for the
// sake of an image that admission has chosen.

// samePod tells whether the step is about a Pod that was made from the wanted
// spec: any other one would be replaced. What differs in it, apart from CPU and
// memory, Git has not changed.
func (t taker) samePod() bool {
	return t.step.Action == engine.Configured && t.step.Want.Kind == "Pod" && t.step.Want.Hash != ""
}

// adaptToOurs adapts a wanted Pod to those of our fields that the live one still
// has: as they are still ours, nobody but admission has changed them. What is not
// there, others have taken.
func adaptToOurs(want *unstructured.Unstructured, body []byte) error {
	live := &unstructured.Unstructured{}
	if err := live.UnmarshalJSON(body); err != nil {
		return err
	}
	adapter{image: func(string) bool { return true }}.pod(want, live)
	return nil
}

// adapt adapts a wanted Pod to the live one as a whole, and tells whether there
// was need to. An image that somebody has set is put back; see keepImage.
func adapt(want, live *unstructured.Unstructured) bool {
	before := want.DeepCopy()
	adapter{whole: true, image: func(container string) bool { return keepImage(live, container) }}.pod(want, live)
	return !reflect.DeepEqual(before.Object, want.Object)
}

// keepImage tells whether the image of a Pod that was never ours is one that
// admission has chosen: whoever manages it has applied the whole Pod.
func keepImage(live *unstructured.Unstructured, container string) bool {
	if fields, err := ours(live); err != nil || fields != nil {
		return false
	}
	image := fieldpath.MakePathOrDie("spec", "containers", fieldpath.KeyByFields("name", container), "image")
	for _, e := range live.GetManagedFields() {
		if e.FieldsV1 == nil || applies(e.Manager, string(e.Operation), e.Subresource) {
			continue
		}
		if set, err := fieldSet(e); err != nil || set.Has(image) {
			return false
		}
	}
	return true
}

// adapter adapts a wanted Pod to a live one.
type adapter struct {
	whole bool                        // the live one is all there is, and not only our fields
	image func(container string) bool // whether that container's live image stays
}

func (a adapter) pod(want, live *unstructured.Unstructured) {
	spec, _ := want.Object["spec"].(map[string]any)
	is, _ := live.Object["spec"].(map[string]any)
	if spec == nil || is == nil {
		return
	}
	for key, v := range spec {
		switch key {
		case "containers", "initContainers":
			spec[key] = a.list(key, v, is[key])
		case "tolerations":
			spec[key] = tolerations(v, is[key])
		case "activeDeadlineSeconds":
			if was, ok := number(is[key]); ok {
				if should, ok := number(v); !ok || should > was {
					spec[key] = is[key]
				}
			}
		default:
			if v, keep := a.value(key, v, is[key]); keep {
				spec[key] = v
			} else {
				delete(spec, key)
			}
		}
	}
}

// value is what can be applied of a field that cannot be changed: what is live.
// keep is false when the live Pod has no such field.
func (a adapter) value(name string, want, live any) (v any, keep bool) {
	if live == nil {
		return want, !a.whole
	}
	switch want := want.(type) {
	case map[string]any:
		if live, ok := live.(map[string]any); ok {
			return a.fields(name, want, live), true
		}
	case []any:
		return a.list(name, want, live), true
	}
	return live, true
}

func (a adapter) fields(name string, want, live map[string]any) map[string]any {
	if name == "nodeSelector" || !a.whole && !granular(name) && keyOf(name) == "" && len(live) > len(want) {
		return live // it is one value
	}
	container, _ := want["name"].(string)
	for key, v := range want {
		if key == "image" && name == "containers" && (live[key] == nil || !a.image(container)) {
			continue
		}
		if v, keep := a.value(key, v, live[key]); keep {
			want[key] = v
		} else {
			delete(want, key)
		}
	}
	return want
}

// list is one whose elements have keys, or one value as a whole.
func (a adapter) list(name string, want, live any) any {
	wants, ok := want.([]any)
	lives, isList := live.([]any)
	if !ok || !isList {
		return want
	}
	key := keyOf(name)
	if key == "" {
		return live
	}
	out := make([]any, 0, len(wants))
	for _, w := range wants {
		m, ok := w.(map[string]any)
		if !ok {
			return want
		}
		switch is := byKey(lives, key, m[key]); {
		case is != nil:
			out = append(out, a.fields(of(name), m, is))
		case !a.whole:
			out = append(out, w)
		}
	}
	return out
}

// byKey is the element of a list in which key has that value, or nil.
func byKey(list []any, key string, value any) map[string]any {
	for _, v := range list {
		if m, ok := v.(map[string]any); ok && equal(m[key], value) {
			return m
		}
	}
	return nil
}

// of is the name by which elements of containers of both sorts are known.
func of(list string) string {
	if list == "initContainers" {
		return "containers"
	}
	return list
}

// keyOf is by what the elements of a Pod's list are told apart, or "".
func keyOf(list string) string {
	switch list {
	case "containers", "initContainers", "volumes", "env", "imagePullSecrets":
		return "name"
	case "volumeMounts":
		return "mountPath"
	case "ports":
		return "containerPort"
	}
	return ""
}

// tolerations are ours, and those live ones that are missing there: an API
// server lets none be taken away, and only their seconds be changed.
func tolerations(want, live any) any {
	wants, ok := want.([]any)
	lives, isList := live.([]any)
	if !ok || !isList {
		return want
	}
	out := slices.Clone(wants)
	for _, l := range lives {
		if !slices.ContainsFunc(wants, func(w any) bool { return sameToleration(w, l) }) {
			out = append(out, l)
		}
	}
	return out
}

func sameToleration(a, b any) bool {
	x, okX := a.(map[string]any)
	y, okY := b.(map[string]any)
	if !okX || !okY {
		return false
	}
	for _, key := range []string{"key", "operator", "value", "effect"} {
		a, _ := x[key].(string)
		if b, _ := y[key].(string); a != b {
			return false
		}
	}
	return true
}
