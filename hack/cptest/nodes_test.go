package cptest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestNodesStay: fake nodes stay Ready, and so do their Pods, as long as a test
// takes. The node controller here is five times as impatient as usual, so that
// what would go wrong after a minute goes wrong while this looks.
func TestNodesStay(t *testing.T) {
	const (
		patience = nodeLease * 5 / 6 // renewed three times meanwhile
		looked   = 2 * patience
		usual    = 50 * time.Second // --node-monitor-grace-period
	)
	if nodeLease/4 > usual/5 {
		t.Errorf("a lease of %s is renewed every %s: too seldom for %s", nodeLease, nodeLease/4, usual)
	}
	c := Start(t, Options{Nodes: 2, Flags: map[Component][]string{
		ControllerManager: {"--node-monitor-grace-period=" + patience.String(), "--node-monitor-period=1s"},
	}})
	ctx := bounded(t)
	must(t, c.Kubectl(ctx, "create", "namespace", "site"), "")
	must(t, c.Kubectl(ctx, "create", "-n", "site", "-f", "-"), claim)
	must(t, c.Kubectl(ctx, "create", "-n", "site", "-f", "-"), fmt.Sprintf(pod, "good", false, false))
	waitReady(ctx, t, c, "good")
	before := leases(ctx, t, c)
	if len(before) != 2 {
		t.Fatalf("the leases of the nodes are %v", before)
	}
	// Whatever was not Ready meanwhile says so for good: by the time of its last change.
	const conditions = `jsonpath={range .items[*]}{.metadata.name}: {range .status.conditions[?(@.type=="Ready")]}{.status} since {.lastTransitionTime}{end} {.spec.taints}{"\n"}{end}`
	all := func() string {
		return must(t, c.Kubectl(ctx, "get", "nodes", "-o", conditions), "") + must(t, c.Kubectl(ctx, "get", "pods", "-n", "site", "-o", conditions), "")
	}
	was := all()
	if strings.Count(was, ": True since ") != 3 {
		t.Fatalf("not all are Ready:\n%s", was)
	}
	select {
	case <-time.After(looked):
	case <-ctx.Done():
	}
	if is := all(); is != was {
		t.Errorf("it was\n%s%s later it is\n%s", was, looked, is)
	}
	for node, renewed := range leases(ctx, t, c) {
		if renewed.Sub(before[node]) < looked-patience {
			t.Errorf("the lease of %s was renewed at %s, and %s later at %s", node, before[node], looked, renewed)
		}
	}
}

// leases are the nodes', and when they were renewed.
func leases(ctx context.Context, t *testing.T, c *Cluster) map[string]time.Time {
	t.Helper()
	body, err := c.client.do(ctx, http.MethodGet, c.Host+"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", nil)
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Items []struct {
			Metadata struct{ Name string }
			Spec     struct{ RenewTime time.Time }
		}
	}
	if err := json.Unmarshal(body, &list); err != nil {
		t.Fatal(err)
	}
	renewed := map[string]time.Time{}
	for _, l := range list.Items {
		renewed[l.Metadata.Name] = l.Spec.RenewTime
	}
	return renewed
}
