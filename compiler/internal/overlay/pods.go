package overlay

import (
	"bytes"
	"encoding/json"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

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
	typed, pod := typeOf(obj)
	if typed == nil {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(obj.Body))
	d.DisallowUnknownFields()
	if err := d.Decode(typed); err != nil {
		return []string{fmt.Sprintf("%v", err)}
	}
	if pod == nil {
		return nil
	}
	template := pod()
	result := policy.AggregateCheckResults(c.evaluator.EvaluatePod(c.level, &template.ObjectMeta, &template.Spec))
	if result.Allowed {
		return nil
	}
	return []string{"the site's namespace does not admit it (Pod Security restricted): " + result.ForbiddenDetail()}
}

// typeOf is the Go type of an object, and how its Pods are found in it.
func typeOf(obj object.Object) (typed any, pod func() corev1.PodTemplateSpec) {
	switch obj.APIVersion + " " + obj.Kind {
	case "v1 Pod":
		o := &corev1.Pod{}
		return o, func() corev1.PodTemplateSpec { return corev1.PodTemplateSpec{ObjectMeta: o.ObjectMeta, Spec: o.Spec} }
	case "v1 PodTemplate":
		o := &corev1.PodTemplate{}
		return o, func() corev1.PodTemplateSpec { return o.Template }
	case "v1 ReplicationController":
		o := &corev1.ReplicationController{}
		return o, func() corev1.PodTemplateSpec {
			if o.Spec.Template == nil {
				return corev1.PodTemplateSpec{}
			}
			return *o.Spec.Template
		}
	case "apps/v1 Deployment":
		o := &appsv1.Deployment{}
		return o, func() corev1.PodTemplateSpec { return o.Spec.Template }
	case "apps/v1 StatefulSet":
		o := &appsv1.StatefulSet{}
		return o, func() corev1.PodTemplateSpec { return o.Spec.Template }
	case "apps/v1 DaemonSet":
		o := &appsv1.DaemonSet{}
		return o, func() corev1.PodTemplateSpec { return o.Spec.Template }
	case "apps/v1 ReplicaSet":
		o := &appsv1.ReplicaSet{}
		return o, func() corev1.PodTemplateSpec { return o.Spec.Template }
	case "batch/v1 Job":
		o := &batchv1.Job{}
		return o, func() corev1.PodTemplateSpec { return o.Spec.Template }
	case "batch/v1 CronJob":
		o := &batchv1.CronJob{}
		return o, func() corev1.PodTemplateSpec { return o.Spec.JobTemplate.Spec.Template }
	case "v1 ConfigMap":
		return &corev1.ConfigMap{}, nil
	case "v1 Service":
		return &corev1.Service{}, nil
	case "v1 PersistentVolumeClaim":
		return &corev1.PersistentVolumeClaim{}, nil
	case "networking.k8s.io/v1 NetworkPolicy":
		return &networkingv1.NetworkPolicy{}, nil
	case "networking.k8s.io/v1 Ingress":
		return &networkingv1.Ingress{}, nil
	}
	return nil, nil
}
