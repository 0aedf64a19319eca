package reconciler_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	. "camfleet.dev/reconciler/engine/enginetest"
	"camfleet.dev/reconciler/status"
)

func TestMetrics(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Cameras = func() []status.Camera {
		return []status.Camera{{Site: "gate", Name: "c0", State: "live"}, {Site: "gate", Name: "c1", State: "stale"}}
	}
	w.Nodes = func() []status.Node { return []status.Node{{Name: "n1", Ready: true}, {Name: "n2", Missing: true}} }
	w.Health = func(time.Time) []status.Health { return []status.Health{{State: "failed"}} }
	w.push(commitA, Result(Cameras("gate", 9)))
	w.run()
	w.fetchFails(errors.New("gone"))
	w.poll()
	w.cluster.Remove(pod("gate", "c1"))
	w.Changed()
	w.step(time.Second)
	w.fetchFails(nil)
	w.push(commitB, Result(Cameras("gate", 1)))
	w.Wake()
	w.rest()
	if problems, err := testutil.GatherAndLint(w.Metrics()); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	want := `
# HELP camfleet_reconcile_cameras Cameras by state.
# TYPE camfleet_reconcile_cameras gauge
camfleet_reconcile_cameras{state="live"} 1
camfleet_reconcile_cameras{state="stale"} 1
# HELP camfleet_reconcile_changes_total Changes that were made, or failed, by action.
# TYPE camfleet_reconcile_changes_total counter
camfleet_reconcile_changes_total{action="configured"} 0
camfleet_reconcile_changes_total{action="created"} 31
camfleet_reconcile_changes_total{action="deleted"} 0
camfleet_reconcile_changes_total{action="failed"} 0
camfleet_reconcile_changes_total{action="replaced"} 0
# HELP camfleet_reconcile_commit_info 1 for the commit that is applied.
# TYPE camfleet_reconcile_commit_info gauge
camfleet_reconcile_commit_info{commit="` + commitB + `"} 1
# HELP camfleet_reconcile_healed_objects_total Objects that were put back although the commit had not changed.
# TYPE camfleet_reconcile_healed_objects_total counter
camfleet_reconcile_healed_objects_total 1
# HELP camfleet_reconcile_held_changes Changes that wait for approval.
# TYPE camfleet_reconcile_held_changes gauge
camfleet_reconcile_held_changes 24
# HELP camfleet_reconcile_condition 1 for each condition of the status that is True.
# TYPE camfleet_reconcile_condition gauge
camfleet_reconcile_condition{type="Applied"} 0
camfleet_reconcile_condition{type="Compiled"} 1
camfleet_reconcile_condition{type="Fetched"} 1
camfleet_reconcile_condition{type="Healthy"} 0
camfleet_reconcile_condition{type="Verified"} 0
# HELP camfleet_reconcile_nodes Nodes that cameras need: ready, notReady or missing.
# TYPE camfleet_reconcile_nodes gauge
camfleet_reconcile_nodes{state="missing"} 1
camfleet_reconcile_nodes{state="notReady"} 0
camfleet_reconcile_nodes{state="ready"} 1
# HELP camfleet_reconcile_suspended 1 while nothing is applied because somebody said so.
# TYPE camfleet_reconcile_suspended gauge
camfleet_reconcile_suspended 0
`
	var names []string
	for _, line := range strings.Split(want, "\n") {
		if name, ok := strings.CutPrefix(line, "# TYPE "); ok {
			names = append(names, strings.Fields(name)[0])
		}
	}
	if err := testutil.GatherAndCompare(w.Metrics(), strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
}
