package manifests

import (
	"bufio"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
)

// TestReconcilerWithItsOwnRights runs the real program twice, as the Deployment
// starts it and with nothing but the ServiceAccount's token, through all that
// it does in a cluster. The API server's audit log then tells whether it was
// ever refused anything, and which of its rights it never used.
func TestReconcilerWithItsOwnRights(t *testing.T) {
	c := shared.Get(t)
	f := newFleet(t, c)
	first, stopFirst := f.replica("first")
	second, stopSecond := f.replica("second")
	f.until("three Pods are there", func() bool {
		return f.pod("north", ".metadata.uid") != "" && f.pod("south", ".metadata.uid") != "" && f.pod("east", ".metadata.uid") != ""
	})
	for _, url := range []string{first, second} {
		f.until("both replicas are healthy and ready", func() bool { return f.answers(url+"/healthz") && f.answers(url+"/readyz") })
	}
	f.changes()
	f.people()
	stopLeader, stopOther := stopFirst, stopSecond
	if f.leader() == "second" {
		stopLeader, stopOther = stopSecond, stopFirst
	}
	stopLeader(syscall.SIGKILL)
	f.heals()
	stopOther(syscall.SIGTERM)
	if left := f.leader(); left != "" {
		f.Errorf("%s ended in order, and did not give the lease back", left)
	}
	f.audit()
	f.uninstalls()
}

// uninstalls takes the reconciler away: the sites record on.
func (f *fleet) uninstalls() {
	Apply(f.T, f.Cluster, Folder("overlays/default"))
	const kinds = "pods,persistentvolumeclaims,configmaps,services,cronjobs,deployments,networkpolicies"
	objects := func() string { return f.admin("-n", siteNamespace, "get", kinds, "-o", "name") }
	before := objects()
	if out, err := f.Kubectl(f.Context(), "delete", "-k", Folder("overlays/default"), "--timeout=60s").CombinedOutput(); err != nil {
		f.Fatalf("kubectl delete -k: %v\n%s", err, out)
	}
	if after := objects(); after != before || !strings.Contains(after, "pod/camera-north") || !strings.Contains(after, "persistentvolumeclaim/archive") {
		f.Errorf("there was\n%s\nand after kubectl delete -k there is\n%s", before, after)
	}
	if left := f.admin("get", "clusterroles,clusterrolebindings,validatingadmissionpolicies,namespaces", "-l", "app.kubernetes.io/name=camfleet", "-o", "name"); left != "" {
		f.Errorf("left behind: %s", left)
	}
}

// leader is the replica that holds the lease.
func (f *fleet) leader() string {
	f.Helper()
	return f.admin("-n", Namespace, "get", "lease", "camfleet", "-o", "jsonpath={.spec.holderIdentity}")
}

// changes commits one of each kind: a Pod replaced, one resized, a camera gone.
func (f *fleet) changes() {
	before := f.pod("south", ".metadata.uid")
	f.repo.Commit(camera("south", `, transport: "udp"`))
	f.until("a Pod was replaced", func() bool { now := f.pod("south", ".metadata.uid"); return now != "" && now != before })

	north := f.pod("north", ".metadata.uid")
	f.repo.Commit(camera("north", `, resources: {cpu: "300m", memory: "256Mi"}`))
	f.until("a Pod was resized", func() bool { return f.pod("north", ".spec.containers[0].resources.requests.cpu") == "300m" })
	if now := f.pod("north", ".metadata.uid"); now != north {
		f.Errorf("the Pod was replaced (%s, %s), and should have been resized", north, now)
	}

	f.repo.Git("rm", "-q", "sites/gate/east.cue")
	f.repo.Commit()
	f.until("the camera's objects are gone", func() bool {
		left := f.admin("-n", siteNamespace, "get", "pods,configmaps,cronjobs", "-l", "camfleet.dev/camera=east", "-o", "name")
		return left == "" && f.pod("north", ".metadata.uid") != ""
	})
}

// people give orders with the roles of README.md.
func (f *fleet) people() {
	operator, viewer := person(f.T, f.Cluster, "camfleet-operator", false, "story"), person(f.T, f.Cluster, "camfleet-viewer", false, "story")
	var out string
	f.until("camfleet status shows a viewer the newest commit", func() bool {
		out, _ = f.as(viewer, "status")
		return strings.Contains(out, f.repo.Git("rev-parse", "--short=12", "HEAD"))
	})
	f.Logf("camfleet status:\n%s", out)
	if out, err := f.as(viewer, "suspend", "--reason=because"); err == nil || !strings.Contains(out, "camfleet-operator") {
		f.Errorf("camfleet suspend as a viewer: %v\n%s", err, out)
	}
	if out, err := f.as(operator, "suspend", "--reason=because"); err != nil {
		f.Errorf("camfleet suspend as an operator: %v\n%s", err, out)
	}
	f.until("it is suspended", func() bool { out, _ := f.as(viewer, "status"); return strings.Contains(out, "because") })
	if out, err := f.as(operator, "resume"); err != nil {
		f.Errorf("camfleet resume as an operator: %v\n%s", err, out)
	}
	f.until("it goes on", func() bool { out, _ := f.as(viewer, "status"); return !strings.Contains(out, "because") })
}

// heals breaks things with an administrator's rights.
func (f *fleet) heals() {
	before := f.pod("north", ".metadata.uid")
	f.admin("-n", siteNamespace, "delete", "pod", "camera-north", "--wait=false", "--grace-period=0", "--force")
	f.until("a deleted Pod is back", func() bool { now := f.pod("north", ".metadata.uid"); return now != "" && now != before })
	f.admin("-n", siteNamespace, "patch", "service", "cameras", "--field-manager=vandal", "--type=merge", "-p", `{"metadata":{"labels":{"camfleet.dev/site":"other"}}}`)
	f.until("a field is put back, and an Event says so", func() bool {
		return f.admin("-n", siteNamespace, "get", "service", "cameras", "-o", `jsonpath={.metadata.labels.camfleet\.dev/site}`) == "gate" &&
			strings.Contains(f.admin("-n", siteNamespace, "get", "events"), "vandal")
	})
}

// request is a line of the audit log.
type request struct {
	Verb      string
	User      struct{ Username string }
	ObjectRef struct{ APIGroup, Resource, Subresource, Namespace, Name string }

	RequestURI     string
	ResponseStatus struct {
		Code    int
		Message string
	}
}

// audit reads what the API server says of the ServiceAccount's requests.
func (f *fleet) audit() {
	log, err := os.Open(f.AuditLog)
	if err != nil {
		f.Fatal(err)
	}
	defer log.Close()
	used, n := map[string]int{}, 0
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			f.Fatal(err)
		}
		// Other tests here ask with this token, too: by kubectl, and for reviews.
		if r.User.Username != "system:serviceaccount:"+Namespace+":"+Account || strings.Contains(string(lines.Bytes()), `"userAgent":"kubectl`) ||
			r.ObjectRef.Resource == "selfsubjectaccessreviews" {
			continue
		}
		n++
		resource := r.ObjectRef.APIGroup + "/" + r.ObjectRef.Resource
		if r.ObjectRef.Subresource != "" {
			resource += "/" + r.ObjectRef.Subresource
		}
		used[r.Verb+" "+resource]++
		if r.ResponseStatus.Code == 401 || r.ResponseStatus.Code == 403 {
			f.Errorf("it was refused: %s %s: %d %s", r.Verb, r.RequestURI, r.ResponseStatus.Code, r.ResponseStatus.Message)
		}
	}
	if err := lines.Err(); err != nil {
		f.Fatal(err)
	}
	f.Logf("%d requests: %v", n, used)
	if n == 0 {
		f.Error("the audit log knows no request of the reconciler")
	}
	f.unused(used)
}

// spare are rights that the story does not need, and why they are there.
var spare = map[string]string{
	"delete /services":                   "a site that was taken away",
	"delete apps/deployments":            "a site that was taken away",
	"create networking.k8s.io/ingresses": "a page with a host",
	"patch networking.k8s.io/ingresses":  "a page with a host",
	"delete networking.k8s.io/ingresses": "a page that has no host any more",
	"create /podtemplates":               "an overlay that brings one",
	"patch /podtemplates":                "an overlay that brings one",
	"delete /podtemplates":               "an overlay that brings none any more",
}

// unused judges each right that manifests/ gives to the reconciler and that it
// has not used: there is a reason, or it goes.
func (f *fleet) unused(used map[string]int) {
	for right := range f.granted() {
		verb, resource, _ := strings.Cut(right, " ")
		reason := spare[right]
		switch {
		case used[right] > 0:
			if reason != "" {
				f.Errorf("%s: it was used; take it off the list of those that are not", right)
			}
			continue
		case reason != "":
		case verb == "create" && used["patch "+resource] > 0:
			reason = "an apply that creates needs both"
		case verb == "list" && used["watch "+resource] > 0:
			reason = "an API server that does not begin a watch with what is there"
		case verb == "get" && used["patch "+resource]+used["watch "+resource] > 1 && slices.Contains(managed(), resource):
			reason = "whose is it that a write has met"
		default:
			f.Errorf("%s: it has this right, does not use it, and nobody knows why it should", right)
			continue
		}
		f.Logf("%s was not used: %s", right, reason)
	}
}

// granted are the rights of the reconciler's roles: "verb group/resource".
func (f *fleet) granted() map[string]bool {
	f.Helper()
	objects, granted := build(f.T, Folder("rbac")), map[string]bool{}
	add := func(rules []rbacv1.PolicyRule) {
		for _, r := range rules {
			for _, group := range r.APIGroups {
				for _, resource := range r.Resources {
					for _, verb := range r.Verbs {
						granted[verb+" "+group+"/"+resource] = true
					}
				}
			}
		}
	}
	for _, r := range all[rbacv1.ClusterRole](f.T, objects, "ClusterRole") {
		if r.Name == "camfleet-reconciler" {
			add(r.Rules)
		}
	}
	for _, r := range all[rbacv1.Role](f.T, objects, "Role") {
		if r.Name == "camfleet-leader" {
			add(r.Rules)
		}
	}
	if len(granted) < 40 {
		f.Errorf("only %d rights were found", len(granted))
	}
	return granted
}
