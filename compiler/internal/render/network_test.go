package render

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"

	"camfleet.dev/schema"
)

// allowed writes a policy's rules as words: "to 10.0.0.1/32 TCP 554".
func allowed(p *networkingv1.NetworkPolicy) (out []string) {
	words := func(way string, peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort) {
		peer := "any"
		for _, p := range peers {
			switch {
			case p.IPBlock != nil:
				peer = p.IPBlock.CIDR
			case p.PodSelector != nil:
				peer = p.PodSelector.MatchLabels["camfleet.dev/role"]
			}
		}
		for _, port := range ports {
			number := "*"
			if port.Port != nil {
				number = port.Port.String()
			}
			out = append(out, fmt.Sprintf("%s %s %s %s", way, peer, *port.Protocol, number))
		}
	}
	for _, r := range p.Spec.Ingress {
		words("from", r.From, r.Ports)
	}
	for _, r := range p.Spec.Egress {
		words("to", r.To, r.Ports)
	}
	return out
}

func TestCameraPolicy(t *testing.T) {
	t.Parallel()
	in := []string{"from page TCP 8080", "from task TCP 8554", "from any TCP 9090"}
	dns := []string{"to any UDP 53", "to any TCP 53"}
	for _, c := range []struct {
		url, transport string
		want           []string
	}{
		{"rtsp://10.0.0.21/stream", "tcp", []string{"to 10.0.0.21/32 TCP 554"}},
		{"rtsp://10.0.0.21:8554/stream", "tcp", []string{"to 10.0.0.21/32 TCP 8554"}},
		{"rtsps://10.0.0.21/stream", "tcp", []string{"to 10.0.0.21/32 TCP 322"}},
		{"rtsp://[fd00::1]:554/", "tcp", []string{"to fd00::1/128 TCP 554"}},
		{"rtsp://[::ffff:10.0.0.1]/", "tcp", []string{"to 10.0.0.1/32 TCP 554"}},
		{"rtsp://10.0.0.21/stream", "udp", []string{"to 10.0.0.21/32 TCP 554", "to 10.0.0.21/32 UDP *"}},
		{"rtsp://camera.lan/x", "tcp", append([]string{"to any TCP 554"}, dns...)},
		{"rtsps://camera.lan:10554/x", "udp", append([]string{"to any TCP 10554", "to any UDP *"}, dns...)},
	} {
		out := withCamera("north", func(cam *schema.Camera) { cam.URL, cam.Transport = c.url, c.transport })
		policy := as[networkingv1.NetworkPolicy](t, find(t, rendered(t, out), "NetworkPolicy", "camera-north"))
		if got, want := allowed(policy), slices.Concat(in, c.want); !slices.Equal(got, want) {
			t.Errorf("%s over %s:\ngot\n%s\nwant\n%s", c.url, c.transport, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if len(policy.Spec.PolicyTypes) != 2 || policy.Spec.PodSelector.MatchLabels["camfleet.dev/role"] != "camera" {
			t.Errorf("it governs %v of %v", policy.Spec.PolicyTypes, policy.Spec.PodSelector)
		}
	}
}

// TestCameraURLIsNotInThePage: who may look need not know where cameras are.
func TestCameraURLIsNotInThePage(t *testing.T) {
	t.Parallel()
	for _, o := range rendered(t, gate()) {
		if o.Role == "page" && strings.Contains(string(o.Body), "10.0.0.21") {
			t.Errorf("%s tells the camera's address", o.ID)
		}
	}
}
