package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// others are the fields that other managers have taken, by manager.
type others map[string][]string

// takenBy reads which managers hold fields that we want to set to other
// values. It is empty for any other error, and for a conflict that is about
// anything else besides.
func takenBy(err error) others {
	var status apierrors.APIStatus
	if !apierrors.IsConflict(err) || !errors.As(err, &status) || status.Status().Details == nil {
		return nil
	}
	out := others{}
	for _, c := range status.Status().Details.Causes {
		if c.Type != metav1.CauseTypeFieldManagerConflict {
			return nil
		}
		name := "somebody else"
		if _, rest, ok := strings.Cut(c.Message, `conflict with "`); ok {
			name, _, _ = strings.Cut(rest, `"`)
		}
		out[name] = append(out[name], strings.TrimPrefix(c.Field, "."))
	}
	return out
}

func (o others) names() string { return strings.Join(slices.Sorted(maps.Keys(o)), " and ") }

// String names the managers and their fields, never a value.
func (o others) String() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(o)) {
		parts = append(parts, name+" had changed "+strings.Join(o[name], ", "))
	}
	return strings.Join(parts, "; ")
}

// changed are those of the fields that others have changed. What is still ours
// is as we left it: the others had only applied the same (kubectl, the same
// files), and the change is Git's. Of what was never ours, nothing is put back:
// it is taken over. found is the object as it is, if it was read.
func (t taker) changed(ctx context.Context, by others) (out others, found *unstructured.Unstructured, err error) {
	if _, us := by[manager]; us && len(by) == 1 {
		return nil, nil, nil // what a subresource applies is kept apart
	}
	if found, err = t.read(ctx, t.step.Want.Name); err != nil {
		return nil, nil, said("looking who has changed it", err)
	}
	left, err := paths(found)
	if err != nil || left == nil {
		return nil, found, err
	}
	out = others{}
	for name, fields := range by {
		fields = slices.DeleteFunc(slices.Clone(fields), func(f string) bool { return left["."+f] })
		if name != manager && len(fields) > 0 {
			out[name] = fields
		}
	}
	return out, found, nil
}

// paths are the fields of an object that are ours, as conflicts name them; nil
// when none is.
func paths(u *unstructured.Unstructured) (map[string]bool, error) {
	fields, err := ours(u)
	if err != nil || fields == nil {
		return nil, err
	}
	raw, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("encoding our fields: %w", err)
	}
	set := fieldpath.NewSet()
	if err := set.FromJSON(bytes.NewReader(raw)); err != nil {
		return nil, fmt.Errorf("reading our fields: %w", err)
	}
	out := map[string]bool{}
	set.Iterate(func(p fieldpath.Path) { out[p.String()] = true })
	return out, nil
}
