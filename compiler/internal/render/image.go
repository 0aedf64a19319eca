package render

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// image is where an image is pulled from: with a registry of the cluster's
// own, the same repository there (docker.io/library/nginx:1.29 becomes
// 10.0.0.5:5000/library/nginx:1.29, camfleet:1 becomes 10.0.0.5:5000/camfleet:1).
func (r *renderer) image(name string) string {
	registry := r.ClusterSpec.Registry
	if registry == nil {
		return name
	}
	host, rest, found := strings.Cut(name, "/")
	if found && (strings.ContainsAny(host, ".:") || host == "localhost") {
		name = rest
	}
	return registry.Host + "/" + name
}

func (r *renderer) pullSecrets() []corev1.LocalObjectReference {
	if r.ClusterSpec.Registry == nil || r.ClusterSpec.Registry.PullSecret == "" {
		return nil
	}
	return []corev1.LocalObjectReference{{Name: r.ClusterSpec.Registry.PullSecret}}
}
