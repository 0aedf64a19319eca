package overlay

import (
	"maps"
	"strings"
	"testing"

	"camfleet.dev/compiler/object"
)

func all() map[string]refusal {
	out := maps.Clone(refusals)
	maps.Copy(out, ofObjects())
	return out
}

// bringing is a kustomization that brings one object.
func bringing(lines ...string) []string {
	return []string{"resources: [x.yaml]\n", "x.yaml", strings.Join(lines, "\n") + "\n"}
}

// pod brings a Pod that is right but for these lines of its spec.
func pod(lines ...string) []string {
	return bringing(append([]string{
		"apiVersion: v1", "kind: Pod", "metadata: {name: x}", "spec:", "  automountServiceAccountToken: false",
		"  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}", "  containers:",
		"  - {name: a, image: b, securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}",
	}, lines...)...)
}

func patchOf(kind, name, operation string) []string {
	return []string{"patches:\n- target: {kind: " + kind + ", name: " + name + "}\n  patch: '[" + operation + "]'\n"}
}

// ofObjects are refusals of what an overlay brings, or makes of what there is.
func ofObjects() map[string]refusal {
	long := strings.Repeat("x", 60)
	unmanaged := "camfleet does not manage objects of kind "
	return map[string]refusal{
		"a Secret":          {[]string{"resources: [x.yaml]\n", "x.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData: {password: hunter2}\n"}, "sites/gate/x.yaml:2:7: a Secret's content is never in Git"},
		"cluster's":         {[]string{"resources: [x.yaml]\n", "x.yaml", "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: x}\n"}, "sites/gate/x.yaml:2:7: camfleet does not manage objects of kind ClusterRoleBinding (rbac.authorization.k8s.io/v1); apply it by other means (a site's overlay may bring ConfigMap, CronJob,"},
		"a namespace":       {[]string{"resources: [x.yaml]\n", "x.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: kube-system}\n"}, "sites/gate/x.yaml:2:7: camfleet does not manage objects of kind Namespace (v1)"},
		"a privileged Pod":  {[]string{"resources: [x.yaml]\n", "x.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {hostNetwork: true, containers: [{name: a, image: b}]}\n"}, "hostNetwork=true"},
		"a false camera":    {[]string{"resources: [x.yaml]\n", "x.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, labels: {camfleet.dev/camera: y}}\n"}, "label camfleet.dev/camera is camfleet's own"},
		"the same again":    {[]string{"resources: [x.yaml]\n", "x.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: camera-cam-000, namespace: camfleet-gate}\n"}, "kustomize cannot apply it: "},
		"no name":           {[]string{"resources: [x.yaml]\n", "x.yaml", "apiVersion: v1\nkind: ConfigMap\n"}, "kustomize cannot apply it: "},
		"no object":         {[]string{"resources: [x.yaml]\n", "x.yaml", "hello"}, "kustomize cannot apply it: "},
		"a broken resource": {[]string{"resources: [x.yaml]\n", "x.yaml", "a: [\n"}, "sites/gate/x.yaml:1: is not YAML"},

		"a service account": {bringing("apiVersion: v1", "kind: ServiceAccount", "metadata: {name: x}"), "x.yaml:2:7: " + unmanaged + "ServiceAccount (v1)"},
		"a role":            {bringing("apiVersion: rbac.authorization.k8s.io/v1", "kind: Role", "metadata: {name: x}"), unmanaged + "Role"},
		"a CRD":             {bringing("apiVersion: apiextensions.k8s.io/v1", "kind: CustomResourceDefinition", "metadata: {name: x.example.org}"), unmanaged + "CustomResourceDefinition"},
		"a custom resource": {bringing("apiVersion: example.org/v1", "kind: Thing", "metadata: {name: x}"), unmanaged + "Thing (example.org/v1)"},
		"a webhook":         {bringing("apiVersion: admissionregistration.k8s.io/v1", "kind: MutatingWebhookConfiguration", "metadata: {name: x}"), unmanaged + "MutatingWebhookConfiguration"},
		"a DaemonSet":       {bringing("apiVersion: apps/v1", "kind: DaemonSet", "metadata: {name: x}"), unmanaged + "DaemonSet"},
		"a Job":             {bringing("apiVersion: batch/v1", "kind: Job", "metadata: {name: x}"), unmanaged + "Job"},
		"a volume":          {bringing("apiVersion: v1", "kind: PersistentVolume", "metadata: {name: x}"), unmanaged + "PersistentVolume"},
		"another version":   {bringing("apiVersion: extensions/v1beta1", "kind: Ingress", "metadata: {name: x}"), "a site may have a Ingress of apiVersion networking.k8s.io/v1, not of extensions/v1beta1"},
		"the second of two": {bringing("apiVersion: v1", "kind: ConfigMap", "metadata: {name: x}", "---", "apiVersion: v1", "kind: Role", "metadata: {name: y}"), "x.yaml:6:7: " + unmanaged + "Role (v1)"},
		"in a list": {bringing("apiVersion: v1", "kind: List", "items:", "- {apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: x}}"),
			"ClusterRole/x: " + unmanaged + "ClusterRole"},
		"a Secret in a list":       {bringing("apiVersion: v1", "kind: List", "items:", "- {apiVersion: v1, kind: Secret, metadata: {name: x}}"), "Secret/x: a Secret's content is never in Git"},
		"into another namespace":   {bringing("apiVersion: v1", "kind: ConfigMap", "metadata: {name: x, namespace: kube-system}"), `x.yaml:3:32: "kube-system" is not the site's namespace; leave it out, or write "camfleet-gate"`},
		"the page, elsewhere":      {patchOf("Service", "page", `{"op": "replace", "path": "/metadata/namespace", "value": "kube-system"}`), "is in another namespace than the site's, camfleet-gate"},
		"the namespace, elsewhere": {patchOf("Namespace", "camfleet-gate", `{"op": "replace", "path": "/metadata/name", "value": "kube-system"}`), "Namespace/camfleet-gate is gone or renamed"},
		"a weaker namespace":       {patchOf("Namespace", "camfleet-gate", `{"op": "replace", "path": "/metadata/labels/pod-security.kubernetes.io~1enforce", "value": "privileged"}`), "must stay \"restricted\""},
		"an older namespace":       {patchOf("Namespace", "camfleet-gate", `{"op": "add", "path": "/metadata/labels/pod-security.kubernetes.io~1enforce-version", "value": "v1.0"}`), "pod-security.kubernetes.io/enforce-version is camfleet's own, and cannot be set here"},

		"a token":              {bringing("apiVersion: v1", "kind: Pod", "metadata: {name: x}", "spec: {containers: [{name: a, image: b}]}"), "x.yaml:1:1: camfleet-gate/Pod/x, as the overlay leaves it: its containers would get a token"},
		"a token for cameras":  {patchOf("Pod", "camera-.*", `{"op": "replace", "path": "/spec/automountServiceAccountToken", "value": true}`), "its containers would get a token for the Kubernetes API"},
		"a token for the page": {patchOf("Deployment", "page", `{"op": "remove", "path": "/spec/template/spec/automountServiceAccountToken"}`), "its containers would get a token"},
		"a projected token":    {pod("  volumes: [{name: v, projected: {sources: [{serviceAccountToken: {path: t}}]}}]"), "volume v holds a token for the Kubernetes API"},
		"the host's disk":      {pod("  volumes: [{name: v, hostPath: {path: /}}]"), "hostPath"},
		"the host's network":   {pod("  hostNetwork: true"), "hostNetwork=true"},
		"the host's port":      {patchOf("Deployment", "page", `{"op": "add", "path": "/spec/template/spec/containers/0/ports/0/hostPort", "value": 80}`), "hostPort"},
		"root in a template":   {patchOf("CronJob", "days-.*", `{"op": "replace", "path": "/spec/jobTemplate/spec/template/spec/securityContext/runAsUser", "value": 0}`), "runAsUser=0"},

		"external addresses": {bringing("apiVersion: v1", "kind: Service", "metadata: {name: x}", "spec: {externalIPs: [10.0.0.1], ports: [{port: 53}]}"), "spec.externalIPs would take over addresses in the whole cluster"},
		"an external name":   {patchOf("Service", "page", `{"op": "add", "path": "/spec/type", "value": "ExternalName"}`), "type ExternalName leads out of the site"},

		"a long name":         {bringing("apiVersion: v1", "kind: ConfigMap", "metadata: {name: "+strings.Repeat("x", 254)+"}"), "metadata.name: must be no more than 253 characters"},
		"a long Service":      {bringing("apiVersion: v1", "kind: Service", "metadata: {name: "+long+"long}"), "metadata.name: must be no more than 63 characters"},
		"a long CronJob":      {bringing("apiVersion: batch/v1", "kind: CronJob", "metadata: {name: "+long+"}"), "metadata.name: must be no more than 52 characters"},
		"a name that climbs":  {bringing("apiVersion: v1", "kind: ConfigMap", "metadata: {name: ../../etc/x}"), "metadata.name: a "},
		"a name in capitals":  {bringing("apiVersion: v1", "kind: ConfigMap", "metadata: {name: Notes}"), "metadata.name: a "},
		"a long label":        {[]string{"labels:\n- pairs: {team: " + long + "long}\n"}, "metadata.labels: "},
		"a label with spaces": {[]string{"labels:\n- pairs: {team: 'a b'}\n"}, "metadata.labels: "},
		"a finalizer":         {patchOf("Pod", "camera-.*", `{"op": "add", "path": "/metadata/finalizers", "value": ["example.org/never"]}`), "metadata.finalizers is not an overlay's to set"},
		"an owner": {patchOf("PersistentVolumeClaim", "archive", `{"op": "add", "path": "/metadata/ownerReferences", "value": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "page", "uid": "1"}]}`),
			"metadata.ownerReferences is not an overlay's to set"},
		"false Pods": {bringing("apiVersion: apps/v1", "kind: Deployment", "metadata: {name: x}", "spec:", "  selector: {matchLabels: {a: b}}", "  template:",
			"    metadata: {labels: {a: b, camfleet.dev/fleet: fleet-0001}}", "    spec: {automountServiceAccountToken: false, containers: []}"), "label camfleet.dev/fleet in its template is camfleet's own"},
		"above all":        {patchOf("Pod", "camera-.*", `{"op": "add", "path": "/spec/priorityClassName", "value": "system-node-critical"}`), "the priority class system-node-critical is Kubernetes' own"},
		"assignments":      {bringing("apiVersion: v1", "kind: ConfigMap", "metadata: {name: assignments}"), "ConfigMap/assignments is written by camfleet itself"},
		"a false hash":     {bringing("apiVersion: v1", "kind: ConfigMap", "metadata: {name: x, annotations: {camfleet.dev/hash: y}}"), "annotation camfleet.dev/hash is camfleet's own"},
		"a misspelt field": {bringing("apiVersion: networking.k8s.io/v1", "kind: Ingress", "metadata: {name: x}", "spec: {rule: []}"), `unknown field "spec.rule"`},
	}
}

// TestPodsOfTheirOwn: a Pod that a site brings is made anew when it changes, as
// cameras are; other amounts of resources are no reason.
func TestPodsOfTheirOwn(t *testing.T) {
	t.Parallel()
	objs := gate(t, 1)
	hash := func(lines ...string) string {
		files := pod(lines...)
		o := get(t, applied(t, objs, append([]string{File}, files...)...), "Pod", "x")
		if got := value(t, o, "metadata", "annotations", object.AnnotationHash); got != o.Hash || o.Hash == "" {
			t.Errorf("hash %q, annotation %v", o.Hash, got)
		}
		return o.Hash
	}
	before := hash()
	if hash() != before || hash("  priorityClassName: high") == before {
		t.Error("the hash is not of the Pod's spec")
	}
}
