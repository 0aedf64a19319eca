package render

import (
	"net/netip"
	"net/url"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"camfleet.dev/compiler/object"
	"camfleet.dev/schema"
)

// cameraPolicy lets a camera's worker reach its camera and nothing else, and
// be reached by the page, the site's tasks, Prometheus and the reconciler.
// Video is for the page alone: what any Pod with the right label could reach,
// tells how the camera is and shows nothing.
func (r *renderer) cameraPolicy(name string, c schema.Camera) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"},
		ObjectMeta: r.meta("camera-" + name),
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{
				object.LabelCamera: name, object.LabelRole: object.RoleCamera,
			}},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
			Ingress: []networkingv1.NetworkPolicyIngressRule{
				{From: roleInSite(object.RolePage), Ports: ports(corev1.ProtocolTCP, portLive)},
				{From: roleInSite(object.RoleTask), Ports: ports(corev1.ProtocolTCP, portRestream)},
				// Prometheus may be in any namespace, under any label; and the
				// reconciler, which asks a camera that is not ready why.
				{From: []networkingv1.NetworkPolicyPeer{{NamespaceSelector: &metav1.LabelSelector{}}}, Ports: ports(corev1.ProtocolTCP, portMetrics)},
			},
			Egress: r.egress(name, c),
		},
	}
}

// egress is to the camera: its address, or any host on its port where it has a
// name (what that means is known only when it is looked up).
func (r *renderer) egress(name string, c schema.Camera) []networkingv1.NetworkPolicyEgressRule {
	host, port, err := cameraHost(c.URL)
	if err != nil {
		r.problem(cameraPath(name, "url"), "is not a URL such as rtsp://10.0.0.21:554/stream1; look at its host, and its port (1 to 65535)")
		return nil
	}
	to, dns := []networkingv1.NetworkPolicyPeer(nil), true
	if addr, err := netip.ParseAddr(host); err == nil {
		addr = addr.Unmap().WithZone("")
		block := netip.PrefixFrom(addr, addr.BitLen()).String()
		to, dns = []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: block}}}, false
	}
	rules := []networkingv1.NetworkPolicyEgressRule{{To: to, Ports: ports(corev1.ProtocolTCP, port)}}
	if c.Transport == "udp" {
		// The camera chooses the ports that RTP comes from and RTCP goes to.
		rules[0].Ports = append(rules[0].Ports, networkingv1.NetworkPolicyPort{Protocol: ptr(corev1.ProtocolUDP)})
	}
	if dns {
		rules = append(rules, networkingv1.NetworkPolicyEgressRule{
			Ports: append(ports(corev1.ProtocolUDP, 53), ports(corev1.ProtocolTCP, 53)...),
		})
	}
	return rules
}

// cameraHost reads a camera's host and port; RTSP's own are 554, and 322 with TLS.
func cameraHost(camera string) (string, int, error) {
	u, err := url.Parse(camera)
	if err != nil {
		return "", 0, err
	}
	port := 554
	if u.Scheme == "rtsps" {
		port = 322
	}
	if s := u.Port(); s != "" {
		n, err := strconv.ParseUint(s, 10, 16)
		if err != nil {
			return "", 0, err
		}
		port = int(n)
	}
	return u.Hostname(), port, nil
}

func roleInSite(role string) []networkingv1.NetworkPolicyPeer {
	return []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{object.LabelRole: role}}}}
}

func ports(protocol corev1.Protocol, port int) []networkingv1.NetworkPolicyPort {
	return []networkingv1.NetworkPolicyPort{{Protocol: &protocol, Port: ptr(intstr.FromInt32(int32(port)))}}
}
