package cluster

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"camfleet.dev/compiler/object"
)

// Nodes are the machines of the cluster, sorted by name; nil when they are not
// known: before the first List, and for who may not read them.
func (c *Cluster) Nodes() []Node {
	if w := c.current(); w != nil {
		return w.nodes.all()
	}
	return nil
}

// Observe tells how the fleet is that was listed last, without any request. As
// long as nothing changes it costs nothing either, so it may be called as often
// as one likes, from any goroutine. What it returns is shared: nobody may change it.
func (c *Cluster) Observe() Observation {
	w := c.current()
	if w == nil {
		return Observation{}
	}
	w.seen.Lock()
	defer w.seen.Unlock() // who comes meanwhile has the same
	version, now := w.version.Load(), time.Now()
	if s := &w.seen; s.made == 0 || version != s.version || !s.until.IsZero() && !now.Before(s.until) {
		s.Observation, s.version, s.until = w.observe(), version, w.believed()
		s.made++
	}
	return w.seen.Observation
}

// observed is the last observation, and of what it was made.
type observed struct {
	sync.Mutex
	Observation
	made    int       // so many times
	version uint64    // of the watch, or an older one
	until   time.Time // when to look again all the same; zero for never
}

// observe looks at all that is known.
func (w *watch) observe() Observation {
	entries := w.all()
	o := Observation{Known: w.known(), Nodes: w.nodes.all(), Warnings: w.warnings(entries)}
	entries = slices.DeleteFunc(entries, func(e *entry) bool { return e.state == nil || e.foreign() })
	slices.SortFunc(entries, func(a, b *entry) int { return a.live.ID.Compare(b.live.ID) }) // pointers: it is the large part
	for _, e := range entries {
		thing := Thing{ID: e.live.ID, Site: e.live.Site, Camera: e.live.Camera, Role: e.live.Role}
		switch s := e.state.(type) {
		case *podState:
			o.Pods = append(o.Pods, Pod{
				Thing: thing, Phase: s.Phase, Ready: s.Ready, Since: s.Since, Created: s.Created, Node: s.Node, IP: s.ip,
				Restarts: s.Restarts, Reason: s.Reason, Message: s.Message, Ending: s.Ending, Finalizers: s.Finalizers,
				NodeGone: w.nodes.gone(s.Node), Resize: s.resize,
			})
		case *cronState:
			o.CronJobs = append(o.CronJobs, s.CronJob)
			o.CronJobs[len(o.CronJobs)-1].Thing = thing
		case *claimState:
			o.Claims = append(o.Claims, s.Claim)
			o.Claims[len(o.Claims)-1].Thing = thing
		case *deploymentState:
			o.Deployments = append(o.Deployments, s.Deployment)
			o.Deployments[len(o.Deployments)-1].Thing = thing
		}
	}
	o.nameClaims()
	o.Pods, o.CronJobs, o.Claims, o.Deployments = slices.Clip(o.Pods), slices.Clip(o.CronJobs), slices.Clip(o.Claims), slices.Clip(o.Deployments)
	o.Nodes, o.Warnings = slices.Clip(o.Nodes), slices.Clip(o.Warnings)
	return o
}

// nameClaims says which volume a Pod waits for: the scheduler only says that
// there is one, and what it says of a storage class leaves its name out.
func (o *Observation) nameClaims() {
	pending := map[string][]string{}
	for _, c := range o.Claims {
		if c.Phase != string(corev1.ClaimPending) {
			continue
		}
		class := "the cluster's default storage class"
		if c.Class != "" {
			class = "storage class " + c.Class
		}
		pending[c.Namespace] = append(pending[c.Namespace], c.Name+" ("+class+")")
	}
	for i := range o.Pods {
		p := &o.Pods[i]
		if p.Reason != corev1.PodReasonUnschedulable || !strings.Contains(p.Message, "PersistentVolumeClaim") {
			continue
		}
		if claims := pending[p.Namespace]; len(claims) > 0 {
			p.Message = joined(p.Message, "no volume yet for the claim "+strings.Join(claims, ", "))
		}
	}
}

// maxForged is how many objects that are left alone are named.
const maxForged = 20

// lost says that somebody is deleting what holds recordings. Camfleet never
// does, and nobody can take a deletion back: there is time to save them.
func lost(id object.ID) []string {
	switch id.Kind {
	case "PersistentVolumeClaim":
		return []string{id.String() + " is being deleted, and not by camfleet: Kubernetes waits for the last Pod that uses it; " +
			"if its volume's reclaim policy is Delete, the recordings are lost then: change that to Retain, or copy them"}
	case "Namespace":
		return []string{id.String() + " is being deleted, and not by camfleet, with all that is in it; it is made anew when that has ended"}
	}
	return nil
}

// warnings are what cannot be told of a fleet, and what is left alone in it.
func (w *watch) warnings(entries []*entry) []string {
	var out, forged []string
	for _, e := range entries {
		if e.forged() {
			forged = append(forged, e.live.ID.String())
		}
		if e.ours && e.DeletionTimestamp != nil {
			out = append(out, lost(e.live.ID)...)
		}
	}
	slices.Sort(out)
	slices.Sort(forged)
	for i, id := range forged {
		if i == maxForged {
			out = append(out, fmt.Sprintf("and %d more like them", len(forged)-i))
			break
		}
		out = append(out, id+" has the labels of this fleet, but camfleet has never applied it, and does not delete it: "+
			"whoever does not need it deletes it, or takes its label "+object.LabelFleet+" away")
	}
	if said := w.nodes.warning(); said != "" {
		out = append(out, said)
	}
	var troubled []string
	for _, s := range w.shelves {
		if err := s.troubled(); err != nil {
			troubled = append(troubled, fmt.Sprintf("%s cannot be watched, so that what is known of them gets old: %v", s.resource, err))
		}
	}
	slices.Sort(troubled)
	return append(out, troubled...)
}
