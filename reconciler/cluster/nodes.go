package cluster

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"
)

// nodes is what is known of the cluster's machines. Who may not read them does
// without: then no node is ever gone.
type nodes struct {
	informer cache.SharedIndexInformer
	log      *slog.Logger
	changed  func() // may be nil

	mu      sync.Mutex
	trouble trouble
	// missing is since when there is no node of a name that Pods are bound to.
	missing map[string]time.Time
}

// nodeEntry is what the cache keeps of a node.
type nodeEntry struct {
	metav1.ObjectMeta // Name and ResourceVersion; nothing else
	Node
}

// trouble is the last error of a watch. It is told again and again as long as
// it stands, so that an old one says nothing.
type trouble struct {
	err error
	at  time.Time
}

// fresh is longer than client-go waits before it tries again.
const fresh = 75 * time.Second

func (t trouble) now() error {
	if t.err != nil && time.Since(t.at) < fresh {
		return t.err
	}
	return nil
}

func newNodes(client dynamic.Interface, log *slog.Logger, changed func()) (*nodes, error) {
	n := &nodes{log: log, changed: changed, missing: map[string]time.Time{}}
	resource := Kind{APIVersion: "v1", Kind: "Node", Resource: "nodes"}.resource()
	n.informer = dynamicinformer.NewFilteredDynamicInformer(client, resource, metav1.NamespaceAll, 0, cache.Indexers{}, nil).Informer()
	if err := n.informer.SetTransform(n.strip); err != nil {
		return nil, fmt.Errorf("watching nodes: %w", err)
	}
	err := n.informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) {
		log.Warn("cannot watch; it is tried again", "resource", "nodes", "error", err)
		n.mu.Lock()
		defer n.mu.Unlock()
		n.trouble = trouble{err, time.Now()}
	})
	if err != nil {
		return nil, fmt.Errorf("watching nodes: %w", err)
	}
	_, err = n.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { n.shown(nil, obj, false) },
		UpdateFunc: func(old, obj any) { n.shown(old, obj, false) },
		DeleteFunc: func(obj any) { n.shown(nil, obj, true) },
	})
	if err != nil {
		return nil, fmt.Errorf("watching nodes: %w", err)
	}
	return n, nil
}

// strip drops all but what says whether a node works.
func (n *nodes) strip(obj any) (any, error) {
	u, ok := obj.(*unstructured.Unstructured)
	if !ok {
		return obj, nil
	}
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
	return e, nil
}

// shown takes up an event. A heartbeat changes nothing that is kept.
func (n *nodes) shown(old, obj any, gone bool) {
	if d, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = d.Obj
	}
	e, ok := obj.(*nodeEntry)
	if !ok {
		return
	}
	n.mu.Lock()
	if gone {
		n.missing[e.Node.Name] = time.Now()
	} else {
		delete(n.missing, e.Node.Name)
	}
	n.mu.Unlock()
	before, _ := old.(*nodeEntry)
	if n.changed != nil && (before == nil || before.Ready != e.Ready || before.Drained != e.Drained || before.Since != e.Since) {
		n.changed()
	}
}

// all are the nodes, sorted by name; nil as long as they are not known.
func (n *nodes) all() []Node {
	if !n.informer.HasSynced() {
		return nil
	}
	list := n.informer.GetStore().List()
	out := make([]Node, 0, len(list))
	for _, obj := range list {
		if e, ok := obj.(*nodeEntry); ok {
			out = append(out, e.Node)
		}
	}
	slices.SortFunc(out, func(a, b Node) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// gone is since when the node of this name does not answer, or does not exist;
// zero if all is well, or unknown.
func (n *nodes) gone(name string) time.Time {
	if name == "" || !n.informer.HasSynced() {
		return time.Time{}
	}
	if obj, ok, err := n.informer.GetStore().GetByKey(name); ok && err == nil {
		if e, ok := obj.(*nodeEntry); ok && !e.Ready {
			return e.Since
		}
		return time.Time{}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	since, ok := n.missing[name]
	if !ok {
		since = time.Now()
		n.missing[name] = since
	}
	return since
}

// warning says why nodes are not known; "" when they are.
func (n *nodes) warning() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.trouble.now(); err != nil {
		return fmt.Sprintf("nodes cannot be watched, so that nobody sees when one is gone: %v", err)
	}
	return ""
}
