package cluster

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"camfleet.dev/reconciler/engine"
)

// state is what an entry keeps of an object's status.
type state interface {
	// signal is what of it somebody must be woken for when it changes. The
	// rest is read when somebody looks.
	signal() any
}

func sameState(a, b state) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return a.signal() == b.signal()
}

func newState(u *unstructured.Unstructured) (state, error) {
	switch u.GetKind() {
	case "Pod":
		return newPodState(u)
	case "CronJob":
		return newCronState(u)
	case "PersistentVolumeClaim":
		return newClaimState(u)
	case "Deployment":
		return newDeploymentState(u)
	}
	return nil, nil
}

// podState is how a Pod is.
type podState struct {
	engine.Pod
	ip     string
	resize string
}

// signal leaves out restarts, reasons and the way from Pending to Running: a
// Pod that crashes again and again changes these all the time.
func (p *podState) signal() any {
	return struct{ ready, finished bool }{p.Ready, p.Phase == string(corev1.PodFailed) || p.Phase == string(corev1.PodSucceeded)}
}

func newPodState(u *unstructured.Unstructured) (*podState, error) {
	var s corev1.PodStatus
	p := &podState{}
	if err := decode(u, &s, "status"); err != nil {
		return p, err
	}
	p.Phase, p.Created, p.ip = string(s.Phase), u.GetCreationTimestamp().Time, s.PodIP
	p.Node, _, _ = unstructured.NestedString(u.Object, "spec", "nodeName")
	if t := u.GetDeletionTimestamp(); t != nil {
		p.Ending, p.Finalizers = t.Time, u.GetFinalizers()
	}
	for _, c := range s.ContainerStatuses {
		p.Restarts += int(c.RestartCount)
	}
	for _, c := range s.Conditions {
		if c.Type == corev1.PodReady {
			p.Ready, p.Since = c.Status == corev1.ConditionTrue, c.LastTransitionTime.Time
		}
	}
	p.resize = resizing(s.Conditions)
	if !p.Ready {
		p.Reason, p.Message = unready(&s)
		p.Message = shortened(p.Message)
	}
	return p, nil
}

// unready says why a Pod is not ready, in the words of whoever knows best: its
// own end, a container, the scheduler, the kubelet.
func unready(s *corev1.PodStatus) (reason, message string) {
	if s.Reason != "" {
		return s.Reason, s.Message
	}
	var starting string
	for _, list := range [][]corev1.ContainerStatus{s.InitContainerStatuses, s.ContainerStatuses} {
		for _, c := range list {
			if w := c.State.Waiting; w != nil && (w.Reason == "PodInitializing" || w.Reason == "ContainerCreating") {
				starting = w.Reason
			} else if w != nil {
				return w.Reason, joined(w.Message, ended(c.LastTerminationState.Terminated))
			} else if t := c.State.Terminated; t != nil && (t.ExitCode != 0 || t.Signal != 0) {
				return t.Reason, joined(t.Message, ended(t))
			}
		}
	}
	for _, of := range []corev1.PodConditionType{corev1.PodScheduled, corev1.PodReadyToStartContainers, corev1.PodReady} {
		for _, c := range s.Conditions {
			if c.Type == of && c.Status != corev1.ConditionTrue && c.Reason != "" {
				return c.Reason, c.Message
			}
		}
	}
	return starting, s.Message
}

// ended says how a container ended: "OOMKilled, exit code 137".
func ended(t *corev1.ContainerStateTerminated) string {
	if t == nil {
		return ""
	}
	return fmt.Sprintf("it ended with %s, exit code %d", t.Reason, t.ExitCode)
}

func joined(texts ...string) string {
	var out []string
	for _, t := range texts {
		if t != "" {
			out = append(out, t)
		}
	}
	return strings.Join(out, "; ")
}

// resizing says why a Pod has not got its new CPU and memory yet.
func resizing(conditions []corev1.PodCondition) string {
	for _, c := range conditions {
		if c.Status != corev1.ConditionTrue {
			continue
		}
		if c.Type == corev1.PodResizePending || c.Type == corev1.PodResizeInProgress && c.Reason != "" {
			return shortened(c.Reason + ": " + c.Message)
		}
	}
	return ""
}

// shortened is the part of a message that is passed on.
func shortened(message string) string {
	if len(message) <= longest {
		return message
	}
	return strings.ToValidUTF8(message[:longest], "") + " …"
}

// decode reads a part of an object, which may be missing.
func decode(u *unstructured.Unstructured, into any, path string) error {
	m, _ := u.Object[path].(map[string]any)
	if m == nil {
		return nil
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(m, into); err != nil {
		return fmt.Errorf("reading the %s of %s %s/%s: %w", path, u.GetKind(), u.GetNamespace(), u.GetName(), err)
	}
	return nil
}

func instant(t *metav1.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.Time
}
