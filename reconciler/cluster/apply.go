package cluster

import (
	"context"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
)

// Apply implements engine.Cluster. It may be called from several goroutines,
// for different objects, after a List.
func (c *Cluster) Apply(ctx context.Context, step engine.Step) error {
	t, k, err := c.taker(step)
	if err != nil {
		return err
	}
	if step.Action == engine.Deleted {
		return t.remove(ctx)
	}
	if err := t.take(ctx, k.Kind == "Pod"); err != nil {
		return err
	}
	t.remember(ctx)
	return nil
}

func (t taker) take(ctx context.Context, pod bool) error {
	switch action := t.step.Action; {
	case action == engine.Created:
		return t.create(ctx)
	case action == engine.Replaced && pod:
		return t.replace(ctx)
	case action == engine.Configured && pod:
		return t.configurePod(ctx)
	case action == engine.Replaced || action == engine.Configured:
		return t.configure(ctx)
	}
	return fmt.Errorf("%s: %q is no step", t.step.ID(), t.step.Action)
}

// taker takes one step.
type taker struct {
	*Cluster
	watch *watch
	step  engine.Step
	api   dynamic.ResourceInterface
}

// never is a resource version that no object has: whoever applies an object
// with it creates it, or is told that it exists.
const never = "1"

// create applies an object that does not exist. One request creates it and
// makes us the manager of its fields, and fails when the name is taken.
func (t taker) create(ctx context.Context) error {
	if err := t.open(); err != nil {
		return err
	}
	want, err := t.body()
	if err != nil {
		return err
	}
	want.SetResourceVersion(never)
	_, err = t.apply(ctx, want, false)
	if apierrors.IsConflict(err) {
		return t.taken(ctx, err)
	}
	return said("creating it", err)
}

// open says whether the namespace takes new objects: it must be this fleet's,
// and not be ending. The watches know that; asking for each object would be a
// request each.
func (t taker) open() error {
	name := t.step.ID().Namespace
	id := object.ID{APIVersion: "v1", Kind: "Namespace", Name: name}
	switch ns, watched := t.watch.namespace(name); {
	case !watched:
	case ns == nil:
		return fmt.Errorf("this fleet has no namespace %s, and nothing is put into somebody else's: if there is one, %s", name, t.handOver(id))
	case ns.DeletionTimestamp != nil:
		return fmt.Errorf("somebody is deleting its namespace, %s: it is made anew when that has ended", name)
	}
	return nil
}

// taken says whose the object is that has the name already. One that is just
// what we wanted is the answer to a request whose answer was lost.
func (t taker) taken(ctx context.Context, conflict error) error {
	found, err := t.read(ctx, t.step.Want.Name)
	if err != nil {
		return said("it exists already, and cannot be read", err)
	}
	e, err := newEntry(found)
	if err != nil {
		return fmt.Errorf("it exists already: %w", err)
	}
	labels := found.GetLabels()
	switch {
	case labels[object.LabelManagedBy] != object.ManagedBy || labels[object.LabelFleet] != t.watch.fleet:
		return t.stranger(e, labels)
	case found.GetDeletionTimestamp() != nil:
		return fmt.Errorf("the old one is still ending: it is made anew when that is gone")
	case string(e.live.Body) == string(t.step.Want.Body):
		t.watch.wrote(t.step.Want, e)
		return nil
	}
	return said("it exists already, and was not seen yet", conflict)
}

// configure changes an object in place. Fields of ours that somebody else has
// changed are put back, and it is said who that was.
func (t taker) configure(ctx context.Context) error {
	want, err := t.body()
	if err != nil {
		return err
	}
	want.SetUID(types.UID(t.step.Live.UID)) // this very object, or none
	before := t.watch.get(t.step.Want.ID)
	if before != nil && before.shared && before.ours { // before we give up what Git has no more
		t.separate(ctx, nil)
	}
	made, err := t.change(ctx, want, before)
	if err != nil {
		return err
	}
	if before != nil && before.shared {
		t.separate(ctx, made)
	}
	if before != nil && before.forged() {
		t.tookOver(before.by)
	}
	return nil
}

// change applies an object that is there, by force only if others have taken
// fields of it.
func (t taker) change(ctx context.Context, want *unstructured.Unstructured, before *entry) (*unstructured.Unstructured, error) {
	same := t.samePod()
	if same && before != nil {
		if err := adaptToOurs(want, before.live.Body); err != nil {
			return nil, err
		}
	}
	made, err := t.apply(ctx, want, false)
	if others := takenBy(err); len(others) > 0 {
		return t.force(ctx, want, others)
	}
	if same && apierrors.IsInvalid(err) { // nobody owns what cannot be changed
		if found, readErr := t.read(ctx, want.GetName()); readErr == nil && adapt(want, found) {
			made, err = t.apply(ctx, want, false)
		}
	}
	return made, said("changing it", err)
}

// force applies fields that others manage, too, and says which of them they had changed.
func (t taker) force(ctx context.Context, want *unstructured.Unstructured, by others, subresources ...string) (*unstructured.Unstructured, error) {
	changed, found, err := t.changed(ctx, by)
	if err != nil {
		return nil, err
	}
	if found != nil && len(subresources) == 0 && t.samePod() {
		adapt(want, found)
	}
	made, err := t.apply(ctx, want, true, subresources...)
	if err != nil {
		return nil, said("setting fields that "+by.names()+" set, too", err)
	}
	if len(changed) > 0 {
		t.putBack(changed)
	}
	return made, nil
}

// remove deletes the object of the step, and no other of that name.
func (t taker) remove(ctx context.Context) error {
	id, uid := t.step.Live.ID, types.UID(t.step.Live.UID)
	background := metav1.DeletePropagationBackground
	options := metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}, PropagationPolicy: &background}
	if t.step.Fenced {
		options.GracePeriodSeconds = new(int64) // nobody is there to end it gracefully
	}
	if e := t.watch.get(id); t.step.Action == engine.Deleted && e != nil && e.UID == uid && !e.ours {
		return fmt.Errorf("it has the labels of this fleet, but camfleet has never applied it: " +
			"whoever does not need it deletes it")
	}
	err := t.retry(ctx, func(ctx context.Context) error { return t.api.Delete(ctx, id.Name, options) })
	if apierrors.IsConflict(err) {
		found, getErr := t.read(ctx, id.Name)
		if apierrors.IsNotFound(getErr) || getErr == nil && found.GetUID() != uid {
			err = nil // ours is gone; what has its name now is another one
		}
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return said("deleting it", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, orElse(t.Patience, defaultPatience),
		fmt.Errorf("it was asked to go, and is still there: its node may be away, or a finalizer holds it"))
	defer cancel()
	if err := t.watch.gone(ctx, id, string(uid)); err != nil {
		if e := t.watch.get(id); e != nil && e.live.Pod != nil && len(e.live.Pod.Finalizers) > 0 {
			return fmt.Errorf("waiting for its end: it is held by its finalizer %s: %w", strings.Join(e.live.Pod.Finalizers, ", "), err)
		}
		return fmt.Errorf("waiting for its end: %w", err)
	}
	return nil
}

// body is the wanted object, with its owner.
func (t taker) body() (*unstructured.Unstructured, error) {
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(t.step.Want.Body); err != nil {
		return nil, fmt.Errorf("reading the rendered object: %w", err)
	}
	return u, t.own(u)
}

// own gives a camera's Pod its owner.
func (t taker) own(u *unstructured.Unstructured) error {
	if t.step.Want.Kind != "Pod" || t.step.Want.Role != object.RoleCamera {
		return nil
	}
	id := t.config()
	owner := t.watch.get(id)
	if owner == nil || owner.DeletionTimestamp != nil {
		return fmt.Errorf("its owner, %s, is not there", id)
	}
	yes := true
	u.SetOwnerReferences([]metav1.OwnerReference{{
		APIVersion: id.APIVersion, Kind: id.Kind, Name: id.Name, UID: owner.UID, Controller: &yes,
	}})
	return nil
}

// config is the ConfigMap of a camera's Pod, which owns it.
func (t taker) config() object.ID {
	return object.ID{APIVersion: "v1", Kind: "ConfigMap", Namespace: t.step.Want.Namespace, Name: t.step.Want.Name}
}

// apply applies an object, or one of its subresources, and takes up what the
// server made of it.
func (t taker) apply(ctx context.Context, u *unstructured.Unstructured, force bool, subresources ...string) (made *unstructured.Unstructured, err error) {
	err = t.retry(ctx, func(ctx context.Context) error {
		made, err = t.api.Apply(ctx, u.GetName(), u, metav1.ApplyOptions{FieldManager: manager, Force: force}, subresources...)
		if err != nil {
			return err
		}
		return t.wrote(made)
	})
	return made, err
}

// wrote takes up the answer to a write.
func (t taker) wrote(made *unstructured.Unstructured) error {
	e, err := newEntry(made)
	if err == nil {
		t.watch.wrote(t.step.Want, e)
	}
	return err
}

// read reads the object as it is now: only when there is trouble about it.
func (t taker) read(ctx context.Context, name string) (found *unstructured.Unstructured, err error) {
	err = t.retry(ctx, func(ctx context.Context) error {
		found, err = t.api.Get(ctx, name, metav1.GetOptions{})
		return err
	})
	return found, err
}

// putBack says, in the log and as an Event of the object, that fields which
// other managers had changed have our values again.
func (t taker) putBack(by others) {
	t.Log.Warn("fields were put back", "object", t.step.Want.ID, "site", t.step.Want.Site, "camera", t.step.Want.Camera, "by", by.String())
	t.tell(happening{
		id: t.step.Want.ID, uid: t.step.Live.UID, warning: true,
		reason: "FieldsPutBack", message: "put back to what Git says: " + by.String(),
	})
}

// tookOver says that an object which somebody else had applied is camfleet's now.
func (t taker) tookOver(from string) {
	t.Log.Info("taken over", "object", t.step.Want.ID, "site", t.step.Want.Site, "camera", t.step.Want.Camera, "from", from)
	t.tell(happening{id: t.step.Want.ID, uid: t.step.Live.UID, reason: "TakenOver", message: "taken over from " + from})
}
