package engine

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// turn is how long a replaced Pod may take to become ready before the next one
// goes: pulling an image and connecting to a camera takes some seconds.
const turn = time.Minute

// defaultAtOnce is the share of cameras that may be dark at once.
const defaultAtOnce = 0.1

// group is a site, a node or the whole cluster, as far as turns are concerned.
type group struct {
	name    string // "of site gate" or "on node n1"
	least   int    // that may be dark at once
	cameras int
	taken   int       // turns
	free    time.Time // when the first of them ends at the latest
	lost    []string  // cameras
}

// limit is how many cameras of the group may be dark at once.
func (g *group) limit(share float64) int {
	return max(g.least, int(share*float64(g.cameras)+1e-9)) // 0.29 × 100 is 28.999…
}

func (g *group) take(until time.Time) {
	g.taken++
	if g.free.IsZero() || until.Before(g.free) {
		g.free = until
	}
}

// pace makes replacements of Pods that are ready wait for their turn: only so
// many cameras of a site, of a node, and of the whole cluster (which may be a
// hundred sites of one camera) may be dark at once because of us. What is not
// ready needs no turn, for nothing is lost.
func (p *planner) pace() {
	darkening := p.inTurn()
	if len(darkening) == 0 {
		return
	}
	groups := p.groups()
	share := p.share()
	for _, c := range darkening {
		site, node, all := groups[siteKey(c.Site)], groups[nodeKey(c.step.Live.Pod.Node)], groups[allKey]
		if why := cmp.Or(p.stopped(site, share), p.stopped(all, share)); why != "" {
			c.Action, c.Tried, c.Reason = Held, Replaced, why
			p.keepsConfig(c.ID, Held, why)
			continue
		}
		if g := busy(share, site, node, all); g != nil {
			p.wake(g.free)
			*c = c.wait(g.reason())
			c.turn = true
			p.keepsConfig(c.ID, Waiting, c.Reason)
			continue
		}
		for _, g := range []*group{site, node, all} {
			g.take(p.options.Now.Add(turn))
		}
	}
}

// darkens tells whether a change takes a camera away that records now.
func (c Change) darkens() bool {
	return c.Action == Replaced && !c.step.Fenced && c.step.Live != nil && isCamera(c.step.Live) && c.step.Live.Pod.Ready
}

func busy(share float64, groups ...*group) *group {
	for _, g := range groups {
		if g.taken >= g.limit(share) {
			return g
		}
	}
	return nil
}

func (g *group) reason() string {
	are := "are"
	if g.taken == 1 {
		are = "is"
	}
	return fmt.Sprintf("%d of %s %s %s being replaced; its turn comes", g.taken, count(g.cameras, "camera"), g.name, are)
}

// share is AtOnce, or what the fleet says, or the default.
func (p *planner) share() float64 {
	policy := 0.0
	if p.result.Fleet.Policy != nil {
		policy = p.result.Fleet.Policy.ReplaceAtOnce
	}
	return cmp.Or(p.options.AtOnce, policy, defaultAtOnce)
}

// allKey is the group of all cameras. Two of them may always be dark: more than
// one only where there is more than one site.
const allKey = ""

func siteKey(site string) string { return "of site " + site }
func nodeKey(node string) string { return "on node " + node }

// groups counts the cameras of sites and nodes, and the turns that are taken.
func (p *planner) groups() map[string]*group {
	groups := map[string]*group{allKey: {name: "of the fleet", least: 2}}
	get := func(key string) *group {
		if groups[key] == nil {
			groups[key] = &group{name: key, least: 1}
		}
		return groups[key]
	}
	for _, l := range p.live {
		if !isCamera(l) || p.want[l.ID] == nil && !p.kept(l.Site) {
			continue
		}
		node := nodeKey(l.Pod.Node)
		for _, key := range []string{siteKey(l.Site), node, allKey} {
			get(key).cameras++
		}
		until, taken := p.turn(l)
		if !taken {
			continue
		}
		if had, ok := p.options.Turns[l.ID]; ok { // it may move; the node is the one that it was taken from
			node = nodeKey(had.Node)
		}
		for _, key := range []string{siteKey(l.Site), node, allKey} {
			get(key).take(until)
		}
	}
	p.countMissing(get)
	for id := range p.options.Lost {
		if o := p.want[id]; o != nil {
			site, all := get(siteKey(o.Site)), groups[allKey]
			site.lost, all.lost = append(site.lost, o.Camera), append(all.lost, o.Site+"/"+o.Camera)
		}
	}
	return groups
}

// countMissing counts the cameras whose Pod is not there: they had one.
func (p *planner) countMissing(get func(string) *group) {
	for i := range p.changes {
		c := &p.changes[i]
		if !c.heal || c.step.Live != nil || c.Camera == "" {
			continue
		}
		keys := []string{siteKey(c.Site), allKey}
		for _, key := range keys {
			get(key).cameras++
		}
		until := p.options.Now.Add(turn)
		if had, known := p.options.Turns[c.ID]; known && !had.Free && had.Began.Add(turn).After(p.options.Now) {
			until = had.Began.Add(turn)
			keys = append(keys, nodeKey(had.Node))
		} else if c.Action != Created {
			continue
		}
		for _, key := range keys {
			get(key).take(until)
		}
	}
}

// turn tells whether a Pod takes a turn, and until when: it is young and not
// ready, or somebody takes it away.
func (p *planner) turn(l *Live) (until time.Time, taken bool) {
	had, known := p.options.Turns[l.ID]
	switch ending := !l.Pod.Ending.IsZero(); {
	case l.Pod.Ready && !ending, known && had.Free:
		return until, false
	case known:
		until = had.Began.Add(turn)
	case ending && l.Pod.NodeGone.IsZero():
		until = l.Pod.Ending.Add(turn)
	default:
		until = l.Pod.Created.Add(turn)
		if until.After(p.options.Now.Add(2 * turn)) {
			return until, false // a clock was set back, and its age is unknown: it must not hold the others up for as long
		}
	}
	return until, until.After(p.options.Now)
}

// maxNamed is how many cameras a reason names.
const maxNamed = 4

// stopped says why a rollout stops: too many of the cameras that the commit has
// replaced did not come back.
func (p *planner) stopped(g *group, share float64) string {
	if len(g.lost) <= g.limit(share) || p.options.Approved != "" && p.options.Approved == p.options.Commit {
		return ""
	}
	slices.Sort(g.lost)
	names := strings.Join(g.lost[:min(len(g.lost), maxNamed)], ", ")
	if more := len(g.lost) - maxNamed; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("%s %s that this commit has replaced did not come back (%s), so no more are replaced: fix the commit, or, %s",
		count(len(g.lost), "camera"), g.name, names, p.howToApprove())
}
