package cluster

import (
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// cronState is how a CronJob is. Nobody is woken for it: it changes with every run.
type cronState struct{ CronJob }

func (*cronState) signal() any { return nil }

func newCronState(u *unstructured.Unstructured) (*cronState, error) {
	// Not the whole spec: the template of a Job is large, and not looked at.
	spec, _ := u.Object["spec"].(map[string]any)
	c := &cronState{CronJob{Created: u.GetCreationTimestamp().Time}}
	c.Schedule, _ = spec["schedule"].(string)
	c.TimeZone, _ = spec["timeZone"].(string)
	c.Suspend, _ = spec["suspend"].(bool)
	var s batchv1.CronJobStatus
	err := decode(u, &s, "status")
	c.Active, c.Last, c.Success = len(s.Active), instant(s.LastScheduleTime), instant(s.LastSuccessfulTime)
	return c, err
}

// claimState is how a claim is.
type claimState struct{ Claim }

func (c *claimState) signal() any { return c.Phase }

func newClaimState(u *unstructured.Unstructured) (*claimState, error) {
	var spec corev1.PersistentVolumeClaimSpec
	var s corev1.PersistentVolumeClaimStatus
	c := &claimState{Claim{Created: u.GetCreationTimestamp().Time}}
	if err := decode(u, &spec, "spec"); err != nil {
		return c, err
	}
	if err := decode(u, &s, "status"); err != nil {
		return c, err
	}
	c.Phase = string(s.Phase)
	if spec.StorageClassName != nil {
		c.Class = *spec.StorageClassName
	}
	if q, ok := spec.Resources.Requests[corev1.ResourceStorage]; ok {
		c.Wanted = q.String()
	}
	if q, ok := s.Capacity[corev1.ResourceStorage]; ok {
		c.Capacity = q.String()
	}
	for _, cond := range s.Conditions {
		if cond.Status == corev1.ConditionTrue && changing(cond.Type) {
			c.Resizing = shortened(joined(c.Resizing, string(cond.Type), cond.Reason, cond.Message))
		}
	}
	return c, nil
}

// changing tells whether a claim's condition is about a change of it, or the
// failure of one. The others say nothing of that: Unused is true of every claim
// that no Pod has just now.
func changing(condition corev1.PersistentVolumeClaimConditionType) bool {
	switch condition {
	case corev1.PersistentVolumeClaimResizing, corev1.PersistentVolumeClaimFileSystemResizePending,
		corev1.PersistentVolumeClaimControllerResizeError, corev1.PersistentVolumeClaimNodeResizeError,
		corev1.PersistentVolumeClaimVolumeModifyingVolume, corev1.PersistentVolumeClaimVolumeModifyVolumeError:
		return true
	}
	return false
}

// deploymentState is how a Deployment is.
type deploymentState struct{ Deployment }

func (d *deploymentState) signal() any { return d.Available >= d.Desired }

func newDeploymentState(u *unstructured.Unstructured) (*deploymentState, error) {
	d := &deploymentState{Deployment{Created: u.GetCreationTimestamp().Time, Desired: 1}}
	if n, ok, err := unstructured.NestedInt64(u.Object, "spec", "replicas"); ok && err == nil {
		d.Desired = int(n)
	}
	var s appsv1.DeploymentStatus
	err := decode(u, &s, "status")
	d.Available, d.Updated = int(s.AvailableReplicas), int(s.UpdatedReplicas)
	for _, c := range s.Conditions {
		if bad := c.Type == appsv1.DeploymentReplicaFailure; bad == (c.Status == corev1.ConditionTrue) && (d.Reason == "" || bad) {
			d.Reason, d.Message, d.Since = c.Reason, shortened(c.Message), c.LastTransitionTime.Time
		}
	}
	return d, err
}
