package overlay

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	strict "sigs.k8s.io/json"

	"camfleet.dev/compiler/object"
)

// podCheck says before the API server does what it will refuse.
type podCheck struct {
	evaluator policy.Evaluator
	level     api.LevelVersion
}

func newPodCheck() podCheck {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		panic(err) // the default checks are valid
	}
	return podCheck{evaluator, api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}}
}

// check decodes the object strictly, so that a misspelt field is found, and
// holds its Pods to Pod Security restricted.
func (c podCheck) check(obj object.Object) []string {
	typed, pod := typeOf(obj.ID)
	if typed == nil {
		return nil
	}
	// As the API server does: a field in other letters is another field.
	unknown, err := strict.UnmarshalStrict(obj.Body, typed)
	if err = errors.Join(append(unknown, err)...); err != nil {
		return []string{err.Error()}
	}
	switch typed := typed.(type) {
	case *corev1.Service:
		return foreign(typed.Spec)
	case *networkingv1.Ingress:
		return snippets(typed.Annotations)
	}
	if pod == nil {
		return nil
	}
	template := pod()
	complaints := slices.Concat(tokens(template.Spec), pretending(obj.ID, template))
	result := policy.AggregateCheckResults(c.evaluator.EvaluatePod(c.level, &template.ObjectMeta, &template.Spec))
	if !result.Allowed {
		complaints = append(complaints, "the site's namespace does not admit it (Pod Security restricted): "+result.ForbiddenDetail())
	}
	return complaints
}

// tokens: nothing of a site talks to the Kubernetes API, so nothing gets a
// token for it.
func tokens(spec corev1.PodSpec) []string {
	var out []string
	if auto := spec.AutomountServiceAccountToken; auto == nil || *auto {
		out = append(out, "its containers would get a token for the Kubernetes API; write automountServiceAccountToken: false")
	}
	for _, v := range spec.Volumes {
		if v.Projected == nil {
			continue
		}
		for _, source := range v.Projected.Sources {
			if source.ServiceAccountToken != nil {
				out = append(out, fmt.Sprintf("volume %s holds a token for the Kubernetes API; take it out", v.Name))
			}
		}
	}
	return out
}

// pretending: Pods that a controller makes must not look as if they were
// rendered here, for they would be pruned and made again for ever; and none may
// push the cluster's own aside.
func pretending(id object.ID, template corev1.PodTemplateSpec) []string {
	var out []string
	if name := template.Spec.PriorityClassName; strings.HasPrefix(name, "system-") {
		out = append(out, fmt.Sprintf("the priority class %s is Kubernetes' own; use another one", name))
	}
	if id.Kind == "Pod" {
		return out
	}
	for _, label := range []string{object.LabelManagedBy, object.LabelFleet} {
		if _, ok := template.Labels[label]; ok {
			out = append(out, fmt.Sprintf("label %s in its template is camfleet's own; take it out", label))
		}
	}
	return out
}

// snippets: an Ingress may bring lines into the configuration of a controller
// that serves everybody, and reads everybody's certificates (CVE-2021-25742).
func snippets(annotations map[string]string) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(annotations)) {
		if strings.HasSuffix(name, "-snippet") || strings.HasSuffix(name, "-snippets") {
			out = append(out, fmt.Sprintf("annotation %s writes into the configuration of the cluster's Ingress controller, which is not the site's; take it out", name))
		}
	}
	return out
}

// foreign: a Service may draw traffic that is not the site's.
func foreign(spec corev1.ServiceSpec) []string {
	var out []string
	if len(spec.ExternalIPs) > 0 {
		out = append(out, "spec.externalIPs would take over addresses in the whole cluster; take it out")
	}
	if spec.Type == corev1.ServiceTypeExternalName {
		out = append(out, "type ExternalName leads out of the site; take it out")
	}
	return out
}
