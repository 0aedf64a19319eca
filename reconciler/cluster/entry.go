package cluster

import (
	"bytes"
	"encoding/json"
	"log/slog"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
)

// entry is what the cache keeps of an object: our fields, encoded once, what
// names its version, and the little of its status that somebody asks for.
// Everything else is dropped as it comes in.
type entry struct {
	metav1.ObjectMeta // Name, Namespace, UID, ResourceVersion, times of creation and deletion; nothing else
	live              engine.Live
	ours              bool            // we have applied it, at least once
	applied           json.RawMessage // what admission has made live.Body of, if that is noted; see annotationAdmitted
	owner             types.UID       // of its controller, "" without one
	made              bool            // that controller makes objects, and is not a camera's ConfigMap
	by                string          // who has applied it, unless it is ours
	shared            bool            // others have applied it, too
	state             state           // nil for kinds whose status nobody asks for
}

func newEntry(u *unstructured.Unstructured) (*entry, error) {
	labels, notes := u.GetLabels(), u.GetAnnotations()
	e := &entry{
		ObjectMeta: metav1.ObjectMeta{
			Name: u.GetName(), Namespace: u.GetNamespace(), UID: u.GetUID(), ResourceVersion: u.GetResourceVersion(),
			CreationTimestamp: u.GetCreationTimestamp(), DeletionTimestamp: u.GetDeletionTimestamp(),
		},
		live: engine.Live{
			ID:     object.ID{APIVersion: u.GetAPIVersion(), Kind: u.GetKind(), Namespace: u.GetNamespace(), Name: u.GetName()},
			Site:   labels[object.LabelSite],
			Camera: labels[object.LabelCamera],
			Role:   labels[object.LabelRole],
			Hash:   notes[object.AnnotationHash],
			UID:    string(u.GetUID()),
			Keep:   notes[object.AnnotationPrune] == object.PruneDisabled,
		},
	}
	if owner := metav1.GetControllerOfNoCopy(u); owner != nil {
		e.owner, e.made = owner.UID, owner.Kind != "ConfigMap"
	}
	var errState, err error
	e.state, errState = newState(u)
	if p, ok := e.state.(*podState); ok {
		e.live.Pod = &p.Pod
	}
	var noted string
	e.live.Body, noted, e.ours, err = ownedAndNoted(u)
	if noted != "" {
		e.applied = restored(e.live.Body, noted)
	}
	e.shared = appliedToo(u)
	if !e.ours {
		e.by = appliers(u)
	}
	if err == nil {
		err = errState
	}
	return e, err
}

// stripper turns what a watch brings into entries. An object whose managed
// fields cannot be read is one of which we own nothing: it is applied again.
func stripper(log *slog.Logger) func(*unstructured.Unstructured) *entry {
	return func(u *unstructured.Unstructured) *entry {
		e, err := newEntry(u)
		if err != nil {
			log.Warn("an object could not be read as a whole", "object", e.live.ID, "error", err)
			if e.live.Body == nil {
				e.live.Body = []byte("{}")
			}
		}
		return e
	}
}

// foreign tells whether an entry is not the engine's business, although it has
// our labels: what placement makes is planned, and removed, by placement; what
// a controller makes from an object of ours (an overlay may put our labels on a
// Deployment's Pods, too) is that controller's.
func (e *entry) foreign() bool {
	return e.live.Kind == "Pod" && e.live.Role == object.RoleTask || e.live.Kind == "ConfigMap" && e.Name == "assignments" ||
		e.made && !e.ours
}

// forged tells whether an entry has our labels, and was never applied by us:
// it may be taken over when Git has it, and is not ours to delete.
func (e *entry) forged() bool { return !e.ours && !e.foreign() }

// newer tells whether e is a later version than o, of the same kind.
func (e *entry) newer(o *entry) bool {
	n, err := resourceversion.CompareResourceVersion(e.ResourceVersion, o.ResourceVersion)
	return err == nil && n > 0
}

// same tells whether nothing differs that needs a look. What runs changes its
// status often; what of that matters is said by each state.
func (e *entry) same(o *entry) bool {
	return e.UID == o.UID && (e.DeletionTimestamp == nil) == (o.DeletionTimestamp == nil) &&
		e.ours == o.ours && e.owner == o.owner && e.live.Hash == o.live.Hash && e.live.Keep == o.live.Keep &&
		bytes.Equal(e.live.Body, o.live.Body) && sameState(e.state, o.state)
}
