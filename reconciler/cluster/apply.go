package cluster

import (
	"context"
	"fmt"

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
	c.mu.Lock()
	w := c.watched
	c.mu.Unlock()
	if w == nil {
		return fmt.Errorf("applying %s: nothing was listed yet", step.ID())
	}
	k, err := kind(c.kinds(), step.ID())
	if err != nil {
		return err
	}
	t := taker{Cluster: c, watch: w, step: step, api: c.Client.Resource(k.resource())}
	if ns := step.ID().Namespace; ns != "" {
		t.api = c.Client.Resource(k.resource()).Namespace(ns)
	}
	switch {
	case step.Action == engine.Created:
		return t.create(ctx)
	case step.Action == engine.Deleted:
		return t.remove(ctx)
	case step.Action == engine.Replaced && k.Kind == "Pod":
		return t.replace(ctx)
	case step.Action == engine.Replaced || step.Action == engine.Configured:
		return t.configure(ctx)
	}
	return fmt.Errorf("%s: %q is no step", step.ID(), step.Action)
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
	want, err := t.body(ctx)
	if err != nil {
		return err
	}
	want.SetResourceVersion(never)
	err = t.apply(ctx, want, false)
	if apierrors.IsConflict(err) {
		return t.taken(ctx, err)
	}
	return said("creating it", err)
}

// taken says whose the object is that has the name already. One that is just
// what we wanted is the answer to a request whose answer was lost.
func (t taker) taken(ctx context.Context, conflict error) error {
	found, err := t.api.Get(ctx, t.step.Want.Name, metav1.GetOptions{})
	if err != nil {
		return said("it exists already, and cannot be read", err)
	}
	labels := found.GetLabels()
	if labels[object.LabelManagedBy] != object.ManagedBy || labels[object.LabelFleet] != t.watch.fleet {
		return fmt.Errorf("somebody else's object has this name%s: rename one of them, or delete the other one if nobody needs it", whose(labels))
	}
	e, err := newEntry(found)
	if err == nil && string(e.live.Body) == string(t.step.Want.Body) && found.GetDeletionTimestamp() == nil {
		t.watch.wrote(t.step.Want, e)
		return nil
	}
	return said("it exists already, and was not seen yet", conflict)
}

func whose(labels map[string]string) string {
	if fleet := labels[object.LabelFleet]; fleet != "" {
		return " (it is of the fleet with the uid " + fleet + ")"
	}
	if by := labels[object.LabelManagedBy]; by != "" {
		return " (its label says that it is managed by " + by + ")"
	}
	return ""
}

// configure changes an object in place. Fields of ours that somebody else has
// changed are put back, and it is said who that was.
func (t taker) configure(ctx context.Context) error {
	want, err := t.body(ctx)
	if err != nil {
		return err
	}
	want.SetUID(types.UID(t.step.Live.UID)) // this very object, or none
	err = t.apply(ctx, want, false)
	others := takenBy(err)
	if len(others) == 0 {
		return said("changing it", err)
	}
	if err := t.apply(ctx, want, true); err != nil {
		return said("putting back fields that "+others.names()+" changed", err)
	}
	t.putBack(ctx, others)
	return nil
}

// remove deletes the object of the step, and no other of that name.
func (t taker) remove(ctx context.Context) error {
	id, uid := t.step.Live.ID, types.UID(t.step.Live.UID)
	background := metav1.DeletePropagationBackground
	err := t.retry(ctx, func(ctx context.Context) error {
		return t.api.Delete(ctx, id.Name, metav1.DeleteOptions{
			Preconditions: &metav1.Preconditions{UID: &uid}, PropagationPolicy: &background,
		})
	})
	if apierrors.IsConflict(err) {
		found, getErr := t.api.Get(ctx, id.Name, metav1.GetOptions{})
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
		return fmt.Errorf("waiting for its end: %w", err)
	}
	return nil
}

// body is the wanted object, with its owner.
func (t taker) body(_ context.Context) (*unstructured.Unstructured, error) {
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(t.step.Want.Body); err != nil {
		return nil, fmt.Errorf("reading the rendered object: %w", err)
	}
	if t.step.Want.Kind != "Pod" || t.step.Want.Role != object.RoleCamera {
		return u, nil
	}
	id := object.ID{APIVersion: "v1", Kind: "ConfigMap", Namespace: t.step.Want.Namespace, Name: t.step.Want.Name}
	owner := t.watch.get(id)
	if owner == nil || owner.DeletionTimestamp != nil {
		return nil, fmt.Errorf("its owner, %s, is not there", id)
	}
	yes := true
	u.SetOwnerReferences([]metav1.OwnerReference{{
		APIVersion: id.APIVersion, Kind: id.Kind, Name: id.Name, UID: owner.UID, Controller: &yes,
	}})
	return u, nil
}

// apply applies an object, and takes up what the server made of it.
func (t taker) apply(ctx context.Context, u *unstructured.Unstructured, force bool) error {
	return t.retry(ctx, func(ctx context.Context) error {
		made, err := t.api.Apply(ctx, u.GetName(), u, metav1.ApplyOptions{FieldManager: manager, Force: force})
		if err != nil {
			return err
		}
		e, err := newEntry(made)
		if err != nil {
			return err
		}
		t.watch.wrote(t.step.Want, e)
		return nil
	})
}
