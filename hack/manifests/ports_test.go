package manifests

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"slices"
	"strconv"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"

	"camfleet.dev/compiler"
	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/cluster"
	"camfleet.dev/reconciler/health"
)

// TestTheReconcilerReachesCameras: where it asks a camera why it is not ready,
// its own policy lets it out, and the policy of each camera lets it in.
func TestTheReconcilerReachesCameras(t *testing.T) {
	port := askedPort(t)
	objects := build(t, Folder("overlays/default"))
	self := one[appsv1.Deployment](t, objects, "Deployment").Spec.Template.Labels
	cameras := 0
	compiled, err := compiler.Compile(t.Context(), os.DirFS(Folder("../sites")), compiler.Options{})
	if err != nil || len(compiled.Problems) > 0 {
		t.Fatal(err, compiled.Problems)
	}
	for _, o := range compiled.Objects {
		if o.Kind != "Pod" || o.Role != object.RoleCamera {
			continue
		}
		cameras++
		var pod corev1.Pod
		if err := json.Unmarshal(o.Body, &pod); err != nil {
			t.Fatal(err)
		}
		if out := letsOut(all[networkingv1.NetworkPolicy](t, objects, "NetworkPolicy"), self, pod.Labels); !slices.Equal(out, []int{port}) {
			t.Errorf("manifests/base lets the reconciler out to %s at ports %v, and it asks at %d", o.ID, out, port)
		}
		if in := letsIn(t, compiled.Objects, o, pod.Labels, self); !slices.Equal(in, []int{port}) {
			t.Errorf("%s lets the reconciler in at ports %v, and it asks at %d", o.ID, in, port)
		}
		if !slices.ContainsFunc(pod.Spec.Containers, func(c corev1.Container) bool {
			return slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool { return int(p.ContainerPort) == port })
		}) {
			t.Errorf("%s has no port %d", o.ID, port)
		}
	}
	if cameras == 0 {
		t.Error("the example has no camera")
	}
}

// askedPort is where the reconciler asks.
func askedPort(t *testing.T) int {
	t.Helper()
	port := 0
	asker := health.Asker{Transport: transport(func(r *http.Request) (*http.Response, error) {
		var err error
		if port, err = strconv.Atoi(r.URL.Port()); err != nil {
			t.Error(err)
		}
		return nil, errors.New("nobody is here")
	})}
	asker.Ask(t.Context(), []cluster.Pod{{Thing: cluster.Thing{Role: object.RoleCamera}, Phase: "Running", IP: "10.244.0.9"}})
	if port == 0 {
		t.Fatal("it asked nobody")
	}
	return port
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// letsOut are the ports at which policies of some Pods let them out to others, by
// those others' labels: DNS and the like, which is to anybody, is left out.
func letsOut(policies []networkingv1.NetworkPolicy, from, to labels.Set) []int {
	var out []int
	for _, p := range policies {
		if !labels.SelectorFromSet(p.Spec.PodSelector.MatchLabels).Matches(from) {
			continue
		}
		for _, rule := range p.Spec.Egress {
			if slices.ContainsFunc(rule.To, func(peer networkingv1.NetworkPolicyPeer) bool { return matches(peer, to) }) {
				out = append(out, numbers(rule.Ports)...)
			}
		}
	}
	return out
}

// letsIn are the ports at which the policies of a camera's Pod let Pods of other
// namespaces in.
func letsIn(t *testing.T, objects []object.Object, of object.Object, own, from labels.Set) []int {
	t.Helper()
	var in []int
	for _, o := range objects {
		if o.Kind != "NetworkPolicy" || o.Namespace != of.Namespace {
			continue
		}
		var p networkingv1.NetworkPolicy
		if err := json.Unmarshal(o.Body, &p); err != nil {
			t.Fatal(err)
		}
		if !labels.SelectorFromSet(p.Spec.PodSelector.MatchLabels).Matches(own) {
			continue
		}
		for _, rule := range p.Spec.Ingress {
			if slices.ContainsFunc(rule.From, func(peer networkingv1.NetworkPolicyPeer) bool { return matches(peer, from) }) {
				in = append(in, numbers(rule.Ports)...)
			}
		}
	}
	return in
}

// matches tells whether a peer may be such a Pod of another namespace.
func matches(peer networkingv1.NetworkPolicyPeer, pod labels.Set) bool {
	return peer.NamespaceSelector != nil && (peer.PodSelector == nil || labels.SelectorFromSet(peer.PodSelector.MatchLabels).Matches(pod))
}

func numbers(ports []networkingv1.NetworkPolicyPort) []int {
	var out []int
	for _, p := range ports {
		out = append(out, p.Port.IntValue())
	}
	return out
}
