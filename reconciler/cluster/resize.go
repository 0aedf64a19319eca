package cluster

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// configurePod changes a Pod without a restart: its CPU and memory first, which
// have a subresource of their own, and then what is left, if anything is.
func (t taker) configurePod(ctx context.Context) error {
	want, err := sizes(t.step.Want.Body)
	if err != nil {
		return fmt.Errorf("reading the rendered Pod: %w", err)
	}
	switch is, err := sizes(t.step.Live.Body); {
	case err != nil || len(is) == 0: // nothing of them is ours yet, and they may be as we want them
		err := t.configure(ctx)
		if err == nil && t.sized(want) || err != nil && !apierrors.IsInvalid(err) {
			return err
		}
	case equality.Semantic.DeepEqual(is, want):
		return t.configure(ctx)
	}
	if err := t.resize(ctx); err != nil {
		return err
	}
	if e := t.watch.get(t.step.Want.ID); e != nil && string(e.live.Body) == string(t.step.Want.Body) && !e.orphan(t.watch.get(t.config())) {
		return nil
	}
	return t.configure(ctx)
}

// sized tells whether the Pod's CPU and memory are ours, and as we want them.
func (t taker) sized(want map[string]corev1.ResourceRequirements) bool {
	e := t.watch.get(t.step.Want.ID)
	if e == nil {
		return true // it is gone
	}
	is, err := sizes(e.live.Body)
	return err == nil && equality.Semantic.DeepEqual(is, want)
}

// sizes are the resources of a Pod's containers, by name.
func sizes(body json.RawMessage) (map[string]corev1.ResourceRequirements, error) {
	var pod struct {
		Spec struct {
			Containers []struct {
				Name      string                      `json:"name"`
				Resources corev1.ResourceRequirements `json:"resources"`
			} `json:"containers"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(body, &pod); err != nil {
		return nil, err
	}
	out := map[string]corev1.ResourceRequirements{}
	for _, c := range pod.Spec.Containers {
		out[c.Name] = c.Resources
	}
	return out, nil
}

// resize applies the resources of the Pod's containers, and nothing else. The
// first try learns whose values they are now; that is always ourselves, too,
// because fields applied through a subresource are kept apart.
func (t taker) resize(ctx context.Context) error {
	size, err := t.size()
	if err != nil {
		return err
	}
	_, err = t.apply(ctx, size, false, resizeSubresource)
	if others := takenBy(err); len(others) > 0 {
		_, err = t.force(ctx, size, others, resizeSubresource)
	}
	if err != nil {
		return fmt.Errorf("the Pod keeps running with the CPU and memory that it has; delete it to get one with the new ones: %w",
			said("changing them", err))
	}
	return nil
}

// size is the wanted Pod with nothing but its resources.
func (t taker) size() (*unstructured.Unstructured, error) {
	var pod struct {
		Spec struct {
			Containers []map[string]any `json:"containers"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(t.step.Want.Body, &pod); err != nil {
		return nil, fmt.Errorf("reading the rendered Pod: %w", err)
	}
	var containers []any
	for _, c := range pod.Spec.Containers {
		if r, ok := c["resources"]; ok {
			containers = append(containers, map[string]any{"name": c["name"], "resources": r})
		}
	}
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": t.step.Want.APIVersion, "kind": t.step.Want.Kind,
		"spec": map[string]any{"containers": containers},
	}}
	u.SetName(t.step.Want.Name)
	u.SetNamespace(t.step.Want.Namespace)
	u.SetUID(types.UID(t.step.Live.UID))
	return u, nil
}
