package render

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
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
func encode(o kubeObject, restart []string) (body json.RawMessage, hash string, err error) {
	if pod, ok := o.(*corev1.Pod); ok {
		spec, err := lasting(&pod.Spec)
		if err != nil {
			return nil, "", err
		}
		hash = hashOf(spec, restart)
		pod.Annotations[object.AnnotationHash] = hash
	}
	body, err = canonical(o)
	return body, hash, err
}

// hashOf is the value of camfleet.dev/hash: of what lasts of a Pod's spec, and
// of what the worker reads from its ConfigMap but cannot change while it runs.
func hashOf(spec json.RawMessage, restart []string) string {
	return digest(append(slices.Clone(spec), strings.Join(restart, "\n")...))
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}
