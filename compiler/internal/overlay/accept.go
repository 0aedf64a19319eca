package overlay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"camfleet.dev/compiler/internal/render"
	"camfleet.dev/compiler/object"
)

// accept compares what kustomize made with what there was: it refuses changes
// to what camfleet needs, and takes the others over.
func (o *overlay) accept(results []map[string]any, before []object.Object) []object.Object {
	known := map[object.ID]object.Object{}
	for _, obj := range before {
		known[obj.ID] = obj
	}
	pods := newPodCheck()
	var out []object.Object
	seen := map[object.ID]bool{}
	for _, m := range results {
		id := idOf(m)
		if seen[id] {
			o.refuse(o.place(File, nil), "%s is there twice", id)
			continue
		}
		seen[id] = true
		if !o.modest(id, m) {
			continue
		}
		if obj, ours := known[id]; ours {
			obj, changed := o.changed(obj, m)
			out = append(out, obj)
			if !changed {
				continue
			}
		} else {
			out = append(out, o.added(id, m, before))
		}
		last := out[len(out)-1]
		for _, complaint := range slices.Concat(checkMeta(id, last.Body), pods.check(last)) {
			o.refuse(o.origin(id), "%s, as the overlay leaves it: %s", id, oneLine(complaint))
		}
	}
	o.missing(before, seen)
	slices.SortFunc(out, func(a, b object.Object) int { return a.Compare(b.ID) })
	return out
}

// missing refuses that camfleet's own objects are gone, or under another name.
// NetworkPolicies, day files and the page can be done without.
func (o *overlay) missing(before []object.Object, seen map[object.ID]bool) {
	for _, obj := range before {
		optional := obj.Kind == "NetworkPolicy" || obj.Kind == "CronJob" || obj.Role == object.RolePage
		if !seen[obj.ID] && !optional {
			o.refuse(o.place(File, nil), "%s is gone or renamed: its name and namespace are camfleet's own, and the site cannot do without it", obj.ID)
		}
	}
}

// changed takes an object of ours over, with its data put back and its hash made anew.
func (o *overlay) changed(obj object.Object, m map[string]any) (object.Object, bool) {
	var was map[string]any
	if err := json.Unmarshal(obj.Body, &was); err != nil {
		o.refuse(o.place(File, nil), "%s: %v", obj.ID, err)
		return obj, false
	}
	if obj.Kind == "ConfigMap" {
		for _, field := range []string{"data", "binaryData"} {
			if m[field] != nil {
				o.refuse(o.place(File, nil), "%s: %s is made from CUE, and cannot be changed here", obj.ID, field)
			}
			if was[field] != nil {
				m[field] = was[field]
			}
		}
	}
	o.metadata(obj, meta(was), meta(m))
	if obj.Kind == "Pod" {
		if err := rehash(&obj, was, m); err != nil {
			o.refuse(o.place(File, nil), "%s: %v", obj.ID, err)
		}
	}
	body, err := render.Canonical(m)
	if err != nil {
		o.refuse(o.place(File, nil), "%s: %v", obj.ID, err)
	}
	same := bytes.Equal(body, obj.Body)
	obj.Body = body
	return obj, !same
}

// metadata compares the labels and annotations that camfleet finds its objects by.
func (o *overlay) metadata(obj object.Object, was, is map[string]any) {
	for field, keys := range map[string][]string{
		"labels": {
			object.LabelManagedBy, object.LabelFleet, object.LabelSite, object.LabelCamera, object.LabelRole,
			"pod-security.kubernetes.io/enforce", "pod-security.kubernetes.io/enforce-version",
		},
		"annotations": {object.AnnotationSource, object.AnnotationHash},
	} {
		before, _ := was[field].(map[string]any)
		after, _ := is[field].(map[string]any)
		for _, key := range keys {
			switch was, had := before[key]; {
			case was == after[key]:
			case had:
				o.refuse(o.place(File, nil), "%s: %s is camfleet's own, and must stay %q", obj.ID, key, fmt.Sprint(was))
			default:
				o.refuse(o.place(File, nil), "%s: %s is camfleet's own, and cannot be set here", obj.ID, key)
			}
		}
	}
}

// rehash: a patched spec needs a restart, so it is part of the hash; but for
// resources, which are changed in place.
func rehash(obj *object.Object, was, is map[string]any) error {
	before, err := json.Marshal(was["spec"])
	if err != nil {
		return err
	}
	after, err := json.Marshal(is["spec"])
	if err != nil || bytes.Equal(before, after) {
		return err
	}
	if obj.Hash, err = render.Rehash(obj.Hash, before, after); err != nil {
		return err
	}
	annotations, _ := meta(is)["annotations"].(map[string]any)
	if annotations == nil {
		return nil // refused above
	}
	annotations[object.AnnotationHash] = obj.Hash
	return nil
}

// assignments is the ConfigMap in which placement keeps what runs where.
const assignments = "assignments"

// added takes an object over that the site brings itself.
func (o *overlay) added(id object.ID, m map[string]any, before []object.Object) object.Object {
	pos := o.origin(id)
	why := unwelcome(id.APIVersion, id.Kind)
	switch {
	case id.Kind == "" || id.APIVersion == "" || id.Name == "":
		o.refuse(pos, "an added object has no kind, apiVersion or name: %s", id)
	case why != "":
		o.refuse(pos, "%s: %s", id, why)
	case id.Kind == "ConfigMap" && id.Name == assignments:
		o.refuse(pos, "%s is written by camfleet itself; choose another name", id)
	case id.Namespace != o.namespace:
		o.refuse(pos, "%s is in another namespace than the site's, %s", id, o.namespace)
	}
	labels, annotations := sub(meta(m), "labels"), sub(meta(m), "annotations")
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		if strings.HasPrefix(key, "camfleet.dev/") || key == object.LabelManagedBy {
			o.refuse(pos, "%s: label %s is camfleet's own", id, key)
		}
	}
	for _, key := range []string{object.AnnotationSource, object.AnnotationHash} {
		if annotations[key] != nil {
			o.refuse(pos, "%s: annotation %s is camfleet's own", id, key)
		}
	}
	labels[object.LabelManagedBy], labels[object.LabelSite] = object.ManagedBy, o.site
	if fleet := fleetOf(before); fleet != "" {
		labels[object.LabelFleet] = fleet
	}
	annotations[object.AnnotationSource] = pos.File
	obj := object.Object{ID: id, Site: o.site, Source: pos}
	var err error
	if id.Kind == "Pod" && why == "" { // most of one cannot be changed: it is made anew, as ours are
		err = rehash(&obj, nil, m)
	}
	if err == nil {
		obj.Body, err = render.Canonical(m)
	}
	if err != nil {
		o.refuse(pos, "%s: %v", id, err)
	}
	return obj
}

// fleetOf is the fleet's uid, as it stands on the rendered objects.
func fleetOf(objs []object.Object) string {
	for _, obj := range objs {
		var m struct {
			Metadata struct{ Labels map[string]string }
		}
		if json.Unmarshal(obj.Body, &m) == nil && m.Metadata.Labels[object.LabelFleet] != "" {
			return m.Metadata.Labels[object.LabelFleet]
		}
	}
	return ""
}

func idOf(m map[string]any) object.ID {
	text := func(m map[string]any, key string) string { s, _ := m[key].(string); return s }
	md := meta(m)
	return object.ID{APIVersion: text(m, "apiVersion"), Kind: text(m, "kind"), Namespace: text(md, "namespace"), Name: text(md, "name")}
}

func meta(m map[string]any) map[string]any { return sub(m, "metadata") }

// sub is a map inside of m; it is made if there is none.
func sub(m map[string]any, key string) map[string]any {
	inner, ok := m[key].(map[string]any)
	if !ok {
		inner = map[string]any{}
		m[key] = inner
	}
	return inner
}
