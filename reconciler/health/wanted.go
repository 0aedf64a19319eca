package health

import (
	"cmp"
	"encoding/json"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"camfleet.dev/compiler/object"
)

// Camera is what a commit says of a camera, as far as its health depends on it.
type Camera struct {
	Site, Name string
	// Node is where it must run, because its edge is there; "" if it floats.
	Node     string
	Disabled bool
}

// Wanted reads the cameras of a commit out of its objects. Sorted by site and name.
func Wanted(objects []object.Object) []Camera {
	type key struct{ site, name string }
	found := map[key]Camera{}
	for _, o := range objects {
		if o.Role != object.RoleCamera || o.Camera == "" {
			continue
		}
		k := key{o.Site, o.Camera}
		c := found[k]
		c.Site, c.Name = o.Site, o.Camera
		switch o.Kind {
		case "Pod":
			c.Node = pinned(o.Body)
		case "ConfigMap":
			c.Disabled = disabled(o.Body)
		}
		found[k] = c
	}
	out := make([]Camera, 0, len(found))
	for _, c := range found {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b Camera) int { return cmp.Or(cmp.Compare(a.Site, b.Site), cmp.Compare(a.Name, b.Name)) })
	return out
}

// pinned is the one Node that a Pod may run on, or "".
func pinned(body json.RawMessage) string {
	var pod struct {
		Spec struct {
			Affinity *corev1.Affinity `json:"affinity"`
		} `json:"spec"`
	}
	if json.Unmarshal(body, &pod) != nil {
		return ""
	}
	a := pod.Spec.Affinity
	if a == nil || a.NodeAffinity == nil || a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return ""
	}
	terms := a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	if len(terms) != 1 {
		return ""
	}
	for _, f := range terms[0].MatchFields {
		if f.Key == "metadata.name" && f.Operator == corev1.NodeSelectorOpIn && len(f.Values) == 1 {
			return f.Values[0]
		}
	}
	return ""
}

func disabled(body json.RawMessage) bool {
	var config struct {
		Data map[string]string `json:"data"`
	}
	var camera struct {
		Disabled bool `json:"disabled"`
	}
	return json.Unmarshal(body, &config) == nil && json.Unmarshal([]byte(config.Data["camera.json"]), &camera) == nil && camera.Disabled
}
