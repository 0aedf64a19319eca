package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"camfleet.dev/compiler/object"
)

// Options are what a plan depends on besides what is wanted and what is live.
type Options struct {
	// Commit is what the result was compiled from.
	Commit string
	// Approved is the commit of which somebody approved what is held, or "".
	Approved string
	// ApproveWith is what approves a commit when its hash is put behind it;
	// "" means "camfleet approve".
	ApproveWith string
	// Base is the Base of the last change set that held something, if nothing
	// was resolved since, else 0. Without it, the cameras that a held commit
	// adds would raise the number that it may take away.
	Base int
	// Now is the time; it decides about Pods only (turns, nodes that are gone).
	Now time.Time
	// AtOnce is the share of a site's and of a node's cameras that may be dark
	// at once because they are replaced; 0 means 0.1. One always may.
	AtOnce float64
	// NotBefore puts the healing of objects off that failed again and again;
	// Heals says how often each was healed in vain.
	NotBefore map[object.ID]time.Time
	Heals     map[object.ID]int
	// PutOff are steps that failed, or that were taken again and again.
	PutOff map[Try]PutOff
	// Turns are Pods that were replaced and have not been ready since. Of one
	// that is not among them, its own age counts. A Rollout knows them, as it
	// does Lost, NotBefore and Heals.
	Turns map[object.ID]Turn
	// Lost are Pods that this commit replaced while they were ready, and that
	// have not become ready again since: too many of them stop the rollout.
	Lost map[object.ID]bool
	// Good are the objects of a broken site as they last were right, if they
	// are known: it is kept equal to them, and nothing of it is pruned. With a
	// broken fleet, that is every site, and the result's Fleet must be the one
	// that was right.
	Good map[string][]object.Object
}

// Plan decides what has to happen so that live becomes what result wants. It
// is pure: the same arguments give the same changes.
//
// A site that is broken keeps everything it has, and so does the whole fleet
// when the result is broken.
func Plan(result *object.Result, live []Live, o Options) ChangeSet {
	p := planner{
		result: result, options: o, broken: map[string]bool{},
		want: make(map[object.ID]*object.Object, len(result.Objects)), live: make(map[object.ID]*Live, len(live)),
	}
	for _, s := range result.Sites {
		if s.Broken {
			p.broken[s.Name] = true
		}
	}
	for i := range live {
		if _, twice := p.live[live[i].ID]; !twice {
			p.live[live[i].ID] = &live[i]
		}
	}
	p.wanted()
	base := p.prune(live)
	byID := func(a, b Change) int { return a.ID.Compare(b.ID) }
	if !slices.IsSortedFunc(p.changes, byID) { // a result is sorted already
		slices.SortStableFunc(p.changes, byID)
	}
	p.putOffs()
	p.pace()
	return ChangeSet{Commit: o.Commit, Changes: p.changes, Base: base, Again: p.again}
}

type planner struct {
	result  *object.Result
	options Options
	broken  map[string]bool // sites
	want    map[object.ID]*object.Object
	live    map[object.ID]*Live
	changes []Change
	again   time.Time
}

// kept tells whether a site must stay as it is. What belongs to no site stays
// as soon as any site is broken: that site may be why it was there.
func (p *planner) kept(site string) bool {
	return p.result.Broken || p.broken[site] || site == "" && len(p.broken) > 0
}

// wanted plans every object of the result, and of what was right before.
func (p *planner) wanted() {
	var order, twice []*object.Object
	add := func(o *object.Object) {
		if p.want[o.ID] != nil {
			twice = append(twice, o)
			return
		}
		p.want[o.ID] = o
		order = append(order, o)
	}
	for i := range p.result.Objects {
		if o := &p.result.Objects[i]; !p.result.Broken && !p.broken[o.Site] {
			add(o)
		}
	}
	for _, site := range slices.Sorted(maps.Keys(p.options.Good)) {
		good := p.options.Good[site]
		for i := range good {
			if good[i].Site == site && (p.result.Broken || p.broken[site]) {
				add(&good[i])
			}
		}
	}
	p.changes = make([]Change, 0, len(order))
	for _, o := range order {
		p.changes = append(p.changes, p.one(o))
	}
	for _, o := range twice {
		c := p.change(o, p.live[o.ID])
		c.Action, c.Tried = Failed, Created
		c.Reason = "the commit has two objects of this name, the other one is used: rename one of them"
		p.changes = append(p.changes, c)
	}
}

func (p *planner) change(want *object.Object, live *Live) Change {
	c := Change{step: Step{Want: want, Live: live}}
	if want != nil {
		c.ID, c.Site, c.Camera, c.Source = want.ID, want.Site, want.Camera, &want.Source
	} else {
		c.ID, c.Site, c.Camera = live.ID, live.Site, live.Camera
	}
	return c
}

// one decides about one wanted object.
func (p *planner) one(o *object.Object) Change {
	live := p.live[o.ID]
	c := p.change(o, live)
	if live != nil && live.Hash == o.Hash && bytes.Equal(live.Body, o.Body) && !ailing(live) {
		return c.as(Unchanged, "")
	}
	if why := owned(o.Body, p.result.Fleet.UID); why != "" {
		c = c.as(Created, why)
		if live != nil {
			c.Action = Configured
		}
		return c.failed()
	}
	if live == nil {
		return p.missing(c)
	}
	fields := changedFields(live.Body, o.Body)
	if ailing(live) {
		return p.ailing(c, fields)
	}
	switch {
	case o.Kind == "Pod" && o.Hash != live.Hash && p.strayed(c, fields):
		return c.as(Configured, "somebody has changed its "+object.AnnotationHash+", and nothing else: it goes on")
	case o.Kind == "Pod" && o.Hash != live.Hash:
		return p.putOff(c.as(Replaced, p.restartReason(o, fields)))
	case len(fields) > 0:
		return c.as(Configured, inPlace(o, fields))
	}
	return c.as(Unchanged, "") // the same, spelt differently
}

// isNew is why what Git has for the first time is created.
const isNew = "it is new"

// missing decides about an object that is not there. A Pod whose configuration
// is there is made again: it was deleted, or its creation did not succeed yet.
func (p *planner) missing(c Change) Change {
	if c.Kind != "Pod" || p.live[configOf(c.ID)] == nil {
		return c.as(Created, isNew)
	}
	c.heal = true
	return p.putOff(c.as(Created, "it is missing"))
}

// configOf is the ConfigMap of a camera's Pod.
func configOf(pod object.ID) object.ID {
	return object.ID{APIVersion: "v1", Kind: "ConfigMap", Namespace: pod.Namespace, Name: pod.Name}
}

// strayed tells whether a Pod is as the commit wants it, but for a hash that
// somebody else has written or taken away: it is not ours any more. A hash that
// is ours, and another one, is of a commit before this one, of which the camera's
// configuration may be changed already, and the Pod not made anew yet.
func (p *planner) strayed(c Change, fields []string) bool {
	want, live := c.step.Want, c.step.Live
	as := `"` + object.AnnotationHash + `":"` + live.Hash + `"` // without reading all the JSON of all Pods
	if live.Hash != "" && bytes.Contains(live.Body, []byte(as)) || annotation(live.Body, object.AnnotationHash) != "" {
		return false
	}
	if slices.ContainsFunc(fields, func(f string) bool { return !strings.HasPrefix(f, "metadata.") }) {
		return false
	}
	config := configOf(want.ID)
	is, has := p.live[config], p.want[config]
	return is == nil || has == nil || len(restarting(changedFields(is.Body, has.Body))) == 0
}

// annotation is what an object says, or "".
func annotation(body json.RawMessage, name string) string {
	var o struct {
		Metadata struct {
			Annotations map[string]string `json:"annotations"`
		} `json:"metadata"`
	}
	if json.Unmarshal(body, &o) != nil {
		return ""
	}
	return o.Metadata.Annotations[name]
}

// restartReason names what needs a restart: fields of the Pod, or else of the
// ConfigMap of the same name, which the Pod's hash covers too.
func (p *planner) restartReason(o *object.Object, fields []string) string {
	hash := fieldName("metadata.annotations", object.AnnotationHash)
	fields = slices.DeleteFunc(fields, func(f string) bool { return f == hash })
	config := configOf(o.ID)
	if want, live := p.want[config], p.live[config]; want != nil && live != nil {
		fields = append(fields, restarting(changedFields(live.Body, want.Body))...)
	}
	if len(fields) == 0 {
		return "it needs a restart: " + object.AnnotationHash + " changed"
	}
	return "it needs a restart: " + sentence(fields)
}

// restarting keeps the fields of camera.json that the Pod's hash is made of:
// the others are read again by the running worker.
func restarting(fields []string) []string {
	return slices.DeleteFunc(fields, func(f string) bool {
		return !slices.ContainsFunc([]string{".url", ".transport", ".credentials"}, func(end string) bool {
			return strings.HasSuffix(f, "]"+end)
		})
	})
}

func (c Change) as(a Action, reason string) Change {
	c.Action, c.Reason, c.step.Action = a, reason, a
	return c
}

// wait puts a change off.
func (c Change) wait(why string) Change {
	c.Action, c.Tried, c.Reason = Waiting, c.Action, why
	return c
}

// failed turns a change into one that was tried and failed.
func (c Change) failed() Change {
	c.Action, c.Tried = Failed, c.Action
	return c
}

// owned says why an object that we are about to write would not be ours: an
// overlay may have taken its labels away, and we would never find it again.
func owned(body json.RawMessage, fleet string) string {
	var o struct {
		Metadata struct {
			Labels map[string]string `json:"labels"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(body, &o); err != nil {
		return fmt.Sprintf("it is not an object: %v", err)
	}
	for _, l := range []struct{ label, want string }{{object.LabelManagedBy, object.ManagedBy}, {object.LabelFleet, fleet}} {
		if o.Metadata.Labels[l.label] != l.want {
			return fmt.Sprintf("its label %s must be %q: let the site's kustomization.yaml keep it", l.label, l.want)
		}
	}
	return ""
}
