package fleettest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"camfleet.dev/hack/cptest"
	"camfleet.dev/reconciler/status"
)

// rollouts are two states of a small site. Between them, both ways, two cameras
// are replaced, one after the other, one is added, one is taken away, and one
// stays as it is.
var rollouts = []map[string]string{
	{"stays": "stays", "first": "old", "second": "old", "even": "even"},
	{"stays": "stays", "first": "new", "second": "new", "odd": "odd"},
}

// cameras are those of a rollout, one line each.
func cameras(rollout map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(rollout)) {
		fmt.Fprintf(&b, "\t\t%s: url: \"rtsp://192.0.2.1/%s/%s\"\n", name, name, rollout[name])
	}
	return b.String()
}

// TestKilledAtEveryCall kills the reconciler at every call that writes, starts
// it again, and looks at what came of it: before the call arrives, and once it
// is carried out and not answered yet. It is the whole life of a process, from
// taking the lease to the last word of its report, while Pods run, are replaced
// in turn, and end, at once or late.
//
// A call is what is asked of which object, and the how-manyth time. Of renewals
// of the lease, which go on for ever, it is one between any two calls that write
// a Pod: so the process dies while it waits for a Pod, too. The seventh time and
// so on of the same call is left out. So are calls that read: they change
// nothing, and what the process has read dies with it, so that dying there is
// dying after the last call that wrote.
func TestKilledAtEveryCall(t *testing.T) {
	t.Parallel()
	w := New(t, cptest.Start(t, cptest.Options{Nodes: 1}), &built)
	proxy := w.NewProxy()
	w.Kubeconfig = proxy.Kubeconfig
	c := crashes{World: w, proxy: proxy}
	first := c.start()
	first.Synced(c.commit(), time.Minute)
	c.Running(len(rollouts[0]), time.Minute)
	first.Kill()
	c.history = w.History("gate")
	for _, answered := range []bool{false, true} {
		c.known = map[string]bool{}
		for c.kill(answered) {
		}
		calls := slices.Sorted(maps.Keys(c.known))
		t.Logf("killed at %d calls (answered: %v):\n%s", len(calls), answered, strings.Join(calls, "\n"))
		for _, call := range []string{
			"PUT leases camfleet", "PATCH configmaps camfleet", "PATCH configmaps camfleet-status", "POST events",
			"POST pods", "DELETE pods camera-first", "PATCH pods camera-first", "DELETE pods camera-second", "PATCH pods camera-second",
			"PATCH pods camera-other", "DELETE pods camera-other", "PATCH configmaps camera-first", "DELETE configmaps camera-other",
		} {
			if !slices.ContainsFunc(calls, func(k string) bool { return strings.HasPrefix(k, call+", ") }) {
				t.Errorf("it was never killed at %s (answered: %v)", call, answered)
			}
		}
	}
}

// crashes are those of one world.
type crashes struct {
	*World
	proxy   *Proxy
	history *History
	state   int             // index of the last rollout
	kills   int             // so far
	pod     int             // of the reconciler
	known   map[string]bool // calls at which it was killed
}

// start starts a reconciler that polls as fast as it may, as one of two Pods.
func (c *crashes) start() *Process {
	c.PodName = fmt.Sprintf("camfleet-%d", c.pod)
	return c.Reconcile("--lease", "2s", "--poll", "200ms")
}

func (c *crashes) commit() string {
	return c.Repo.Commit(SiteFile("gate"), SiteWith("gate", cameras(rollouts[c.state])))
}

// kill rolls the other state out with a reconciler that is killed at the first
// call that is not known yet, and tells whether there was one.
func (c *crashes) kill(answered bool) bool {
	c.Helper()
	replaced, gone := []string{"camera-first", "camera-second"}, []string{"camera-even", "camera-odd"}[c.state]
	var late []string
	if answered {
		late = append(late, replaced[0], replaced[1], gone)
	}
	c.history.Begin(replaced, late...)
	c.state = 1 - c.state
	commit := c.commit()
	v := &victim{known: c.known, answered: answered, times: map[string]int{}}
	c.proxy.Reset()
	c.proxy.Each(v.hit)
	v.mu.Lock()
	v.Process = c.start()
	v.mu.Unlock()
	var done time.Time
	c.Eventually("the reconciler is killed, or has nothing more to say", time.Minute, func() error {
		s, err := v.Status()
		switch {
		case v.Ended():
			return nil
		case err != nil || s.Commit != commit || s.State != status.Synced:
			return fmt.Errorf("it is %s at %s: %w", s.State, s.Commit, err)
		case done.IsZero():
			done = time.Now()
		case time.Since(done) > lastWord:
			return nil
		}
		return errors.New("it is done, and may say so yet")
	})
	last := v.Process
	if v.Ended() {
		// The same Pod's container is started again; or, every other time, it
		// is the other Pod's turn, which waits for the lease to run out.
		if c.kills++; c.kills%2 == 0 {
			c.pod = 1 - c.pod
		}
		c.proxy.Each(nil)
		last = c.start()
		last.Synced(commit, time.Minute)
	}
	what := fmt.Sprintf("killed at %s (answered: %v)", v.at, answered)
	c.check(what, replaced)
	last.Kill()
	if c.Failed() {
		c.Fatalf("%s: what followed is not looked at; the requests: %s", what, c.proxy.Requests())
	}
	return v.at != ""
}

// lastWord is how long after a rollout its report comes at the latest.
const lastWord = 6 * time.Second

// victim is a reconciler that will be killed.
type victim struct {
	*Process
	known    map[string]bool
	answered bool

	mu    sync.Mutex
	times map[string]int // that a call was made
	pods  int            // calls that wrote a Pod
	at    string         // the call at which it was killed
}

func (v *victim) hit(r Request, answered bool) (lost bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.at != "" || answered != v.answered {
		return v.at != "" && !answered // what a dead process has sent may be lost, too
	}
	call := strings.NewReplacer("-even", "-other", "-odd", "-other").Replace(r.Call())
	v.times[call]++
	switch nth := fmt.Sprintf("%s, %d", call, v.times[call]); {
	case r.Lease():
		call = fmt.Sprintf("%s, after %d of Pods", call, v.pods)
	case v.times[call] <= repeats:
		call = nth
	default:
		return false
	}
	if strings.Contains(call, " pods") {
		v.pods++
	}
	if v.known[call] {
		return false
	}
	v.known[call], v.at = true, call
	v.Kill()
	return true
}

// repeats is how many of the same calls are looked at.
const repeats = 6

// check looks at the world after a crash and a restart.
func (c *crashes) check(what string, replaced []string) {
	c.Helper()
	wanted := rollouts[c.state]
	c.Running(len(wanted), time.Minute)
	for id := range c.Pods() {
		if camera := strings.TrimPrefix(id, "camfleet-gate/camera-"); wanted[camera] == "" {
			c.Errorf("%s: there is %s", what, id)
		}
	}
	for _, o := range c.List("configmaps,cronjobs,networkpolicies") {
		if camera := o.Metadata.Labels["camfleet.dev/camera"]; camera != "" && wanted[camera] == "" {
			c.Errorf("%s: %s is an orphan", what, o.ID())
		}
	}
	made := map[string]int{replaced[0]: 1, replaced[1]: 1, []string{"camera-even", "camera-odd"}[c.state]: 1}
	c.Eventually(what+": each camera has got the Pods that it should", 5*time.Second, func() error {
		if got := c.history.New(); !maps.Equal(got, made) {
			return fmt.Errorf("new Pods are %v, want %v; the requests: %s", got, made, c.proxy.Requests())
		}
		return nil
	})
	if worst := c.history.Worst(); len(worst) > 1 {
		c.Errorf("%s: %s were away at once, and are to be replaced in turn", what, worst)
	}
}
