package health

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/cluster"
	"camfleet.dev/reconciler/status"
)

// Nodes are those that cameras run on, or that an edge of the commit names.
// None are told when the cluster's nodes may not be read. Sorted by name.
func Nodes(want []Camera, obs cluster.Observation) []status.Node {
	if obs.Nodes == nil {
		return nil
	}
	pinned := map[name]string{}
	cameras := map[string]int{}
	named := map[string]bool{} // by an edge
	for _, w := range want {
		if w.Node != "" {
			pinned[name{w.Site, w.Name}] = w.Node
			named[w.Node] = true
			cameras[w.Node] += 0
		}
	}
	placed := map[name]bool{}
	for _, p := range obs.Pods {
		if p.Role != object.RoleCamera || p.Node == "" {
			continue
		}
		cameras[p.Node]++
		placed[name{p.Site, p.Camera}] = true
	}
	for camera, node := range pinned {
		if !placed[camera] {
			cameras[node]++ // it waits for it
		}
	}
	known := map[string]cluster.Node{}
	for _, n := range obs.Nodes {
		known[n.Name] = n
	}
	var out []status.Node
	for _, node := range slices.Sorted(maps.Keys(cameras)) {
		n, ok := known[node]
		out = append(out, told(node, n, ok, named[node], cameras[node]))
	}
	return out
}

func told(node string, n cluster.Node, ok, edge bool, cameras int) status.Node {
	s := status.Node{Name: node, Ready: n.Ready, Since: n.Since, Drained: n.Drained, Cameras: cameras, Message: n.Message}
	what := "Node " + node
	if edge {
		what = "edge " + node
	}
	var about []string
	switch {
	case !ok && edge:
		s.Missing = true
		about = append(about, fmt.Sprintf("an edge names it, and the cluster has no Node of that name; %d cameras wait for it: join it, or set the edge's node to its name", cameras))
	case !ok:
		s.Missing = true
		about = append(about, fmt.Sprintf("it is not in the cluster any more, and %d cameras' Pods still name it", cameras))
	case !n.Ready:
		about = append(about, fmt.Sprintf("%s is offline since %s", what, stamp(n.Since)), n.Message)
	case n.Drained:
		about = append(about, "it takes no new Pods: kubectl uncordon "+node)
	}
	if len(about) > 0 {
		s.Message = strings.TrimSuffix(strings.Join(about, ": "), ": ")
	}
	return s
}
