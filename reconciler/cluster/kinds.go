package cluster

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"camfleet.dev/compiler/object"
)

// Kind is a kind of object that is watched and applied.
type Kind struct {
	APIVersion, Kind string
	Resource         string // its name in URLs
	ClusterWide      bool   // it is in no namespace
}

// Kinds are what the compiler renders, and an Ingress for the page. They are a
// list, not what the API server happens to offer, so that the reconciler needs
// rights to these and to no others.
func Kinds() []Kind {
	return []Kind{
		{APIVersion: "v1", Kind: "Namespace", Resource: "namespaces", ClusterWide: true},
		{APIVersion: "v1", Kind: "PersistentVolumeClaim", Resource: "persistentvolumeclaims"},
		{APIVersion: "v1", Kind: "ConfigMap", Resource: "configmaps"},
		{APIVersion: "v1", Kind: "Service", Resource: "services"},
		{APIVersion: "v1", Kind: "PodTemplate", Resource: "podtemplates"},
		{APIVersion: "v1", Kind: "Pod", Resource: "pods"},
		{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy", Resource: "networkpolicies"},
		{APIVersion: "networking.k8s.io/v1", Kind: "Ingress", Resource: "ingresses"},
		{APIVersion: "batch/v1", Kind: "CronJob", Resource: "cronjobs"},
		{APIVersion: "apps/v1", Kind: "Deployment", Resource: "deployments"},
	}
}

func (k Kind) resource() schema.GroupVersionResource {
	group, version, found := strings.Cut(k.APIVersion, "/")
	if !found {
		group, version = "", k.APIVersion
	}
	return schema.GroupVersionResource{Group: group, Version: version, Resource: k.Resource}
}

// kind finds the kind of an object.
func kind(kinds []Kind, id object.ID) (Kind, error) {
	for _, k := range kinds {
		if k.Kind == id.Kind && k.APIVersion == id.APIVersion {
			return k, nil
		}
	}
	return Kind{}, fmt.Errorf("objects of kind %s (%s) are not managed in a cluster: take them out of the site's kustomization.yaml, "+
		"and apply them by other means", id.Kind, id.APIVersion)
}
