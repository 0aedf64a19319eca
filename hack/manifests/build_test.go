package manifests

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"camfleet.dev/reconciler/cluster"
)

// overlays are all that somebody may copy.
func overlays(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(Folder("overlays"), "*", "kustomization.yaml"))
	if err != nil || len(found) < 3 {
		t.Fatalf("%v: %v", found, err)
	}
	for i := range found {
		found[i] = filepath.Dir(found[i])
	}
	return found
}

// build is `kustomize build`. Kustomize has global state: one at a time.
func build(t *testing.T, folder string) resmap.ResMap {
	t.Helper()
	objects, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// all are the objects of one kind, decoded strictly.
func all[T any](t *testing.T, objects resmap.ResMap, kind string) []T {
	t.Helper()
	var out []T
	for _, o := range objects.Resources() {
		if o.GetKind() != kind {
			continue
		}
		text, err := o.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		var v T
		if err := yaml.UnmarshalStrict(text, &v); err != nil {
			t.Errorf("%s %s: %v", kind, o.GetName(), err)
		}
		out = append(out, v)
	}
	return out
}

func one[T any](t *testing.T, objects resmap.ResMap, kind string) T {
	t.Helper()
	found := all[T](t, objects, kind)
	if len(found) != 1 {
		t.Fatalf("there are %d of kind %s, want one", len(found), kind)
	}
	return found[0]
}

// clusterWide are the kinds here that are in no namespace.
var clusterWide = []string{"Namespace", "ClusterRole", "ClusterRoleBinding", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}

// TestOverlays holds what is true of every installation.
func TestOverlays(t *testing.T) {
	for _, folder := range overlays(t) {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			objects := build(t, folder)
			for _, o := range objects.Resources() {
				if inNamespace := !slices.Contains(clusterWide, o.GetKind()); inNamespace && o.GetNamespace() != Namespace {
					t.Errorf("%s %s is in namespace %q", o.GetKind(), o.GetName(), o.GetNamespace())
				}
				if o.GetKind() == "Secret" {
					t.Errorf("Secret %s: secrets are not in Git", o.GetName())
				}
				if by := o.GetLabels()["app.kubernetes.io/managed-by"]; by != "" {
					t.Errorf("%s %s says that it is managed by %s: that is for what the reconciler makes", o.GetKind(), o.GetName(), by)
				}
			}
			deployment := one[appsv1.Deployment](t, objects, "Deployment")
			checkPod(t, &deployment.Spec.Template)
			checkSelectors(t, objects, deployment)
			checkRules(t, objects)
		})
	}
}

// checkPod asks the code that the API server itself uses, and for what it does not ask.
func checkPod(t *testing.T, pod *corev1.PodTemplateSpec) {
	t.Helper()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	if r := policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &pod.ObjectMeta, &pod.Spec)); !r.Allowed {
		t.Error(r.ForbiddenDetail())
	}
	s, c := pod.Spec.SecurityContext, pod.Spec.Containers[0]
	if *s.RunAsUser != 65532 || *s.RunAsGroup != 65532 || *s.FSGroup != 65532 || !*c.SecurityContext.ReadOnlyRootFilesystem {
		t.Errorf("it runs as %+v, %+v", s, c.SecurityContext)
	}
	if c.LivenessProbe.HTTPGet.Path != "/healthz" || c.ReadinessProbe.HTTPGet.Path != "/readyz" {
		t.Errorf("probes: %+v, %+v", c.LivenessProbe, c.ReadinessProbe)
	}
	if len(c.Resources.Requests) != 2 || c.Resources.Limits.Memory().IsZero() {
		t.Errorf("resources: %+v", c.Resources)
	}
	if !strings.ContainsAny(c.Image, "/") || strings.HasSuffix(c.Image, ":latest") {
		t.Errorf("an overlay says where the image comes from, not %q", c.Image)
	}
	for _, m := range c.VolumeMounts {
		if !m.ReadOnly && m.Name != "tmp" {
			t.Errorf("%s may be written", m.Name)
		}
	}
}

// checkSelectors: whatever selects the reconciler's Pods does.
func checkSelectors(t *testing.T, objects resmap.ResMap, d appsv1.Deployment) {
	t.Helper()
	selectors := map[string]map[string]string{
		"Deployment":          d.Spec.Selector.MatchLabels,
		"Service":             one[corev1.Service](t, objects, "Service").Spec.Selector,
		"PodDisruptionBudget": one[policyv1.PodDisruptionBudget](t, objects, "PodDisruptionBudget").Spec.Selector.MatchLabels,
	}
	for _, p := range all[networkingv1.NetworkPolicy](t, objects, "NetworkPolicy") {
		selectors["NetworkPolicy "+p.Name] = p.Spec.PodSelector.MatchLabels
	}
	for what, selector := range selectors {
		if len(selector) == 0 || !labels.SelectorFromSet(selector).Matches(labels.Set(d.Spec.Template.Labels)) {
			t.Errorf("%s selects %v, and Pods have %v", what, selector, d.Spec.Template.Labels)
		}
	}
	if d.Spec.Template.Labels["app.kubernetes.io/name"] != "camfleet" {
		t.Error("camera Pods let in Pods with the label app.kubernetes.io/name: camfleet")
	}
}

// checkRules: nobody gets more than a list of named things.
func checkRules(t *testing.T, objects resmap.ResMap) {
	t.Helper()
	rules := map[string][]rbacv1.PolicyRule{}
	for _, r := range all[rbacv1.ClusterRole](t, objects, "ClusterRole") {
		rules[r.Name] = r.Rules
	}
	for _, r := range all[rbacv1.Role](t, objects, "Role") {
		rules[r.Name] = r.Rules
	}
	for role, list := range rules {
		for _, r := range list {
			for _, word := range slices.Concat(r.APIGroups, r.Resources, r.Verbs) {
				if slices.Contains([]string{"*", "secrets", "escalate", "bind", "impersonate", "deletecollection", "rbac.authorization.k8s.io"}, word) {
					t.Errorf("%s: %s", role, word)
				}
			}
			if slices.Contains(r.Verbs, "delete") && (slices.Contains(r.Resources, "namespaces") || slices.Contains(r.Resources, "persistentvolumeclaims")) {
				t.Errorf("%s may delete what holds recordings", role)
			}
		}
	}
}

// TestRightsAreForTheKinds: the reconciler may write the kinds that it manages
// and none besides, so that a new kind is thought of here, too.
func TestRightsAreForTheKinds(t *testing.T) {
	var may []string
	for _, r := range all[rbacv1.ClusterRole](t, build(t, Folder("rbac")), "ClusterRole") {
		if r.Name != "camfleet-reconciler" {
			continue
		}
		for _, rule := range r.Rules {
			for _, resource := range rule.Resources {
				if slices.Contains(rule.Verbs, "create") {
					may = append(may, rule.APIGroups[0]+"/"+resource)
				}
			}
		}
	}
	want := append(managed(), "/events")
	slices.Sort(may)
	slices.Sort(want)
	if !slices.Equal(may, want) {
		t.Errorf("the reconciler may create\n%v, and manages\n%v", may, want)
	}
}

// managed are the kinds that the reconciler manages: "group/resource".
func managed() []string {
	var out []string
	for _, k := range cluster.Kinds() {
		group, _, found := strings.Cut(k.APIVersion, "/")
		if !found {
			group = ""
		}
		out = append(out, group+"/"+k.Resource)
	}
	return out
}

// TestComponentsGoTogether: all of them, in any order, and the user's settings win.
func TestComponentsGoTogether(t *testing.T) {
	found, err := filepath.Glob(filepath.Join(Folder("components"), "*"))
	if err != nil || len(found) < 8 {
		t.Fatalf("%v: %v", found, err)
	}
	for _, order := range []string{"forward", "backward"} {
		t.Run(order, func(t *testing.T) {
			objects := build(t, overlay(t, elsewhere, found, "COMMIT_STATUS=gitea"))
			pod := one[appsv1.Deployment](t, objects, "Deployment").Spec.Template
			checkPod(t, &pod)
			checkFiles(t, pod.Spec)
			checkSettings(t, objects, pod.Spec.Containers[0])
		})
		slices.Reverse(found)
	}
}

// checkFiles: what the arguments name is mounted.
func checkFiles(t *testing.T, pod corev1.PodSpec) {
	t.Helper()
	c := pod.Containers[0]
	if len(c.VolumeMounts) != 7 || len(pod.Volumes) != 7 {
		t.Errorf("%d mounts and %d volumes", len(c.VolumeMounts), len(pod.Volumes))
	}
	for _, flag := range []string{"--token-file=", "--ssh-key=", "--known-hosts=", "--hook-secret-file=", "--allowed-signers=", "--commit-status-token-file="} {
		i := slices.IndexFunc(c.Args, func(a string) bool { return strings.HasPrefix(a, flag) })
		if i < 0 {
			t.Errorf("no %s in %v", flag, c.Args)
			continue
		}
		path := strings.TrimPrefix(c.Args[i], flag)
		if !slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return filepath.Dir(path) == m.MountPath }) {
			t.Errorf("%s is in no mounted folder", path)
		}
	}
}

// checkSettings: there is one ConfigMap of settings, and the container reads it.
func checkSettings(t *testing.T, objects resmap.ResMap, c corev1.Container) {
	t.Helper()
	found := all[corev1.ConfigMap](t, objects, "ConfigMap")
	found = slices.DeleteFunc(found, func(cm corev1.ConfigMap) bool { return !strings.HasPrefix(cm.Name, "camfleet-settings") })
	if len(found) != 1 || c.EnvFrom[0].ConfigMapRef.Name != found[0].Name {
		t.Fatalf("the container reads %v of %v", c.EnvFrom, found)
	}
	data := found[0].Data
	if data["COMMIT_STATUS"] != "gitea" || data["REPOSITORY"] != elsewhere || data["CLUSTER"] != "test" {
		t.Errorf("settings are %v", data)
	}
	for _, a := range c.Args {
		if _, name, found := strings.Cut(a, "$("); found {
			if _, known := data[strings.TrimSuffix(name, ")")]; !known {
				t.Errorf("%s: there is no such setting", a)
			}
		}
	}
}

// elsewhere is a repository that nobody reads.
const elsewhere = "https://git.test/fleet.git"

// overlay writes an overlay of a user with components, beside a copy of
// manifests/: kustomize reads nothing by an absolute path.
func overlay(t *testing.T, repository string, components []string, settings ...string) string {
	t.Helper()
	root := t.TempDir()
	if err := os.CopyFS(filepath.Join(root, "manifests"), os.DirFS(Folder("."))); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, "manifests", "overlays", "mine")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	text := `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../../base]
images:
- {name: camfleet, newName: registry.test/camfleet, newTag: "1"}
configMapGenerator:
- name: camfleet-signers
  namespace: camfleet-system
  files: [allowed_signers]
- name: camfleet-ca
  namespace: camfleet-system
  files: [ca.crt]
- name: camfleet-settings
  namespace: camfleet-system
  behavior: merge
  literals:
  - CLUSTER=test
`
	for _, s := range append([]string{"REPOSITORY=" + repository}, settings...) {
		text += "  - " + s + "\n"
	}
	text += "components:\n"
	for _, c := range components {
		text += "- ../../components/" + filepath.Base(c) + "\n"
	}
	for name, content := range map[string]string{"kustomization.yaml": text, "allowed_signers": "somebody", "ca.crt": "a certificate"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
