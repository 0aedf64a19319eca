package fleettest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"camfleet.dev/hack/cptest"
	"camfleet.dev/reconciler/status"
)

// pinned is a site whose cameras wait for an edge that is not there: nothing but
// the reconciler touches their Pods.
func pinned(cameras map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(cameras)) {
		fmt.Fprintf(&b, "\t\t%s: {url: \"rtsp://192.0.2.1/%s\", edge: \"absent\"}\n", name, cameras[name])
	}
	return strings.Replace(SiteWith("gate", b.String()), "\tcameras: {",
		"\tedges: absent: {arch: \"amd64\", capacity: {cpu: \"4\", memory: \"8Gi\"}}\n\tcameras: {", 1)
}

// rollouts are two states of a small site. Between them, both ways, one camera is
// replaced, one is added, one is taken away, and one stays as it is.
var rollouts = []map[string]string{
	{"stays": "stays", "moves": "old", "even": "even"},
	{"stays": "stays", "moves": "new", "odd": "odd"},
}

// TestKilledAtEveryCall kills the reconciler before and after every call that
// changes something, starts it again, and looks at what came of it.
func TestKilledAtEveryCall(t *testing.T) {
	t.Parallel()
	w := New(t, cptest.Start(t, cptest.Options{}), &built)
	proxy := w.NewProxy()
	w.Kubeconfig = proxy.Kubeconfig
	c := crashes{World: w, proxy: proxy}
	c.start().Synced(w.Repo.Commit(SiteFile("gate"), pinned(rollouts[0])), time.Minute)
	c.newest.Kill()
	for _, when := range []string{"before", "after"} {
		for call := 0; c.killed(when, call); call++ {
		}
	}
	if c.kills < 20 {
		t.Errorf("only %d kills: a rollout of three cameras has more calls", c.kills)
	}
	t.Logf("%d kills", c.kills)
}

type crashes struct {
	*World
	proxy  *Proxy
	state  int // index of the last rollout
	kills  int
	newest *Process
}

// killed rolls the other state out with a reconciler that is killed at a call, and
// tells whether there was such a call.
func (c *crashes) killed(when string, call int) bool {
	c.Helper()
	before := c.Pods()
	c.state = 1 - c.state
	var first *Process
	var mu sync.Mutex
	hit := false
	kill := func(n int, _ Request) {
		mu.Lock()
		defer mu.Unlock()
		if n == call && first != nil && !hit {
			hit = true
			first.Kill()
		}
	}
	if when == "before" {
		c.proxy.Reset(kill, nil, nil)
	} else {
		c.proxy.Reset(nil, kill, nil)
	}
	mu.Lock()
	first = c.start()
	mu.Unlock()
	commit := c.Repo.Commit(SiteFile("gate"), pinned(rollouts[c.state]))
	c.Eventually("the first reconciler is killed, or done", time.Minute, func() error {
		if first.Ended() {
			return nil
		}
		if s, err := first.Status(); err != nil || s.Commit != commit || s.State != status.Synced {
			return fmt.Errorf("it is %s at %s: %w", s.State, s.Commit, err)
		}
		return nil
	})
	if first.Ended() {
		c.kills++
		c.start().Synced(commit, time.Minute)
	}
	c.check(fmt.Sprintf("killed %s call %d", when, call), before)
	c.newest.Kill()
	if c.Failed() {
		c.Fatalf("killed %s call %d: what followed is not looked at; the requests: %s", when, call, c.proxy.Requests())
	}
	return hit
}

// start starts a reconciler that polls as fast as it may.
func (c *crashes) start() *Process {
	c.newest = c.Reconcile("--lease", "2s", "--poll", "200ms")
	return c.newest
}

// check looks at the world after a crash and a restart.
func (c *crashes) check(what string, before map[string]Object) {
	c.Helper()
	after := c.Pods()
	wanted := rollouts[c.state]
	if len(after) != len(wanted) {
		c.Errorf("%s: there are Pods %v, want %v", what, slices.Sorted(maps.Keys(after)), wanted)
	}
	objects := c.List("configmaps,cronjobs,networkpolicies")
	for _, o := range objects {
		if camera := o.Metadata.Labels["camfleet.dev/camera"]; camera != "" && wanted[camera] == "" {
			c.Errorf("%s: %s is an orphan", what, o.ID())
		}
	}
	const stays, moves = "camfleet-gate/camera-stays", "camfleet-gate/camera-moves"
	if after[stays].Metadata.UID != before[stays].Metadata.UID {
		c.Errorf("%s: the camera that stays has another Pod", what)
	}
	if after[moves].Metadata.UID == before[moves].Metadata.UID {
		c.Errorf("%s: the camera that moves has the same Pod", what)
	}
	var made []string
	for _, r := range c.proxy.Requests() {
		if r.Path == "/api/v1/namespaces/camfleet-gate/pods/camera-moves" && r.Method == http.MethodPatch {
			made = append(made, r.String())
		}
	}
	if len(made) > 2 { // one whose answer was lost may be asked again
		c.Errorf("%s: its Pod was made %d times: %s", what, len(made), made)
	}
}
