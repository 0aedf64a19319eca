package manifests

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	client "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"

	"camfleet.dev/hack/cptest"
	"camfleet.dev/reconciler/cluster"
)

// right is a question that an API server answers: verb, group/resource[/subresource],
// namespace ("" means all), name ("" means any).
type right struct{ verb, resource, namespace, name string }

func (r right) String() string {
	return strings.TrimSpace(r.verb + " " + r.resource + " " + r.name + " in [" + r.namespace + "]")
}

// asker asks as the owner of a token.
func asker(t *testing.T, c *cptest.Cluster, token string) func(right) bool {
	t.Helper()
	api, err := client.NewForConfig(&rest.Config{Host: c.Host, BearerToken: token, QPS: -1, TLSClientConfig: rest.TLSClientConfig{CAData: c.CA}})
	if err != nil {
		t.Fatal(err)
	}
	return func(r right) bool {
		group, resource, _ := strings.Cut(r.resource, "/")
		resource, sub, _ := strings.Cut(resource, "/")
		review, err := api.SelfSubjectAccessReviews().Create(t.Context(), &authorizationv1.SelfSubjectAccessReview{
			Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
				Verb: r.verb, Group: group, Resource: resource, Subresource: sub, Namespace: r.namespace, Name: r.name,
			}},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return review.Status.Allowed
	}
}

func expect(t *testing.T, may func(right) bool, want bool, rights []right) {
	t.Helper()
	for _, r := range rights {
		if got := may(r); got != want {
			t.Errorf("%s: allowed is %v, want %v", r, got, want)
		}
	}
}

const siteNamespace = "camfleet-gate"

// needed are the rights without which the reconciler could not do its work.
func needed() []right {
	out := []right{
		{"patch", "/pods/resize", siteNamespace, "camera-north"},
		{"create", "/events", siteNamespace, ""}, {"create", "/events", "default", ""}, {"create", "/events", Namespace, ""},
		{"list", "/nodes", "", ""}, {"watch", "/nodes", "", ""},
		{"create", "coordination.k8s.io/leases", Namespace, ""}, {"get", "coordination.k8s.io/leases", Namespace, Account},
		{"update", "coordination.k8s.io/leases", Namespace, Account},
		{"get", "/configmaps", Namespace, "camfleet"}, {"patch", "/configmaps", Namespace, "camfleet-status"},
	}
	for _, k := range cluster.Kinds() {
		group, _, found := strings.Cut(k.APIVersion, "/")
		if !found {
			group = ""
		}
		verbs := []string{"get", "list", "watch", "create", "patch"}
		if k.Kind != "Namespace" && k.Kind != "PersistentVolumeClaim" {
			verbs = append(verbs, "delete")
		}
		for _, verb := range verbs {
			out = append(out, right{verb, group + "/" + k.Resource, "", ""})
		}
	}
	return out
}

// forbidden is what nobody of camfleet may, whoever has taken them over.
func forbidden() []right {
	out := []right{
		{"delete", "/namespaces", "", ""}, {"delete", "/namespaces", siteNamespace, siteNamespace},
		{"delete", "/persistentvolumeclaims", siteNamespace, "archive"}, {"deletecollection", "/persistentvolumeclaims", siteNamespace, ""},
		{"deletecollection", "/pods", siteNamespace, ""}, {"delete", "/persistentvolumes", "", ""}, {"patch", "/persistentvolumes", "", ""},
		{"patch", "/nodes", "", "node-0"}, {"delete", "/nodes", "", "node-0"}, {"get", "/nodes/proxy", "", "node-0"},
		{"create", "/pods/exec", siteNamespace, "camera-north"}, {"create", "/pods/attach", siteNamespace, "camera-north"},
		{"create", "/pods/portforward", siteNamespace, "camera-north"}, {"get", "/pods/log", siteNamespace, "camera-north"},
		{"patch", "/pods/ephemeralcontainers", siteNamespace, "camera-north"}, {"patch", "/pods/status", siteNamespace, "camera-north"},
		{"create", "/pods/binding", siteNamespace, "camera-north"}, {"create", "/pods/eviction", siteNamespace, "camera-north"},
		{"create", "/serviceaccounts/token", Namespace, Account}, {"create", "/serviceaccounts", siteNamespace, ""}, {"impersonate", "/users", "", "admin"},
		{"patch", "coordination.k8s.io/leases", "kube-system", "kube-scheduler"}, {"delete", "coordination.k8s.io/leases", Namespace, Account},
		{"update", "coordination.k8s.io/leases", Namespace, "another"},
		{"create", "apps/daemonsets", "kube-system", ""}, {"create", "batch/jobs", siteNamespace, ""},
		{"create", "certificates.k8s.io/certificatesigningrequests", "", ""}, {"create", "apiextensions.k8s.io/customresourcedefinitions", "", ""},
		{"patch", "admissionregistration.k8s.io/validatingadmissionpolicies", "", "camfleet-reconciler"},
		{"delete", "admissionregistration.k8s.io/validatingadmissionpolicybindings", "", "camfleet-reconciler"},
		{"*", "*/*", "", ""},
	}
	for _, verb := range []string{"get", "list", "watch", "create", "patch", "update", "delete"} {
		for _, ns := range []string{"", Namespace, siteNamespace, "kube-system"} {
			out = append(out, right{verb, "/secrets", ns, ""})
		}
	}
	for _, resource := range []string{"roles", "rolebindings", "clusterroles", "clusterrolebindings"} {
		for _, verb := range []string{"create", "patch", "escalate", "bind", "delete"} {
			out = append(out, right{verb, "rbac.authorization.k8s.io/" + resource, "", ""})
		}
	}
	return out
}

// TestReconcilersRights asks the API server, as the reconciler.
func TestReconcilersRights(t *testing.T) {
	c := shared.Get(t)
	may := asker(t, c, Token(t, c))
	expect(t, may, true, needed())
	expect(t, may, false, forbidden())
}

// TestPeoplesRights gives the roles as README.md says, and asks as their owners.
func TestPeoplesRights(t *testing.T) {
	c := shared.Get(t)
	Token(t, c) // applies the roles
	status := []right{
		{"get", "/configmaps", Namespace, "camfleet"}, {"get", "/configmaps", Namespace, "camfleet-status"},
		{"watch", "/configmaps", Namespace, "camfleet-status"}, {"get", "coordination.k8s.io/leases", Namespace, "camfleet"},
	}
	order := []right{{"patch", "/configmaps", Namespace, "camfleet"}}
	never := []right{
		{"patch", "/configmaps", Namespace, "camfleet-status"}, {"update", "/configmaps", Namespace, "camfleet"}, {"delete", "/configmaps", Namespace, "camfleet"},
		{"create", "/configmaps", Namespace, ""}, {"get", "/configmaps", Namespace, "another"}, {"list", "/configmaps", Namespace, ""},
		{"patch", "/configmaps", siteNamespace, "camfleet"}, {"delete", "/pods", siteNamespace, ""}, {"patch", "apps/deployments", Namespace, "camfleet"},
		{"update", "coordination.k8s.io/leases", Namespace, "camfleet"},
	}
	live := []right{{"list", "/pods", "", ""}, {"list", "/configmaps", "", ""}, {"list", "batch/cronjobs", "", ""}, {"list", "/nodes", "", ""}}
	for _, p := range []struct {
		role       string
		yes, no    []right
		everywhere bool
	}{
		{"camfleet-viewer", status, append(append(order, live...), never...), false},
		{"camfleet-operator", append(order, status...), append(live, never...), false},
		{"camfleet-reader", live, []right{order[0], never[0], {"delete", "/pods", siteNamespace, ""}, {"create", "/pods", siteNamespace, ""}}, true},
	} {
		t.Run(p.role, func(t *testing.T) {
			may := asker(t, c, person(t, c, p.role, p.everywhere, "test"))
			expect(t, may, true, p.yes)
			expect(t, may, false, p.no)
			expect(t, may, false, forbidden())
		})
	}
}

// person is a token of somebody who was given a role.
func person(t *testing.T, c *cptest.Cluster, role string, everywhere bool, name string) string {
	t.Helper()
	who := name + "-" + role
	binding := []string{"create", "rolebinding", who, "--namespace=" + Namespace, "--clusterrole=" + role, "--serviceaccount=" + Namespace + ":" + who}
	if everywhere {
		binding = []string{"create", "clusterrolebinding", who, "--clusterrole=" + role, "--serviceaccount=" + Namespace + ":" + who}
	}
	for _, args := range [][]string{{"create", "serviceaccount", who, "--namespace=" + Namespace}, binding} {
		if out, err := c.Kubectl(t.Context(), args...).CombinedOutput(); err != nil {
			t.Fatalf("kubectl %v: %v\n%s", args, err, out)
		}
	}
	return TokenOf(t, c, who)
}

// TestPolicy makes the requests that RBAC lets through, and the policy must not.
func TestPolicy(t *testing.T) {
	c := shared.Get(t)
	as := actor(t, c, Token(t, c))
	if out, err := as(namespaceOf("camfleet-policy", "restricted"), "apply", "--server-side", "-f", "-").CombinedOutput(); err != nil {
		t.Fatalf("the namespace of a site: %v\n%s", err, out)
	}
	const outside, own, level = "begin with camfleet- only", "in its own namespace", "Pod Security"
	for what, try := range map[string]struct {
		input, want string
		args        []string
	}{
		"a Pod in kube-system":              {podIn("kube-system"), outside, []string{"create", "-f", "-"}},
		"a Pod in default":                  {podIn("default"), outside, []string{"apply", "--server-side", "-f", "-"}},
		"a Pod in the reconciler's":         {podIn(Namespace), own, []string{"create", "-f", "-"}},
		"another's configuration":           {"", outside, []string{"patch", "configmap", "kube-root-ca.crt", "-n", "kube-system", "-p", `{"data":{"a":"b"}}`}},
		"deleting another's configuration":  {"", outside, []string{"delete", "configmap", "kube-root-ca.crt", "-n", "default"}},
		"a Deployment in its own namespace": {"", own, []string{"create", "deployment", "evil", "--image=i", "-n", Namespace}},
		"a Service in its own namespace":    {"", own, []string{"create", "service", "clusterip", "evil", "--tcp=80", "-n", Namespace}},
		"a ConfigMap in its own namespace":  {"", own, []string{"create", "configmap", "settings", "-n", Namespace}},
		"a lease of another name":           {leaseOf("another"), own, []string{"create", "-f", "-"}},
		"a namespace of another name":       {namespaceOf("gate", "restricted"), outside, []string{"apply", "--server-side", "-f", "-"}},
		"a namespace that is privileged":    {namespaceOf("camfleet-x", "privileged"), level, []string{"apply", "--server-side", "-f", "-"}},
		"a namespace without a level":       {"", level, []string{"create", "namespace", "camfleet-y"}},
		"lifting a site's level":            {"", level, []string{"label", "namespace", "camfleet-policy", "--overwrite", "pod-security.kubernetes.io/enforce=privileged"}},
		"an old level for a site":           {"", level, []string{"label", "namespace", "camfleet-policy", "pod-security.kubernetes.io/enforce-version=v1.0"}},
		"taking a site's level away":        {"", level, []string{"label", "namespace", "camfleet-policy", "pod-security.kubernetes.io/enforce-"}},
		"its own namespace":                 {namespaceOf(Namespace, "restricted"), own, []string{"apply", "--server-side", "--force-conflicts", "-f", "-"}},
		"a Pod of root in a site":           {strings.Replace(podIn("camfleet-policy"), `"runAsNonRoot":true`, `"runAsNonRoot":false`, 1), "PodSecurity", []string{"create", "-f", "-"}},
		"a Secret of a site":                {"", "orbidden", []string{"create", "secret", "generic", "s", "-n", "camfleet-policy"}},
		"the token of another":              {"", "orbidden", []string{"create", "token", "default", "-n", "camfleet-policy"}},
		"deleting a site's namespace":       {"", "orbidden", []string{"delete", "namespace", "camfleet-policy"}},
		"deleting its own ConfigMap (both)": {"", own, []string{"delete", "configmap", "kube-root-ca.crt", "-n", Namespace}},
	} {
		out, err := as(try.input, try.args...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), try.want) {
			t.Errorf("%s: want an error with %q, got %v:\n%s", what, try.want, err, out)
		}
	}
	for what, try := range map[string]struct {
		input string
		args  []string
	}{
		"its orders":       {"", []string{"create", "configmap", "camfleet", "-n", Namespace, "--dry-run=server"}},
		"its report":       {"", []string{"create", "configmap", "camfleet-status", "-n", Namespace, "--dry-run=server"}},
		"its lease":        {leaseOf("camfleet"), []string{"create", "-f", "-", "--dry-run=server"}},
		"a site's Pod":     {podIn("camfleet-policy"), []string{"apply", "--server-side", "-f", "-", "--dry-run=server"}},
		"a site's Service": {"", []string{"create", "service", "clusterip", "page", "--tcp=80", "-n", "camfleet-policy"}},
	} {
		if out, err := as(try.input, try.args...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", what, err, out)
		}
	}
}

// actor runs kubectl as the owner of a token, with input.
func actor(t *testing.T, c *cptest.Cluster, token string) func(input string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := c.Kubeconfig(token)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(path) }) //nolint:errcheck // goes with the cluster's folder, too
	return func(input string, args ...string) *exec.Cmd {
		cmd := c.Kubectl(t.Context(), append([]string{"--kubeconfig=" + path}, args...)...)
		cmd.Stdin = strings.NewReader(input)
		return cmd
	}
}

func namespaceOf(name, level string) string {
	return `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"` + name + `","labels":{"pod-security.kubernetes.io/enforce":"` + level + `"}}}`
}

// podIn is a Pod that Pod Security "restricted" takes.
func podIn(namespace string) string {
	return `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"` + namespace + `"},"spec":{
		"securityContext":{"runAsNonRoot":true,"seccompProfile":{"type":"RuntimeDefault"}},
		"containers":[{"name":"c","image":"i","securityContext":{"allowPrivilegeEscalation":false,"capabilities":{"drop":["ALL"]}}}]}}`
}

func leaseOf(name string) string {
	return `{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"` + name + `","namespace":"` + Namespace + `"},"spec":{"holderIdentity":"x"}}`
}
