package health

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/cluster"
	"camfleet.dev/reconciler/status"
	"camfleet.dev/workers/archive"
)

// States of a camera that only a cluster knows, besides those of the archive.
const (
	Missing    = "missing"    // it has no Pod
	Starting   = "starting"   // its Pod is on its way, or its worker has not answered yet
	Offline    = "offline"    // the node that it runs on, or must run on, does not answer
	NoRoom     = "noRoom"     // no node takes it
	NoImage    = "noImage"    // its image cannot be pulled
	NoVolume   = "noVolume"   // it waits for its archive, or another volume
	Crashing   = "crashing"   // its worker ends again and again
	Ended      = "ended"      // its Pod has ended, or was evicted; it is made again
	Restarting = "restarting" // its Pod was asked to go
)

type name struct{ site, camera string }

// Cameras says how every camera is that is wanted, or still runs. Answers are
// those of an Asker; without them a Pod that runs and is not ready is
// connecting. Sorted by site and name.
func Cameras(want []Camera, obs cluster.Observation, answers map[object.ID]Answer) []status.Camera {
	nodes := map[string]cluster.Node{}
	for _, n := range obs.Nodes {
		nodes[n.Name] = n
	}
	pods := map[name]*cluster.Pod{}
	for i, p := range obs.Pods {
		if p.Role == object.RoleCamera && p.Camera != "" {
			pods[name{p.Site, p.Camera}] = &obs.Pods[i]
		}
	}
	out := make([]status.Camera, 0, len(want))
	add := func(w Camera, p *cluster.Pod) {
		j := judge{want: w, pod: p, nodes: nodes, known: obs.Nodes != nil}
		if p != nil {
			if a, ok := answers[p.ID]; ok {
				j.answer = &a
			}
		}
		out = append(out, j.camera())
	}
	for _, w := range want {
		key := name{w.Site, w.Name}
		add(w, pods[key])
		delete(pods, key)
	}
	for key, p := range pods { // of sites that are broken, or that are about to go
		add(Camera{Site: key.site, Name: key.camera}, p)
	}
	slices.SortFunc(out, func(a, b status.Camera) int { return cmp.Or(cmp.Compare(a.Site, b.Site), cmp.Compare(a.Name, b.Name)) })
	return out
}

// judge says how one camera is.
type judge struct {
	want   Camera
	pod    *cluster.Pod // nil when there is none
	answer *Answer      // nil when its worker was not asked, or is not ours to ask
	nodes  map[string]cluster.Node
	known  bool // whether nodes are all there are
}

func (j judge) camera() status.Camera {
	c := status.Camera{Site: j.want.Site, Name: j.want.Name}
	if p := j.pod; p != nil {
		if c.Since = p.Since; c.Since.IsZero() {
			c.Since = p.Created
		}
	}
	for _, look := range []func(*status.Camera) bool{
		j.absent, j.away, j.going, j.well, j.over, j.waiting, j.held, j.running,
	} {
		if look(&c) {
			break
		}
	}
	if j.want.Disabled && (c.State == string(archive.Live) || c.State == Starting) {
		c.State, c.Message = string(archive.Disabled), ""
	}
	return c
}

func say(c *status.Camera, state, message string) bool {
	c.State, c.Message = state, message
	return true
}

func (j judge) absent(c *status.Camera) bool {
	return j.pod == nil && say(c, Missing, "it has no Pod (yet)")
}

// away is a camera whose node does not answer.
func (j judge) away(c *status.Camera) bool {
	switch {
	case !j.pod.NodeGone.IsZero():
		c.Since = j.pod.NodeGone
		where := "Node " + j.pod.Node
		if j.want.Node != "" {
			where = "its edge (Node " + j.pod.Node + ")"
		}
		return say(c, Offline, fmt.Sprintf("%s is offline since %s; whether it records goes unseen until it is back", where, stamp(c.Since)))
	case j.pod.Node == "" && j.want.Node != "" && j.known:
		n, ok := j.nodes[j.want.Node]
		if !ok {
			return say(c, Offline, fmt.Sprintf("its edge is not in the cluster: there is no Node %s", j.want.Node))
		}
		if !n.Ready {
			c.Since = n.Since
			return say(c, Offline, fmt.Sprintf("its edge (Node %s) is offline since %s: %s", n.Name, stamp(n.Since), n.Message))
		}
		if n.Drained {
			return say(c, NoRoom, fmt.Sprintf("its edge takes no new Pods: kubectl uncordon %s", n.Name))
		}
	}
	return false
}

func (j judge) going(c *status.Camera) bool {
	switch {
	case j.pod.Ending.IsZero():
		return false
	case len(j.pod.Finalizers) > 0:
		return say(c, Restarting, "its Pod was asked to go, and stays until its finalizer is taken away: "+strings.Join(j.pod.Finalizers, ", ")+"; another takes its place then")
	}
	return say(c, Restarting, "its Pod was asked to go, and another takes its place")
}

func (j judge) well(c *status.Camera) bool {
	return j.pod.Ready && say(c, string(archive.Live), "")
}

func (j judge) over(c *status.Camera) bool {
	if j.pod.Phase != string(corev1.PodFailed) && j.pod.Phase != string(corev1.PodSucceeded) {
		return false
	}
	return say(c, Ended, strings.TrimSuffix("its Pod has ended: "+reason(j.pod.Reason, j.pod.Message), ": "))
}

// waiting is a camera whose Pod has no node yet.
func (j judge) waiting(c *status.Camera) bool {
	p := j.pod
	switch {
	case p.Node != "":
		return false
	case p.Reason == "":
		return say(c, Starting, "its Pod waits for a node")
	case strings.Contains(strings.ToLower(p.Message), "persistentvolumeclaim"), strings.Contains(p.Message, "volume"):
		return say(c, NoVolume, "it waits for its volume: "+p.Message)
	}
	return say(c, NoRoom, "no node has room for it: "+p.Message)
}

// held is a camera whose containers do not start.
func (j judge) held(c *status.Camera) bool {
	p := j.pod
	why := reason(p.Reason, p.Message)
	switch p.Reason {
	case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable", "ImageInspectError", "SignatureValidationFailed":
		return say(c, NoImage, "its image cannot be pulled: "+why)
	case "CrashLoopBackOff":
		return say(c, Crashing, fmt.Sprintf("its worker ended %d times and is started again: %s; kubectl logs -p -n %s %s", p.Restarts, p.Message, p.Namespace, p.Name))
	case "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PostStartHookError":
		return say(c, Crashing, "its worker cannot be started: "+why)
	}
	if p.Phase == string(corev1.PodRunning) {
		return false
	}
	return say(c, NoVolume, fmt.Sprintf("its Pod is on Node %s, and waits for its volumes (archive, Secret with credentials) or its network: kubectl describe pod -n %s %s",
		p.Node, p.Namespace, p.Name))
}

// running is a camera whose worker runs, and is not ready: it knows why.
func (j judge) running(c *status.Camera) bool {
	a := j.answer
	switch {
	case a == nil:
		return say(c, string(archive.Connecting), "")
	case a.Err != "":
		return say(c, Starting, "its worker does not answer: "+a.Err)
	case a.Reason != "" && a.State == string(archive.Live):
		return say(c, string(archive.Stale), a.Reason)
	case !archive.State(a.State).Valid():
		return say(c, Crashing, reason(a.State, a.Reason))
	}
	if !a.Since.IsZero() {
		c.Since = a.Since
	}
	message := a.Message
	if message == "" {
		message = a.Reason
	}
	return say(c, a.State, message)
}
