package render

import (
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"camfleet.dev/compiler/object"
	"camfleet.dev/compiler/page"
	"camfleet.dev/schema"
)

func withPage(p schema.Page) Input { return with(func(in *Input) { in.Site.Page = &p }) }

// TestDoor: nginx asks for a password, and finds those who may enter where the
// Secret is mounted; without the Secret the Pod starts, and lets nobody in.
func TestDoor(t *testing.T) {
	t.Parallel()
	objs := rendered(t, withPage(schema.Page{Auth: &schema.SecretRef{Secret: "viewers"}}))
	pod := as[appsv1.Deployment](t, find(t, objs, "Deployment", "page")).Spec.Template.Spec
	i := slices.IndexFunc(pod.Volumes, func(v corev1.Volume) bool { return v.Name == "auth" })
	if i < 0 {
		t.Fatalf("volumes are %v", pod.Volumes)
	}
	s := pod.Volumes[i].Secret
	if s.SecretName != "viewers" || !*s.Optional || *s.DefaultMode != 0o440 || len(s.Items) != 1 || s.Items[0].Key != "auth" {
		t.Errorf("the Secret is mounted as %+v", s)
	}
	nginx := pod.Containers[0].VolumeMounts
	j := slices.IndexFunc(nginx, func(m corev1.VolumeMount) bool { return m.Name == "auth" })
	if j < 0 || !nginx[j].ReadOnly {
		t.Fatalf("mounts are %v", nginx)
	}
	config := as[corev1.ConfigMap](t, find(t, objs, "ConfigMap", "page")).Data
	if want := "auth_basic_user_file " + nginx[j].MountPath + "/" + s.Items[0].Path + ";"; !strings.Contains(config[page.ConfigName], want) {
		t.Errorf("nginx.conf lacks %q", want)
	}
	if config[page.Door] != "viewers" {
		t.Errorf("a host is told of the door %q", config[page.Door])
	}
	hash := func(in Input) string {
		return as[appsv1.Deployment](t, find(t, rendered(t, in), "Deployment", "page")).Spec.Template.Annotations[object.AnnotationHash]
	}
	if hash(gate()) == hash(withPage(schema.Page{Auth: &schema.SecretRef{Secret: "viewers"}})) {
		t.Error("a new door does not restart nginx")
	}
	for _, o := range rendered(t, gate()) {
		if strings.Contains(string(o.Body), "auth_basic_user_file") || o.Kind == "Ingress" {
			t.Errorf("%s: a door, or a way in, without being asked for", o.ID)
		}
	}
}

func TestIngress(t *testing.T) {
	t.Parallel()
	viewers := &schema.SecretRef{Secret: "viewers"}
	for name, c := range map[string]struct {
		page schema.Page
		tls  bool
		warn string
	}{
		"all of it":        {schema.Page{Auth: viewers, Host: "gate.example.org", TLSSecret: "gate-tls"}, true, ""},
		"without TLS":      {schema.Page{Auth: viewers, Host: "gate.example.org"}, false, "site.page.host: without tlsSecret the password"},
		"open to everyone": {schema.Page{Host: "gate.example.org", TLSSecret: "gate-tls"}, true, "site.page.host: whoever reaches gate.example.org sees all"},
	} {
		in := withPage(c.page)
		out := Site(in)
		if len(out.Problems) > 0 || (len(out.Warnings) > 0) != (c.warn != "") || c.warn != "" && !strings.Contains(out.Warnings[0].Error(), c.warn) {
			t.Errorf("%s: problems %v, warnings %v", name, out.Problems, out.Warnings)
		}
		o := find(t, out.Objects, "Ingress", "page")
		spec := as[networkingv1.Ingress](t, o).Spec
		if o.APIVersion != "networking.k8s.io/v1" || o.Role != object.RolePage || len(spec.Rules) != 1 || spec.Rules[0].Host != "gate.example.org" {
			t.Fatalf("%s: %+v", name, spec)
		}
		path := spec.Rules[0].HTTP.Paths[0]
		port := as[corev1.Service](t, find(t, out.Objects, "Service", path.Backend.Service.Name)).Spec.Ports[0].Name
		if path.Path != "/" || *path.PathType != networkingv1.PathTypePrefix || path.Backend.Service.Port.Name != port {
			t.Errorf("%s leads to %+v", name, path)
		}
		if c.tls != (len(spec.TLS) == 1 && spec.TLS[0].SecretName == "gate-tls" && slices.Equal(spec.TLS[0].Hosts, []string{"gate.example.org"})) {
			t.Errorf("%s: TLS is %+v", name, spec.TLS)
		}
	}
}
