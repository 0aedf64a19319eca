package engine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
	. "camfleet.dev/reconciler/engine/enginetest"
)

// history is a cluster over some hours: Pods start, fail, are evicted and
// drained, nodes go and come back, commits change cameras, the reconciler is
// killed and its calls fail. The engine plans and applies every few seconds.
type history struct {
	*testing.T
	seed    uint64
	rnd     *rand.Rand
	m       *Memory
	rollout engine.Rollout
	now     time.Time
	commit  int
	cameras []Camera
	result  *object.Result
	onNode  map[string]int       // cameras, when it was planned
	nodes   map[string]time.Time // since when each does not answer; zero if it does
	drained map[string]bool
	off     map[object.ID]bool // cameras that are switched off: their Pods run, and are not ready
	dark    map[object.ID]dark
	refused map[object.ID]bool // Pods, in this round
	stable  bool               // nothing happens any more
}

// dark is a camera that we have taken away while it recorded.
type dark struct {
	at         time.Time
	site, node string
}

func newHistory(t *testing.T, seed uint64) *history {
	h := &history{
		T: t, seed: seed, rnd: rand.New(rand.NewPCG(seed, 2)), m: &Memory{}, now: epoch(),
		nodes: map[string]time.Time{"n0": {}, "n1": {}, "n2": {}}, drained: map[string]bool{},
		off: map[object.ID]bool{}, dark: map[object.ID]dark{},
	}
	h.m.Clock = func() time.Time { return h.now }
	for _, site := range []string{"gate", "yard"} {
		for i := range 3 + h.rnd.IntN(12) {
			c := Camera{Site: site, Name: fmt.Sprintf("c%d", i)}
			if h.rnd.IntN(3) == 0 {
				c.Node = fmt.Sprintf("n%d", h.rnd.IntN(3))
			}
			h.cameras = append(h.cameras, c)
		}
	}
	return h
}

func (h *history) pods() []engine.Live {
	fail := h.m.Fail
	h.m.Fail = nil
	defer func() { h.m.Fail = fail }()
	live, err := h.m.List(context.Background(), Fleet)
	if err != nil {
		h.Fatal(err)
	}
	live = slices.DeleteFunc(live, func(l engine.Live) bool { return l.Pod == nil })
	slices.SortFunc(live, func(a, b engine.Live) int { return a.Compare(b.ID) })
	return live
}

func (h *history) camera(l engine.Live) Camera {
	for _, c := range h.cameras {
		if c.Site == l.Site && c.Name == l.Camera {
			return c
		}
	}
	return Camera{}
}

// tick lets some seconds go by: the scheduler, the kubelets and the node
// controller do their work.
func (h *history) tick() {
	h.now = h.now.Add(time.Duration(1+h.rnd.IntN(8)) * time.Second)
	for _, l := range h.pods() {
		p := *l.Pod
		since, known := h.nodes[p.Node]
		away := known && !since.IsZero()
		switch {
		case p.Node == "" && !p.Ending.IsZero():
			h.m.Remove(l.ID)
			continue
		case p.Node == "":
			p.Node = h.schedule(l)
		case away && h.now.Sub(since) > 40*time.Second:
			p.NodeGone, p.Ready = since.Add(40*time.Second), false
			if h.now.Sub(p.NodeGone) > time.Minute && p.Ending.IsZero() {
				p.Ending = h.now
			}
		case away:
		case !p.Ending.IsZero() && h.now.After(p.Ending):
			h.m.Remove(l.ID)
			continue
		default:
			p.NodeGone = time.Time{}
			if p.Phase == "Pending" && h.now.Sub(p.Created) > 3*time.Second {
				p.Phase = "Running"
			}
			p.Ready = p.Phase == "Running" && p.Ending.IsZero() && !h.off[l.ID] && h.now.Sub(p.Created) > 6*time.Second &&
				!strings.HasSuffix(l.Hash, "bad")
		}
		h.m.Edit(l.ID, func(live *engine.Live) { *live.Pod = p })
		if d, ok := h.dark[l.ID]; ok && p.Ready && d.at.Before(p.Created.Add(time.Second)) {
			delete(h.dark, l.ID)
		}
	}
}

func (h *history) schedule(l engine.Live) string {
	var fit []string
	for _, n := range []string{"n0", "n1", "n2"} {
		if pin := h.camera(l).Node; h.nodes[n].IsZero() && !h.drained[n] && (pin == "" || pin == n) {
			fit = append(fit, n)
		}
	}
	if len(fit) == 0 {
		return ""
	}
	return fit[h.rnd.IntN(len(fit))]
}

// happen lets something happen.
func (h *history) happen() {
	pods := h.pods()
	if len(pods) == 0 {
		return
	}
	l := pods[h.rnd.IntN(len(pods))]
	node := fmt.Sprintf("n%d", h.rnd.IntN(3))
	fail := func(reason string) func(*engine.Live) {
		return func(l *engine.Live) { l.Pod.Phase, l.Pod.Ready, l.Pod.Reason = "Failed", false, reason }
	}
	switch h.rnd.IntN(12) {
	case 0:
		h.m.Edit(l.ID, fail("Evicted"))
	case 1:
		h.m.Edit(l.ID, fail("OutOfcpu"))
	case 2:
		h.m.Remove(l.ID)
	case 3:
		h.m.Edit(l.ID, func(l *engine.Live) { l.Pod.Ending, l.Pod.Ready = h.now.Add(20*time.Second), false })
	case 4:
		h.nodes[node] = h.now
	case 5:
		h.nodes[node] = time.Time{}
	case 6:
		h.drained[node] = true
		for _, l := range pods {
			if l.Pod.Node == node {
				h.m.Edit(l.ID, func(l *engine.Live) { l.Pod.Ending, l.Pod.Ready = h.now.Add(20*time.Second), false })
			}
		}
	case 7:
		delete(h.drained, node)
	case 8, 9:
		h.change()
	case 10:
		h.off[l.ID] = !h.off[l.ID]
	case 11:
		h.rollout = engine.Rollout{} // the reconciler is killed
		for id, d := range h.dark {
			d.node = "" // where a Pod was before is forgotten
			h.dark[id] = d
		}
	}
}

// change commits something; now and then something that does not work.
func (h *history) change() {
	h.commit++
	h.result = nil
	how := fmt.Sprint(h.commit)
	if h.rnd.IntN(4) == 0 {
		how = "bad"
	}
	for i := range h.cameras {
		if h.rnd.IntN(2) == 0 {
			h.cameras[i].Restart = how
		}
	}
}

// Apply checks each step before it is taken.
func (h *history) Apply(ctx context.Context, step engine.Step) error {
	h.check(step)
	if id := step.ID(); id.Kind == "ConfigMap" && step.Action == engine.Configured && h.refused[podID(step.Want.Site, step.Want.Camera)] {
		h.Errorf("seed %d: %s is changed, and its Pod was refused", h.seed, id)
	}
	err := h.m.Apply(ctx, step)
	if step.Action == engine.Replaced && step.Live.Pod.Ready && !slices.ContainsFunc(h.pods(), func(l engine.Live) bool { return l.UID == step.Live.UID }) {
		h.dark[step.ID()] = dark{h.now, step.Live.Site, step.Live.Pod.Node}
	}
	return err
}

// Rehearse refuses a Pod now and then.
func (h *history) Rehearse(_ context.Context, step engine.Step) error {
	if !h.stable && h.rnd.IntN(8) == 0 {
		h.refused[step.ID()] = true
		return fmt.Errorf("%s is refused", step.ID())
	}
	return nil
}

func (h *history) List(ctx context.Context, fleet string) ([]engine.Live, error) {
	return h.m.List(ctx, fleet)
}

// check: a Pod is fenced only after its node was silent for long, and one that
// is pinned never; no more cameras are dark at once because of us than may be.
func (h *history) check(step engine.Step) {
	if step.ID().Kind != "Pod" || step.Action != engine.Replaced {
		return
	}
	pod := step.Live.Pod
	if step.Fenced && (h.now.Sub(pod.NodeGone) < 3*time.Minute || pod.Ending.IsZero() || h.camera(*step.Live).Node != "") {
		h.Errorf("seed %d: %s is fenced: %+v", h.seed, step.ID(), *pod)
	}
	if !pod.Ending.IsZero() && !step.Fenced {
		h.Errorf("seed %d: %s is replaced while it ends: %+v", h.seed, step.ID(), *pod)
	}
	if !pod.Ready {
		return
	}
	site, node, inSite, all := 0, 0, 0, 0
	for _, d := range h.dark {
		if h.now.Sub(d.at) < time.Minute {
			all++
			site += one(d.site == step.Live.Site)
			node += one(d.node == pod.Node && d.node != "")
		}
	}
	onNode := h.onNode[pod.Node]
	for _, c := range h.cameras {
		inSite += one(c.Site == step.Live.Site)
	}
	if site >= max(1, inSite/5) || node >= max(1, onNode/5) || all >= max(2, len(h.cameras)/5) {
		h.Errorf("seed %d: %s is replaced although %d of %d of its site and %d of %d on its node are dark", h.seed, step.ID(), site, inSite, node, onNode)
		for _, l := range h.pods() {
			if d, ok := h.dark[l.ID]; ok && h.now.Sub(d.at) < time.Minute {
				h.Logf("%s is dark for %s: %+v", l.ID, h.now.Sub(d.at), *l.Pod)
			}
		}
	}
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// sync is one round of the loop.
func (h *history) sync(o engine.Options) engine.ChangeSet {
	if h.result == nil {
		h.result = Result(h.cameras)
	}
	h.m.Fail = func(int) Fault {
		if !h.stable && h.rnd.IntN(30) == 0 {
			return Fault(h.rnd.IntN(4))
		}
		return None
	}
	defer func() { h.m.Fail = nil }()
	h.onNode, h.refused = map[string]int{}, map[object.ID]bool{}
	for _, l := range h.pods() {
		h.onNode[l.Pod.Node]++
	}
	live, err := h.List(h.Context(), Fleet)
	if err != nil {
		return engine.ChangeSet{}
	}
	o.Commit, o.Now, o.AtOnce = fmt.Sprint(h.commit), h.now, 0.2
	set := engine.Applier{Cluster: h, Parallel: 1}.Apply(h.Context(), engine.Plan(h.result, live, h.rollout.Options(o, live)))
	h.rollout.Observe(set, h.now)
	return set
}

func (h *history) live() {
	for range 120 {
		h.tick()
		if h.rnd.IntN(3) == 0 {
			h.happen()
		}
		h.sync(engine.Options{})
	}
}

// settle: when nothing happens any more, all nodes are back, and the commit is
// right, everything becomes as it should be, in bounded time.
func (h *history) settle(nodes, approve bool) {
	h.stable = true
	clear(h.off)
	h.commit++
	h.result = nil
	for i := range h.cameras {
		h.cameras[i].Restart = "last"
	}
	if nodes {
		clear(h.drained)
		for n := range h.nodes {
			h.nodes[n] = time.Time{}
		}
	}
	var o engine.Options
	if approve {
		o.Approved = fmt.Sprint(h.commit)
	}
	var set engine.ChangeSet
	for range 250 {
		h.tick()
		set = h.sync(o)
	}
	for _, c := range set.Changed().Changes {
		since := time.Time{}
		if step := find(h.T, set, c.ID.String()); step.Action == engine.Waiting && !nodes {
			since = h.nodes[h.camera(engine.Live{Site: c.Site, Camera: c.Camera}).Node]
		}
		if since.IsZero() {
			h.Errorf("seed %d: it does not settle: %s", h.seed, c)
		}
	}
	for _, l := range h.pods() {
		pin := h.camera(l).Node
		stuck := !nodes && (pin != "" && (h.drained[pin] || !h.nodes[pin].IsZero()) || l.Pod.Node == "")
		if (l.Hash != "hlast" || !l.Pod.Ready) && !stuck {
			h.Errorf("seed %d: %s is %+v, with %s; nodes %v, drained %v", h.seed, l.ID, *l.Pod, l.Hash, h.nodes, h.drained)
		}
	}
}

func runHistory(t *testing.T, seed uint64) {
	t.Helper()
	h := newHistory(t, seed)
	h.live()
	h.settle(seed%2 == 0, seed%3 == 0)
}

func TestHistories(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			runHistory(t, seed)
		})
	}
}

func FuzzHistories(f *testing.F) {
	f.Add(uint64(0))
	f.Fuzz(runHistory)
}

// TestBadCommits: a commit whose cameras do not come back costs at most twice the
// share of each site, however long it stays; the fix brings all of them back.
func TestBadCommits(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		h := newHistory(t, seed)
		h.stable = true
		for range 5 {
			h.tick()
			h.sync(engine.Options{})
		}
		h.commit, h.result = 1, nil
		for i := range h.cameras {
			h.cameras[i].Restart = "bad"
		}
		var set engine.ChangeSet
		for range 150 {
			h.tick()
			set = h.sync(engine.Options{})
		}
		dark, all := map[string]int{}, map[string]int{}
		for _, l := range h.pods() {
			dark[l.Site] += one(!l.Pod.Ready)
			all[l.Site]++
		}
		for site, n := range all {
			if limit := max(1, n/5); dark[site] > 2*limit {
				t.Errorf("seed %d: %d of %d cameras of %s are lost", seed, dark[site], n, site)
			}
		}
		if len(set.Of(engine.Held)) == 0 {
			t.Errorf("seed %d: nothing is held: %s", seed, set.Summary())
		}
		h.settle(true, false)
	}
}
