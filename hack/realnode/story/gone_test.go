package story

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"camfleet.dev/hack/manifests"
	"camfleet.dev/hack/realnode"
)

// nodeDies cuts the power of the node that a floating camera is on: the status says
// so, the camera goes on elsewhere once nobody can be recording it there, a pinned
// one waits. The node comes back, and all is as it was.
func (w *world) nodeDies() {
	name := w.node("north")
	node := w.c.Nodes[slices.IndexFunc(w.c.Nodes, func(n *realnode.Node) bool { return n.Name == name })]
	pinned := w.pods()["camera-south"]
	w.spreadReconcilers()
	began := time.Now()
	w.must(node.Crash(w.ctx))
	w.within(60*time.Second, "the status tells of the node", func() error {
		s, err := w.status()
		if err != nil {
			return err
		}
		for _, n := range s.Nodes {
			if n.Name == name && !n.Ready && !n.Since.Before(began.Truncate(time.Second)) {
				return nil
			}
		}
		return fmt.Errorf("it has %+v", s.Nodes)
	})
	w.Logf("          known after %.0f s", time.Since(began).Seconds())
	w.within(6*time.Minute, "the floating camera goes on elsewhere", func() error {
		if at, err := w.tryNode("north"); err != nil || at == name || at == "" {
			return fmt.Errorf("it is on %q (%v)", at, err)
		}
		return nil
	})
	w.ready("north")
	w.Logf("          the floating camera is Ready elsewhere after %.0f s", time.Since(began).Seconds())
	w.gap("north", began)
	if name == "node-0" && w.pods()["camera-south"] != pinned {
		w.Error("the pinned camera's Pod was replaced: it can run nowhere else")
	}
	w.must(node.Restart(w.ctx))
	w.kubectl("wait", "--for=condition=Ready", "--timeout=60s", "node/"+name)
	w.ready("south")
	w.synced(w.repo.Git("rev-parse", "HEAD"))
	w.within(time.Minute, "no camera is there twice, none is stuck", func() error {
		if pods := w.pods(); len(pods) != 2 {
			return errors.New(fmt.Sprint(pods))
		}
		return nil
	})
}

// spreadReconcilers undoes what the drain did: both replicas are on one node since,
// and the Deployment would give a new one 5 minutes after that died.
func (w *world) spreadReconcilers() {
	w.Helper()
	replicas := []string{"get", "pods", "-n", manifests.Namespace, "-l", "app.kubernetes.io/name=camfleet", "-o"}
	if nodes := strings.Fields(w.kubectl(append(replicas, "jsonpath={.items[*].spec.nodeName}")...)); nodes[0] != nodes[1] {
		return
	}
	w.kubectl("delete", "pod", "-n", manifests.Namespace, strings.Fields(w.kubectl(append(replicas, "jsonpath={.items[*].metadata.name}")...))[0])
	w.kubectl("rollout", "status", "-n", manifests.Namespace, "deployment/camfleet", "--timeout=60s")
}

// tryNode is node for a Pod that may not be there.
func (w *world) tryNode(camera string) (string, error) {
	out, err := w.c.Kubectl(w.ctx, "get", "pod", "-n", namespace, "camera-"+camera, "-o", "jsonpath={.spec.nodeName}").CombinedOutput()
	return string(out), err
}
