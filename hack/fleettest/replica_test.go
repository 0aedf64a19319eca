package fleettest

import (
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"camfleet.dev/hack/cptest"
	"camfleet.dev/reconciler/status"
)

// pinned is a site whose cameras wait for an edge that is not there: nothing but
// the reconciler touches their Pods.
func pinned(rollout map[string]string) string {
	lines := regexp.MustCompile("(?m)(url: .*)$").ReplaceAllString(cameras(rollout), `{edge: "absent", $1}`)
	return strings.Replace(SiteWith("gate", lines), "\tcameras: {",
		"\tedges: absent: {arch: \"amd64\", capacity: {cpu: \"4\", memory: \"8Gi\"}}\n\tcameras: {", 1)
}

// replica is one of two reconcilers, with its own way to the API server.
type replica struct {
	*Process
	proxy *Proxy
}

func (w *World) replica() replica {
	w.Helper()
	proxy := w.NewProxy()
	direct := w.Kubeconfig
	w.Kubeconfig = proxy.Kubeconfig
	defer func() { w.Kubeconfig = direct }()
	return replica{w.Reconcile("--lease", "2s", "--poll", "200ms"), proxy}
}

// effects are what a replica asked for that changes the fleet.
func (r replica) effects() []Request {
	var out []Request
	for _, q := range r.proxy.Requests() {
		if q.Effect() {
			out = append(out, q)
		}
	}
	return out
}

// leads waits until a replica holds the lease.
func (w *World) leads(r replica) {
	w.Helper()
	w.Eventually("the replica leads", 30*time.Second, func() error {
		holder, err := w.TryKubectl("get", "lease", "-n", "camfleet-system", "camfleet", "-o", "jsonpath={.spec.holderIdentity}")
		if err != nil || !strings.HasSuffix(holder, fmt.Sprintf("-%d", r.PID())) {
			return fmt.Errorf("%s leads, want process %d: %w", holder, r.PID(), err)
		}
		return nil
	})
}

// TestTwoReplicas kills the leader, and hangs it: the other one goes on, and at
// no time do both write.
func TestTwoReplicas(t *testing.T) {
	t.Parallel()
	w := New(t, cptest.Start(t, cptest.Options{}), &built)
	first := w.replica()
	w.leads(first)
	second := w.replica()
	first.Synced(w.Repo.Commit(SiteFile("gate"), pinned(rollouts[0])), time.Minute)
	second.Wait("the standby answers with what the leader says", 15*time.Second, func(s status.Status) bool {
		return len(s.Sites) == 1 && s.Sites[0].Cameras == len(rollouts[0])
	})
	if e := second.effects(); len(e) > 0 {
		t.Errorf("the standby wrote: %s", e)
	}

	began := time.Now()
	first.Kill()
	second.Synced(w.Repo.Commit(SiteFile("gate"), pinned(rollouts[1])), time.Minute)
	t.Logf("the leader was killed: the next commit was applied after %s", time.Since(began).Round(100*time.Millisecond))

	third := w.replica()
	w.leads(second)
	if err := syscall.Kill(second.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	second.proxy.Reset()
	w.leads(third)
	third.Synced(w.Repo.Commit(SiteFile("gate"), pinned(rollouts[0])), time.Minute)
	w.Repo.Commit(SiteFile("gate"), pinned(map[string]string{"stays": "stays", "first": "again", "second": "old", "even": "even"}))
	if err := syscall.Kill(second.PID(), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	second.Wait("who was hung stands by", 30*time.Second, func(s status.Status) bool { return s.State != status.Starting })
	third.Wait("the newest commit is applied", time.Minute, func(s status.Status) bool {
		return s.Commit == w.Repo.Git("rev-parse", "HEAD") && s.State == status.Synced
	})
	w.Eventually("who was hung knows that it does not lead", 30*time.Second, func() error {
		if log := second.Log(); !strings.Contains(log, "standing by") {
			return fmt.Errorf("its log is %s", log)
		}
		return nil
	})
	if e := second.effects(); len(e) > 0 {
		t.Errorf("who was hung wrote when it went on, while another one led: %s", e)
	}
}
