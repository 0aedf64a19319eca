package engine

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"

	"camfleet.dev/compiler/object"
)

// nodeLost is how long a node must have been silent before a camera that may
// run anywhere is taken from it. Kubernetes itself asks its Pods to go after
// 60 s (their tolerations), and then waits for the node for ever.
const nodeLost = 3 * time.Minute

// isCamera tells whether a live object is a camera's Pod of a cluster. Pods
// that an overlay adds may end as they like.
func isCamera(l *Live) bool { return l.Pod != nil && l.Kind == "Pod" && l.Role == object.RoleCamera }

// ended tells whether a Pod's containers have stopped for good.
func (p *Pod) ended() bool { return p.Phase == "Failed" || p.Phase == "Succeeded" }

// ailing tells whether a live object needs more thought than a comparison.
func ailing(l *Live) bool {
	return isCamera(l) && (l.Pod.ended() || !l.Pod.Ending.IsZero() || !l.Pod.NodeGone.IsZero())
}

// ailing decides about a camera's Pod that has ended, is ending, or whose node is gone.
func (p *planner) ailing(c Change, fields []string) Change {
	want, live := c.step.Want, c.step.Live
	pod, restart := live.Pod, want.Hash != live.Hash
	switch ending := !pod.Ending.IsZero(); {
	case !ending && pod.ended() && restart:
		return c.as(Replaced, p.restartReason(want, fields))
	case !ending && pod.ended():
		c.heal = true
		return p.putOff(c.as(Replaced, pod.why()))
	case !pod.NodeGone.IsZero() && (ending || restart):
		return p.nodeGone(c)
	case ending:
		return c.as(Replaced, "").wait(p.ending(pod))
	}
	// Its node is silent, and Kubernetes may yet hear of it.
	return c.as(Unchanged, fmt.Sprintf("its node %s has not answered since %s", pod.Node, clockTime(pod.NodeGone)))
}

// ending says what a Pod waits for that was asked to go. One that a finalizer
// holds is not ours to end: whoever has put it there may not be done.
func (p *planner) ending(pod *Pod) string {
	const waits = "it is ending; a new one comes when it is gone"
	late := pod.Ending.Add(turn)
	switch {
	case len(pod.Finalizers) == 0:
		return waits
	case p.options.Now.Before(late):
		p.wake(late)
		return waits
	}
	return fmt.Sprintf("it should have ended at %s, and is held by its finalizer %s: whoever has put that there takes it away, or you do "+
		"(kubectl edit); a new one comes then", clockTime(pod.Ending), short(strings.Join(pod.Finalizers, ", ")))
}

// nodeGone decides about a Pod on a node that does not answer. Nobody but that
// node can end it in good order.
func (p *planner) nodeGone(c Change) Change {
	pod := c.step.Live.Pod
	c = c.as(Replaced, fmt.Sprintf("its node %s has not answered since %s", pod.Node, clockTime(pod.NodeGone)))
	switch {
	case pinned(c.step.Want.Body):
		return c.wait(fmt.Sprintf("its edge is offline: node %s has not answered since %s; the camera belongs there, and waits",
			pod.Node, clockTime(pod.NodeGone)))
	case pod.Ending.IsZero():
		return c.wait(c.Reason + "; it waits until Kubernetes gives the node up")
	case p.options.Now.Before(pod.NodeGone.Add(nodeLost)):
		p.wake(pod.NodeGone.Add(nodeLost))
		return c.wait(fmt.Sprintf("%s; the camera moves at %s", c.Reason, clockTime(pod.NodeGone.Add(nodeLost))))
	}
	c.Reason += ": the camera moves"
	c.step.Fenced = true
	return c
}

// why says why a Pod has ended.
func (p *Pod) why() string {
	words, said := "it failed", p.Reason
	switch {
	case p.Phase == "Succeeded":
		words = "it ended, which a camera never does by itself"
	case p.Reason == "Evicted":
		words, said = "it was evicted", ""
	}
	for _, text := range []string{said, p.Message} {
		if text != "" {
			words += ": " + short(text)
		}
	}
	return words
}

// longest is how much of a cluster's own words is passed on.
const longest = 200

// short is a text of the cluster in one line, without secrets and without what
// could play tricks on a terminal.
func short(text string) string {
	text = printable(Redact(strings.Join(strings.Fields(text), " ")))
	if len(text) <= longest {
		return text
	}
	return strings.ToValidUTF8(text[:longest], "") + " …"
}

// printable leaves out control characters.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' {
			return -1
		}
		return r
	}, text)
}

// putOff makes a heal wait that has failed too often lately.
func (p *planner) putOff(c Change) Change {
	at := p.options.NotBefore[c.ID]
	if !at.After(p.options.Now) {
		return c
	}
	p.wake(at)
	often := "again and again"
	if n := p.options.Heals[c.ID]; n > 0 {
		often = count(n, "time")
	}
	return c.wait(fmt.Sprintf("%s; it was made anew %s, the next try is at %s", c.Reason, often, clockTime(at)))
}

// wake notes that something waits for a time.
func (p *planner) wake(at time.Time) {
	if p.again.IsZero() || at.Before(p.again) {
		p.again = at
	}
}

func clockTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") + " UTC" }

// pinned tells whether a Pod may run on one node only.
func pinned(body json.RawMessage) bool {
	type term struct {
		MatchFields      []struct{ Key string }
		MatchExpressions []struct{ Key string }
	}
	var o struct {
		Spec struct {
			NodeName     string
			NodeSelector map[string]string
			Affinity     struct {
				NodeAffinity struct {
					Required struct{ NodeSelectorTerms []term } `json:"requiredDuringSchedulingIgnoredDuringExecution"`
				}
			}
		}
	}
	if json.Unmarshal(body, &o) != nil || o.Spec.NodeName != "" || o.Spec.NodeSelector[hostname] != "" {
		return true // leave it where it is
	}
	for _, t := range o.Spec.Affinity.NodeAffinity.Required.NodeSelectorTerms {
		for _, m := range append(t.MatchFields, t.MatchExpressions...) {
			if m.Key == "metadata.name" || m.Key == hostname {
				return true
			}
		}
	}
	return false
}

// hostname is the label of a Node that says which one it is.
const hostname = "kubernetes.io/hostname"

// inPlace says what is changed of a running object. More or less processor and
// memory is given to a Pod while it runs.
func inPlace(o *object.Object, fields []string) string {
	if o.Kind == "Pod" {
		for _, f := range fields {
			if strings.HasPrefix(f, "spec.containers[") && strings.Contains(f, "].resources") {
				return "resized in place: " + sentence(fields)
			}
		}
	}
	return sentence(fields)
}
