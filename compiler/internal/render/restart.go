package render

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// lasting is what of a Pod's spec cannot be changed while it runs: all but how
// much CPU and memory its containers ask for and may take, which is changed in
// place (the Pod's subresource resize). What such a change may not do needs a
// new Pod, and stays in: take a request or limit away, or alter the Pod's class
// of service. The init containers' stay too: they have run.
func lasting(spec *corev1.PodSpec) (json.RawMessage, error) {
	out := *spec
	out.Containers = make([]corev1.Container, len(spec.Containers))
	for i, c := range spec.Containers {
		c.Resources.Requests, c.Resources.Limits = unsized(c.Resources.Requests), unsized(c.Resources.Limits)
		out.Containers[i] = c
	}
	encoded, err := canonical(out)
	if err != nil {
		return nil, err
	}
	return append(encoded, class(spec)...), nil
}

// unsized keeps the names of what can be resized, without how much of it.
func unsized(list corev1.ResourceList) corev1.ResourceList {
	if list == nil {
		return nil
	}
	out := corev1.ResourceList{}
	for name, quantity := range list {
		if name == corev1.ResourceCPU || name == corev1.ResourceMemory {
			quantity = resource.Quantity{}
		}
		out[name] = quantity
	}
	return out
}

// class is a Pod's class of service, as Kubernetes decides it.
func class(spec *corev1.PodSpec) corev1.PodQOSClass {
	var of corev1.PodQOSClass
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for _, c := range containers {
			for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
				one := classOf(c.Resources, name)
				if one == corev1.PodQOSBurstable || of != "" && of != one {
					return corev1.PodQOSBurstable
				}
				of = one
			}
		}
	}
	return of
}

// classOf looks at one resource of one container. A limit without a request is
// a request too.
func classOf(r corev1.ResourceRequirements, name corev1.ResourceName) corev1.PodQOSClass {
	limit := r.Limits[name]
	request, asked := r.Requests[name]
	switch {
	case asked && request.Cmp(limit) != 0:
		return corev1.PodQOSBurstable
	case limit.IsZero():
		return corev1.PodQOSBestEffort
	}
	return corev1.PodQOSGuaranteed
}

// Rehash is the hash of a Pod whose spec an overlay has changed: of its hash
// before, and of what of the new spec needs a restart. It depends on nothing
// else, so that the same commit gives the same hash. Where only resources
// were changed, the hash stays.
func Rehash(hash string, before, after json.RawMessage) (string, error) {
	var last [2]json.RawMessage
	for i, spec := range []json.RawMessage{before, after} {
		var typed corev1.PodSpec
		err := json.Unmarshal(spec, &typed)
		if err == nil {
			last[i], err = lasting(&typed)
		}
		if err != nil {
			return "", fmt.Errorf("reading the Pod's spec: %w", err)
		}
	}
	if string(last[0]) == string(last[1]) {
		return hash, nil
	}
	return hashOf(last[1], []string{hash}), nil
}
