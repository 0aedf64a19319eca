package cluster

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// nodes is what is known of the cluster's machines. Who may not read them does
// without: then no node is ever gone.
type nodes struct {
	*shelf[*nodeEntry]
	changed func() // may be nil

	// missing is since when there is no node of a name that Pods are bound to.
	missing struct {
		sync.Mutex
		since map[string]time.Time
	}
}

// nodeEntry is what the cache keeps of a node.
type nodeEntry struct {
	metav1.ObjectMeta // Name and ResourceVersion; nothing else
	Node
}

func newNodes(log *slog.Logger, changed func()) *nodes {
	n := &nodes{changed: changed}
	n.missing.since = map[string]time.Time{}
	n.shelf = &shelf[*nodeEntry]{
		resource: "nodes", log: log, strip: stripNode, shown: n.shown,
		entries: map[place]*nodeEntry{}, full: make(chan struct{}),
	}
	return n
}

// stripNode drops all but what says whether a node works.
func stripNode(u *unstructured.Unstructured) *nodeEntry {
	e := &nodeEntry{
		ObjectMeta: metav1.ObjectMeta{Name: u.GetName(), ResourceVersion: u.GetResourceVersion()},
		Node:       Node{Name: u.GetName(), Since: u.GetCreationTimestamp().Time},
	}
	e.Drained, _, _ = unstructured.NestedBool(u.Object, "spec", "unschedulable")
	conditions, _, _ := unstructured.NestedFieldNoCopy(u.Object, "status", "conditions")
	list, _ := conditions.([]any)
	for _, c := range list {
		c, _ := c.(map[string]any)
		if c["type"] != string(corev1.NodeReady) {
			continue
		}
		e.Ready = c["status"] == string(corev1.ConditionTrue)
		if at, ok := c["lastTransitionTime"].(string); ok {
			if t, err := time.Parse(time.RFC3339, at); err == nil {
				e.Since = t
			}
		}
		if message, ok := c["message"].(string); ok && !e.Ready {
			e.Message = shortened(message)
		}
	}
	return e
}

// shown takes up an event. A heartbeat changes nothing that is kept.
func (n *nodes) shown(old, now *nodeEntry, gone bool) {
	n.missing.Lock()
	if gone {
		n.missing.since[now.Node.Name] = time.Now()
	} else {
		delete(n.missing.since, now.Node.Name)
	}
	n.missing.Unlock()
	if n.changed != nil && (old == nil || old.Ready != now.Ready || old.Drained != now.Drained || !old.Since.Equal(now.Since)) {
		n.changed()
	}
}

// all are the nodes, sorted by name; nil as long as they are not known.
func (n *nodes) all() []Node {
	if !n.synced() {
		return nil
	}
	var out []Node
	n.each(func(e *nodeEntry) { out = append(out, e.Node) })
	slices.SortFunc(out, func(a, b Node) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// gone is since when the node of this name does not answer, or does not exist;
// zero if all is well, or unknown.
func (n *nodes) gone(name string) time.Time {
	if name == "" || !n.synced() {
		return time.Time{}
	}
	if e, ok := n.get(place{name: name}); ok {
		if e.Ready {
			return time.Time{}
		}
		return e.Since
	}
	n.missing.Lock()
	defer n.missing.Unlock()
	since, ok := n.missing.since[name]
	if !ok {
		since = time.Now()
		n.missing.since[name] = since
	}
	return since
}

// warning says why nodes are not known; "" when they are.
func (n *nodes) warning() string {
	if err := n.troubled(); err != nil {
		return fmt.Sprintf("nodes cannot be watched, so that nobody sees when one is gone: %v", err)
	}
	return ""
}
