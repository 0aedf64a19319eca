package render

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"camfleet.dev/compiler/page"
)

// door is the Secret with those who may see the page, "" where everybody may.
func (r *renderer) door() string {
	if r.Site.Page == nil || r.Site.Page.Auth == nil {
		return ""
	}
	return r.Site.Page.Auth.Secret
}

// doorVolume may be empty: nginx then lets nobody in. A Pod that waited for the
// Secret would leave the one before it running, which may have had no door.
func doorVolume(secret string) corev1.Volume {
	return corev1.Volume{Name: "auth", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
		SecretName: secret, DefaultMode: ptr(int32(0o440)), Optional: ptr(true),
		Items: []corev1.KeyToPath{{Key: page.AuthKey, Path: page.AuthKey}},
	}}}
}

// ingress leads the page's host to it. Its class is the cluster's default. It
// needs no annotations: nginx itself says that live video is not to be buffered.
func (r *renderer) ingress(from origin) {
	p := r.Site.Page
	if p == nil {
		return
	}
	if p.Host == "" {
		if p.TLSSecret != "" {
			r.problem("site.page.tlsSecret", "is of no use without host: add the host that the certificate is for, such as host: \"gate.example.org\"")
		}
		return
	}
	switch {
	case p.Auth == nil:
		r.warn("site.page.host", "whoever reaches "+p.Host+" sees all recordings and live video; page: auth: secret: \"…\" asks for a password")
	case p.TLSSecret == "":
		r.warn("site.page.host", "without tlsSecret the password and all video cross the network readable, unless something before the cluster ends TLS")
	}
	prefix := networkingv1.PathTypePrefix
	spec := networkingv1.IngressSpec{Rules: []networkingv1.IngressRule{{
		Host: p.Host,
		IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{Paths: []networkingv1.HTTPIngressPath{{
			Path: "/", PathType: &prefix,
			Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{
				Name: pageName, Port: networkingv1.ServiceBackendPort{Name: pagePort},
			}},
		}}}},
	}}}
	if p.TLSSecret != "" {
		spec.TLS = []networkingv1.IngressTLS{{Hosts: []string{p.Host}, SecretName: p.TLSSecret}}
	}
	r.add(from, &networkingv1.Ingress{
		TypeMeta:   metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "Ingress"},
		ObjectMeta: r.meta(pageName),
		Spec:       spec,
	})
}
