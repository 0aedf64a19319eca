package story

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"camfleet.dev/reconciler/status"
)

// breaksAndFixes pushes a commit with a mistake: all goes on as it was, and the status
// says where the mistake is. The next commit is right.
func (w *world) breaksAndFixes() {
	before := w.pods()
	broken := w.push("sites/gate/roof.cue", "package site\n\nsite: cameras: roof: url: \"http://not-a-camera\"\n")
	w.within(60*time.Second, "the mistake is told with its place", func() error {
		s, err := w.status()
		if err != nil {
			return err
		}
		for _, p := range s.Problems {
			if s.State == status.Broken && s.Commit == broken && p.File == "sites/gate/roof.cue" && p.Line == 3 && strings.Contains(p.Path, "roof.url") {
				return nil
			}
		}
		return fmt.Errorf("the status is %s at %s with %v", s.State, s.Commit, s.Problems)
	})
	fixed := w.push("sites/gate/roof.cue", w.roofFile("description: \"The roof\""))
	w.synced(fixed)
	if after := w.pods(); !maps.Equal(before, after) {
		w.Errorf("the Pods were %v and are %v; neither commit asks for another", before, after)
	}
}

// drains empties a node: floating cameras go on elsewhere, the pinned one waits for it.
func (w *world) drains() {
	began := time.Now()
	w.kubectl("drain", "node-0", "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=120s")
	for _, name := range floating {
		w.ready(name)
		if node := w.node(name); node != "node-1" {
			w.Errorf("%s is on %q after node-0 was drained", name, node)
		}
	}
	w.Logf("          floating cameras are Ready elsewhere %.1f s after the drain began", time.Since(began).Seconds())
	w.within(30*time.Second, "the pinned camera waits", func() error {
		if phase := w.kubectl("get", "pod", "-n", namespace, "camera-south", "-o", "jsonpath={.status.phase}"); phase != "Pending" {
			return fmt.Errorf("it is %s on %s", phase, w.node("south"))
		}
		return nil
	})
	w.within(30*time.Second, "the status tells of the drained node", func() error {
		s, err := w.status()
		if err != nil {
			return err
		}
		for _, n := range s.Nodes {
			if n.Name == "node-0" && n.Drained {
				return nil
			}
		}
		return fmt.Errorf("it has %+v", s.Nodes)
	})
	w.kubectl("uncordon", "node-0")
	w.ready("south")
	if node := w.node("south"); node != "node-0" {
		w.Error(errors.New("the pinned camera is on " + node))
	}
	w.kubectl("rollout", "status", "-n", namespace, "deployment/page", "--timeout=60s")
}

func (w *world) node(camera string) string {
	w.Helper()
	return w.kubectl("get", "pod", "-n", namespace, "camera-"+camera, "-o", "jsonpath={.spec.nodeName}")
}
