package render

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"camfleet.dev/compiler/object"
)

// kubeObject is a typed Kubernetes object.
type kubeObject interface {
	metav1.Object
	runtime.Object
}

// origin says where an object comes from and whom it serves.
type origin struct {
	path   string // CUE path
	camera string
	role   string
	// restart, together with a Pod's spec, is what needs a restart when it changes.
	restart []string
}

// add labels o, encodes it and appends it to the output.
func (r *renderer) add(from origin, o kubeObject) {
	pos := r.Pos(from.path)
	o.SetLabels(merge(r.siteLabels(from), map[string]string{
		object.LabelManagedBy: object.ManagedBy,
		object.LabelFleet:     r.Fleet.UID,
	}, o.GetLabels()))
	o.SetAnnotations(merge(o.GetAnnotations(), map[string]string{object.AnnotationSource: pos.File + "#" + from.path}))
	out := object.Object{Site: r.Name, Camera: from.camera, Role: from.role, Source: pos}
	out.APIVersion, out.Kind = o.GetObjectKind().GroupVersionKind().ToAPIVersionAndKind()
	out.Namespace, out.Name = o.GetNamespace(), o.GetName()
	var err error
	if out.Body, out.Hash, err = encode(o, from.restart); err != nil {
		r.problem(from.path, fmt.Sprintf("cannot render %s: %v", out.ID, err))
		return
	}
	r.out.Objects = append(r.out.Objects, out)
}

// siteLabels say what a Pod is for; selectors match on them.
func (r *renderer) siteLabels(from origin) map[string]string {
	labels := map[string]string{object.LabelSite: r.Name}
	if from.camera != "" {
		labels[object.LabelCamera] = from.camera
	}
	if from.role != "" {
		labels[object.LabelRole] = from.role
	}
	return labels
}

func merge(all ...map[string]string) map[string]string {
	out := map[string]string{}
	for _, m := range all {
		for k, v := range m {
			out[k] = v
		}
	}
	return out
}

// encode gives an object's canonical JSON and, for a Pod, its hash.
func encode(o kubeObject, restart []string) (json.RawMessage, string, error) {
	m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return nil, "", err
	}
	hash := ""
	if _, isPod := m["spec"]; isPod && restart != nil {
		if hash, err = hashOf(m["spec"], restart); err != nil {
			return nil, "", err
		}
		meta := m["metadata"].(map[string]any)
		meta["annotations"].(map[string]any)[object.AnnotationHash] = hash
	}
	body, err := Canonical(m)
	return body, hash, err
}

// Canonical encodes an object with sorted keys and without white space, its
// status and nulls (which a server would read as "delete this field").
func Canonical(m map[string]any) (json.RawMessage, error) {
	delete(m, "status")
	dropNulls(m)
	return json.Marshal(m)
}

func dropNulls(v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			if e == nil {
				delete(v, k)
				continue
			}
			dropNulls(e)
		}
	case []any:
		for _, e := range v {
			dropNulls(e)
		}
	}
}

// hashOf is the value of camfleet.dev/hash: of a Pod's spec, and of what the
// worker reads from its ConfigMap but cannot change while it runs.
func hashOf(spec any, restart []string) (string, error) {
	b, err := json.Marshal(struct {
		Spec    any      `json:"spec"`
		Restart []string `json:"restart"`
	}{spec, restart})
	if err != nil {
		return "", err
	}
	return digest(b), nil
}

// Rehash is the hash of a Pod whose spec an overlay has changed: of its hash
// before, and of the spec after. It depends on nothing else, so that the same
// commit gives the same hash.
func Rehash(before string, spec any) (string, error) { return hashOf(spec, []string{before}) }

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}
