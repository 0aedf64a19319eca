package cluster

import (
	"bytes"
	"log/slog"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/tools/cache"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
)

// entry is what the cache keeps of an object: our fields, encoded once, and
// what names its version. Everything else is dropped as it comes in.
type entry struct {
	metav1.ObjectMeta // Name, Namespace, UID, ResourceVersion, DeletionTimestamp; nothing else
	live              engine.Live
}

func newEntry(u *unstructured.Unstructured) (*entry, error) {
	labels := u.GetLabels()
	e := &entry{
		ObjectMeta: metav1.ObjectMeta{
			Name: u.GetName(), Namespace: u.GetNamespace(), UID: u.GetUID(),
			ResourceVersion: u.GetResourceVersion(), DeletionTimestamp: u.GetDeletionTimestamp(),
		},
		live: engine.Live{
			ID:     object.ID{APIVersion: u.GetAPIVersion(), Kind: u.GetKind(), Namespace: u.GetNamespace(), Name: u.GetName()},
			Site:   labels[object.LabelSite],
			Camera: labels[object.LabelCamera],
			Role:   labels[object.LabelRole],
			Hash:   u.GetAnnotations()[object.AnnotationHash],
			UID:    string(u.GetUID()),
		},
	}
	var err error
	e.live.Body, err = owned(u)
	return e, err
}

// stripper turns what a watch brings into entries. An object whose managed
// fields cannot be read is one of which we own nothing: it is applied again.
func stripper(log *slog.Logger) cache.TransformFunc {
	return func(obj any) (any, error) {
		u, ok := obj.(*unstructured.Unstructured)
		if !ok {
			return obj, nil // an entry already
		}
		e, err := newEntry(u)
		if err != nil {
			log.Warn("it is taken for an object that we own no field of", "error", err)
			e.live.Body = []byte("{}")
		}
		return e, nil
	}
}

// foreign tells whether an entry is not the engine's business, although it has
// our labels: what placement makes is planned, and removed, by placement.
func (e *entry) foreign() bool {
	return e.live.Kind == "Pod" && e.live.Role == object.RoleTask || e.live.Kind == "ConfigMap" && e.Name == "assignments"
}

// newer tells whether e is a later version than o, of the same kind.
func (e *entry) newer(o *entry) bool {
	n, err := resourceversion.CompareResourceVersion(e.ResourceVersion, o.ResourceVersion)
	return err == nil && n > 0
}

// same tells whether nothing that we look at differs: a Pod's status changes often.
func (e *entry) same(o *entry) bool {
	return e.UID == o.UID && e.live.Hash == o.live.Hash && (e.DeletionTimestamp == nil) == (o.DeletionTimestamp == nil) &&
		bytes.Equal(e.live.Body, o.live.Body)
}
