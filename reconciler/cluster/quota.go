package cluster

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
)

// A rehearsal counts beside the old Pod, so a quota that just fits refuses it.
// The API server asks quotas last: by then, everything else has said yes, and
// what is left to find out is whether the quota has room once the old Pod is gone.

const (
	exceeded = "exceeded quota: "
	// quotaPatience is how long a quota may take to see that a Pod is gone.
	quotaPatience = 20 * time.Second
	longestPause  = time.Second
)

func exceedsQuota(err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), exceeded)
}

// createAfter creates the new Pod when the old one is gone, which a quota may
// see a moment later than we do.
func (t taker) createAfter(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, quotaPatience)
	defer cancel()
	for pause := firstWait; ; pause = min(2*pause, longestPause) {
		err := t.create(ctx)
		if !exceedsQuota(err) {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}

// fitsInPlace tells whether the quota that has refused the new Pod beside the
// old one has room for it in its place. It says so only when it is sure:
//
//   - the new one counts as the old one does, so that no other quota is
//     concerned: only the first one that refuses is named;
//   - the numbers of the refusal fit without what the old one uses at least.
//
// Who else makes Pods in that namespace may still be quicker.
func (t taker) fitsInPlace(ctx context.Context, refused error) bool {
	if !countsAlike(t.step.Live.Body, t.step.Want.Body) {
		return false
	}
	numbers, ok := parseQuota(refused.Error())
	if !ok {
		return false
	}
	found, err := t.read(ctx, t.step.Want.Name)
	if err != nil || string(found.GetUID()) != t.step.Live.UID || found.GetDeletionTimestamp() != nil {
		return false
	}
	var pod corev1.Pod
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(found.Object, &pod); err != nil {
		return false
	}
	uses, ok := usage(&pod)
	return ok && numbers.fit(uses)
}

// quotaNumbers are what a quota says of the resources that it refuses.
type quotaNumbers struct{ requested, used, limited corev1.ResourceList }

// parseQuota reads "exceeded quota: name, requested: pods=1, used: pods=3,
// limited: pods=3", as API servers have said it for ten years.
func parseQuota(message string) (n quotaNumbers, ok bool) {
	_, message, _ = strings.Cut(message, exceeded)
	_, rest, ok1 := strings.Cut(message, ", requested: ")
	requested, rest, ok2 := strings.Cut(rest, ", used: ")
	used, limited, ok3 := strings.Cut(rest, ", limited: ")
	if !ok1 || !ok2 || !ok3 {
		return n, false
	}
	for _, part := range []struct {
		text string
		into *corev1.ResourceList
	}{{requested, &n.requested}, {used, &n.used}, {limited, &n.limited}} {
		if *part.into, ok = parseResources(part.text); !ok {
			return n, false
		}
	}
	return n, len(n.requested) > 0
}

func parseResources(text string) (corev1.ResourceList, bool) {
	out := corev1.ResourceList{}
	for one := range strings.SplitSeq(text, ",") {
		name, amount, ok := strings.Cut(one, "=")
		if !ok {
			return nil, false
		}
		if out[corev1.ResourceName(name)], ok = amountOf(amount); !ok {
			return nil, false
		}
	}
	return out, true
}

// amountOf reads a quantity of a size that somebody may mean: comparing
// 1e999999999 with anything would take hours.
func amountOf(text string) (resource.Quantity, bool) {
	const digits, exponent = 40, 2
	if e := strings.IndexAny(text, "eE"); len(text) > digits || e >= 0 && len(strings.TrimLeft(text[e+1:], "+-0")) > exponent {
		return resource.Quantity{}, false
	}
	q, err := resource.ParseQuantity(text)
	return q, err == nil
}

// fit tells whether what is requested has room without these uses.
func (n quotaNumbers) fit(uses corev1.ResourceList) bool {
	for name, sum := range n.requested {
		used, isUsed := n.used[name]
		limited, isLimited := n.limited[name]
		freed, isKnown := uses[name]
		if !isUsed || !isLimited || !isKnown {
			return false
		}
		sum = sum.DeepCopy()
		sum.Add(used)
		sum.Sub(freed)
		if sum.Cmp(limited) > 0 {
			return false
		}
	}
	return true
}

// usage is what a Pod that runs counts at least in a quota: what its containers
// ask for; what comes on top of it is left out.
func usage(pod *corev1.Pod) (corev1.ResourceList, bool) {
	if pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded || pod.Spec.Resources != nil {
		return nil, false
	}
	one := *resource.NewQuantity(1, resource.DecimalSI)
	out := corev1.ResourceList{"count/pods": one, corev1.ResourcePods: one}
	add := func(name corev1.ResourceName, q resource.Quantity) {
		sum := out[name].DeepCopy()
		sum.Add(q)
		out[name] = sum
	}
	for _, c := range pod.Spec.Containers {
		for name, q := range c.Resources.Requests {
			switch name {
			case corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage:
				add(name, q)
				add(corev1.DefaultResourceRequestsPrefix+name, q)
			}
		}
		for name, q := range c.Resources.Limits {
			switch name {
			case corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage:
				add("limits."+name, q)
			}
		}
	}
	return out, true
}

// countsAlike tells whether two Pods, as they are applied, count the same in
// every quota, whatever its scopes are.
func countsAlike(a, b json.RawMessage) bool {
	type container struct {
		Name          string
		RestartPolicy string
		Resources     corev1.ResourceRequirements
	}
	type pod struct {
		Spec struct {
			Containers, InitContainers          []container
			Resources                           *corev1.ResourceRequirements
			Overhead                            corev1.ResourceList
			PriorityClassName, RuntimeClassName string
			ActiveDeadlineSeconds               *int64
			ResourceClaims                      []any
			Affinity                            struct{ PodAffinity, PodAntiAffinity any }
		}
	}
	var x, y pod
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && len(x.Spec.Containers) > 0 && equality.Semantic.DeepEqual(x, y)
}
