package render

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"camfleet.dev/compiler/object"
)

// patience is how many seconds a floating Pod stays on a node that does not
// answer before it is taken away. Kubernetes' own default is five minutes.
const patience = 60

// placement is where the site's Pods without an edge of their own run.
type placement struct {
	node     string // all on this Node; "" means anywhere
	together bool   // on one node, whichever
}

// placement looks at the access mode: a ReadWriteOnce claim is on one node.
func (r *renderer) placement() placement {
	if r.Site.Storage.AccessMode != string(corev1.ReadWriteOnce) {
		return placement{}
	}
	const mode = "site.storage.accessMode"
	nodes := map[string]string{} // Node → the first camera that is pinned to it
	for _, name := range slices.Sorted(maps.Keys(r.Site.Cameras)) {
		edge := r.Site.Cameras[name].Edge
		if node := r.node(edge); edge != "" && nodes[node] == "" {
			nodes[node] = name
		}
	}
	switch pinned := slices.Sorted(maps.Keys(nodes)); len(pinned) {
	case 0:
		r.warn(mode, "ReadWriteOnce keeps all of the site's Pods on one node; with a storage class that offers it, ReadWriteMany lets them spread")
		return placement{together: true}
	case 1:
		r.warn(mode, fmt.Sprintf("ReadWriteOnce keeps all of the site's Pods on one node: they follow camera %s to Node %s; "+
			"with a storage class that offers it, ReadWriteMany lets them spread", nodes[pinned[0]], pinned[0]))
		return placement{node: pinned[0]}
	default:
		r.warn(mode, fmt.Sprintf("ReadWriteOnce keeps all of the site's Pods on one node, but cameras %s and %s are pinned to the Nodes %s and %s: "+
			"in a Kubernetes cluster one of them would wait for ever; use ReadWriteMany, or the same edge for all of them",
			nodes[pinned[0]], nodes[pinned[1]], pinned[0], pinned[1]))
		return placement{together: true}
	}
}

// node is the Kubernetes Node of an edge.
func (r *renderer) node(edge string) string {
	if node := r.Site.Edges[edge].Node; node != "" {
		return node
	}
	return edge
}

// schedule decides where a Pod may run. A pinned Pod waits for its Node, however long
// that does not answer; a floating one is moved.
func (r *renderer) schedule(spec *corev1.PodSpec, edge string) {
	node := r.place.node
	if edge != "" {
		node = r.node(edge)
	}
	var seconds *int64
	switch {
	case node != "":
		spec.Affinity = &corev1.Affinity{NodeAffinity: onNode(node)}
	case r.place.together:
		spec.Affinity = &corev1.Affinity{PodAffinity: r.withSite()}
		fallthrough
	default:
		seconds = ptr(int64(patience))
	}
	for _, key := range []string{corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable} {
		spec.Tolerations = append(spec.Tolerations, corev1.Toleration{
			Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: seconds,
		})
	}
}

func onNode(node string) *corev1.NodeAffinity {
	return &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
		NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchFields: []corev1.NodeSelectorRequirement{{
			Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: []string{node},
		}}}},
	}}
}

// withSite lets the first Pod of a site choose a node, and the others follow.
func (r *renderer) withSite() *corev1.PodAffinity {
	return &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
		LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{object.LabelSite: r.Name}},
		TopologyKey:   corev1.LabelHostname,
	}}}
}
