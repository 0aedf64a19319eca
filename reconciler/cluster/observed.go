package cluster

import (
	"fmt"
	"slices"

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

// Observe tells how the fleet is that was listed last, without any request.
func (c *Cluster) Observe() Observation {
	w := c.current()
	if w == nil {
		return Observation{}
	}
	entries := w.all()
	o := Observation{Nodes: w.nodes.all(), Warnings: w.warnings(entries)}
	for _, e := range entries {
		if e.foreign() {
			continue
		}
		thing := Thing{ID: e.live.ID, Site: e.live.Site, Camera: e.live.Camera, Role: e.live.Role}
		switch s := e.state.(type) {
		case *podState:
			o.Pods = append(o.Pods, Pod{
				Thing: thing, Phase: s.Phase, Ready: s.Ready, Since: s.Since, Created: s.Created, Node: s.Node, IP: s.ip,
				Restarts: s.Restarts, Reason: s.Reason, Message: s.Message, Ending: s.Ending,
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
	slices.SortFunc(o.Pods, func(a, b Pod) int { return a.ID.Compare(b.ID) })
	slices.SortFunc(o.CronJobs, func(a, b CronJob) int { return a.ID.Compare(b.ID) })
	slices.SortFunc(o.Claims, func(a, b Claim) int { return a.ID.Compare(b.ID) })
	slices.SortFunc(o.Deployments, func(a, b Deployment) int { return a.ID.Compare(b.ID) })
	return o
}

// maxForged is how many objects that are left alone are named.
const maxForged = 20

// warnings are what cannot be told of a fleet, and what is left alone in it.
func (w *watch) warnings(entries []*entry) []string {
	var out, forged []string
	for _, e := range entries {
		if e.forged() {
			forged = append(forged, e.live.ID.String())
		}
	}
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
