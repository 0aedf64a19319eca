package overlay

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"camfleet.dev/compiler/object"
)

// kind is a kind of object that a site may have.
type kind struct {
	apiVersion, kind string
	// typed is the Go type, and how its Pods are found in it (nil: it has none).
	typed func() (any, func() corev1.PodTemplateSpec)
}

// kinds are what the reconciler applies in a cluster (its rights are for these
// and no others), less a site's Namespace. A test holds the two lists together.
func kinds() []kind {
	return []kind{
		{"v1", "PersistentVolumeClaim", plain[corev1.PersistentVolumeClaim]},
		{"v1", "ConfigMap", plain[corev1.ConfigMap]},
		{"v1", "Service", plain[corev1.Service]},
		{"v1", "PodTemplate", func() (any, func() corev1.PodTemplateSpec) {
			o := &corev1.PodTemplate{}
			return o, func() corev1.PodTemplateSpec { return o.Template }
		}},
		{"v1", "Pod", func() (any, func() corev1.PodTemplateSpec) {
			o := &corev1.Pod{}
			return o, func() corev1.PodTemplateSpec { return corev1.PodTemplateSpec{ObjectMeta: o.ObjectMeta, Spec: o.Spec} }
		}},
		{"networking.k8s.io/v1", "NetworkPolicy", plain[networkingv1.NetworkPolicy]},
		{"networking.k8s.io/v1", "Ingress", plain[networkingv1.Ingress]},
		{"batch/v1", "CronJob", func() (any, func() corev1.PodTemplateSpec) {
			o := &batchv1.CronJob{}
			return o, func() corev1.PodTemplateSpec { return o.Spec.JobTemplate.Spec.Template }
		}},
		{"apps/v1", "Deployment", func() (any, func() corev1.PodTemplateSpec) {
			o := &appsv1.Deployment{}
			return o, func() corev1.PodTemplateSpec { return o.Spec.Template }
		}},
	}
}

func plain[T any]() (any, func() corev1.PodTemplateSpec) { return new(T), nil }

// typeOf is the Go type of an object, and how its Pods are found in it.
func typeOf(id object.ID) (typed any, pod func() corev1.PodTemplateSpec) {
	if id.APIVersion == "v1" && id.Kind == "Namespace" {
		return &corev1.Namespace{}, nil
	}
	for _, k := range kinds() {
		if k.apiVersion == id.APIVersion && k.kind == id.Kind {
			return k.typed()
		}
	}
	return nil, nil
}

// unwelcome says why an overlay may not bring an object of this kind, or "".
func unwelcome(apiVersion, name string) string {
	if name == "Secret" {
		return "a Secret's content is never in Git; create it in the cluster, and name it in CUE"
	}
	if slices.ContainsFunc(kinds(), func(k kind) bool { return k.apiVersion == apiVersion && k.kind == name }) {
		return ""
	}
	var known []string
	for _, k := range kinds() {
		if k.kind == name {
			return fmt.Sprintf("a site may have a %s of apiVersion %s, not of %s", name, k.apiVersion, apiVersion)
		}
		known = append(known, k.kind)
	}
	slices.Sort(known)
	return fmt.Sprintf("camfleet does not manage objects of kind %s (%s); apply it by other means (a site's overlay may bring %s)", name, apiVersion, strings.Join(known, ", "))
}
