package fleettest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"camfleet.dev/hack/cptest"
	"camfleet.dev/reconciler/status"
)

// TestPushToAStandby: whichever replica the Git server reaches, a push is applied
// at once. And of what is pushed, it is the sites of this cluster only.
func TestPushToAStandby(t *testing.T) {
	t.Parallel()
	w := New(t, cptest.Start(t, cptest.Options{}), &built)
	far := func(cameras int) string {
		return strings.Replace(Site("far", cameras), fmt.Sprintf("%q", Cluster), `"elsewhere"`, 1)
	}
	const never = "30m" // a poll must not be what finds it
	before := w.Repo.Commit(SiteFile("gate"), Site("gate", 1), SiteFile("far"), far(1))
	leader := w.reconcileBench("--lease", "2s", "--poll", never)
	leader.Synced(before, time.Minute)
	w.leads(replica{Process: leader})
	standby := w.reconcileBench("--lease", "2s", "--poll", never)
	standby.Wait("the standby answers with what the leader says", 15*time.Second, func(s status.Status) bool { return s.Commit == before })
	for i, p := range []*Process{standby, leader, standby} {
		after := w.Repo.Commit(SiteFile("gate"), Site("gate", 2+i), SiteFile("far"), far(2+i))
		began := time.Now()
		p.hook()
		leader.Synced(after, 20*time.Second)
		t.Logf("applied after %s", time.Since(began).Round(time.Millisecond))
		if pods := w.Pods(); len(pods) != 2+i {
			t.Errorf("there are Pods %v, want %d", pods, 2+i)
		}
		w.leads(replica{Process: leader})
	}
	s, err := leader.Status()
	if err != nil || len(s.Sites) != 1 || s.Sites[0].Name != "gate" {
		t.Errorf("its sites are %+v (%v), and another one is of another cluster", s.Sites, err)
	}
	if out, err := w.TryKubectl("get", "namespace", "camfleet-far"); err == nil || !strings.Contains(out, "NotFound") {
		t.Errorf("the site of another cluster: %v\n%s", err, out)
	}
}
