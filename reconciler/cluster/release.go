package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// clientSideApply is the name under which kubectl apply writes without --server-side.
const clientSideApply = "kubectl-client-side-apply"

// applies tells whether an entry is of somebody else who applied the object as
// a whole. A field that they applied as we do belongs to both, so that it would
// stay when Git has it no more, and nobody would see it.
func applies(by, operation, subresource string) bool {
	return by != manager && subresource == "" && (operation == string(metav1.ManagedFieldsOperationApply) || by == clientSideApply)
}

// appliedToo tells whether an object has such an entry. It is asked for every
// object that comes in, so it converts nothing.
func appliedToo(u *unstructured.Unstructured) bool {
	list, _, _ := unstructured.NestedFieldNoCopy(u.Object, "metadata", "managedFields")
	entries, _ := list.([]any)
	for _, e := range entries {
		e, _ := e.(map[string]any)
		by, _ := e["manager"].(string)
		operation, _ := e["operation"].(string)
		subresource, _ := e["subresource"].(string)
		if applies(by, operation, subresource) {
			return true
		}
	}
	return false
}

// separate is alone, of which nothing depends on: when it fails, the next change
// is another chance. made is the object as it is, nil to read it.
func (t taker) separate(ctx context.Context, made *unstructured.Unstructured) {
	var err error
	if made == nil {
		made, err = t.read(ctx, t.step.Want.Name)
	}
	if err == nil {
		err = t.alone(ctx, made)
	}
	if err != nil {
		t.Log.Warn("others manage its fields, too, so that some may stay when Git has them no more", "object", t.step.Want.ID, "error", err)
	}
}

// alone makes us the only one who applies the fields that we apply. What others
// applied besides stays, and stays theirs. made is the object as it is.
func (t taker) alone(ctx context.Context, made *unstructured.Unstructured) error {
	left, shared, err := unshared(made)
	if err != nil || !shared {
		return err
	}
	patch, err := json.Marshal([]map[string]any{
		{"op": "replace", "path": "/metadata/managedFields", "value": left},
		{"op": "replace", "path": "/metadata/resourceVersion", "value": made.GetResourceVersion()},
	})
	if err != nil {
		return fmt.Errorf("encoding managedFields: %w", err)
	}
	err = t.retry(ctx, func(ctx context.Context) error {
		now, err := t.api.Patch(ctx, made.GetName(), types.JSONPatchType, patch, metav1.PatchOptions{FieldManager: manager})
		if err != nil {
			return err
		}
		return t.wrote(now)
	})
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil // somebody was quicker; the next change is another chance
	}
	return said("taking its fields over", err)
}

// unshared is managedFields without those fields of others that we apply, too, and whether
// there were any.
func unshared(u *unstructured.Unstructured) (left []metav1.ManagedFieldsEntry, shared bool, err error) {
	mine := fieldpath.NewSet()
	for _, e := range u.GetManagedFields() {
		if e.Manager == manager && e.Operation == metav1.ManagedFieldsOperationApply && e.FieldsV1 != nil {
			set, err := fieldSet(e)
			if err != nil {
				return nil, false, err
			}
			mine = mine.Union(set)
		}
	}
	for _, e := range u.GetManagedFields() {
		if e.FieldsV1 == nil || !applies(e.Manager, string(e.Operation), e.Subresource) {
			left = append(left, e)
			continue
		}
		set, err := fieldSet(e)
		if err != nil {
			return nil, false, err
		}
		rest := set.Difference(mine)
		if rest.Size() == set.Size() {
			left = append(left, e)
			continue
		}
		shared = true
		if rest.Empty() {
			continue
		}
		raw, err := rest.ToJSON()
		if err != nil {
			return nil, false, fmt.Errorf("encoding the fields of %s: %w", e.Manager, err)
		}
		e.FieldsV1 = metav1.NewFieldsV1(string(raw))
		left = append(left, e)
	}
	return left, shared, nil
}

func fieldSet(e metav1.ManagedFieldsEntry) (*fieldpath.Set, error) {
	set := fieldpath.NewSet()
	if err := set.FromJSON(bytes.NewReader(e.FieldsV1.GetRawBytes())); err != nil {
		return nil, fmt.Errorf("reading the fields of %s: %w", e.Manager, err)
	}
	return set, nil
}
