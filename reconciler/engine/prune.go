package engine

import (
	"bytes"
	"cmp"
	"fmt"

	"camfleet.dev/compiler/object"
)

// camera names a camera in a fleet.
type camera struct{ site, name string }

// allowance is how many of a cluster's cameras may go away in one commit
// without anybody being asked: max(1, min(10, 20 %)).
func allowance(cameras int) int { return max(1, min(10, cameras/5)) }

// prune plans what is live and no longer wanted, and returns the number of
// cameras that its limit was computed from.
func (p *planner) prune(live []Live) int {
	var extra []*Live
	cameras := map[camera]bool{}
	for i := range live {
		l := &live[i]
		if l.Camera != "" && !l.Unapplied { // anybody can write labels
			cameras[camera{l.Site, l.Camera}] = true
		}
		if p.want[l.ID] == nil && p.live[l.ID] == l {
			extra = append(extra, l)
		}
	}
	base := len(cameras)
	if p.options.Base > 0 {
		base = min(base, p.options.Base)
	}
	if len(extra) == 0 {
		return base
	}
	kept := p.keepers(extra)
	hold := p.holds(live, extra, kept, base)
	for _, l := range extra {
		c := p.change(nil, l)
		switch {
		case p.kept(l.Site):
			c = c.as(Unchanged, broken(l))
		case permanent(l):
			c = c.as(Unchanged, p.notWanted(l)+", and stays: recordings are deleted by nobody but you")
		case kept.object(l):
			c = c.as(Unchanged, kept.why(l, p.notWanted(l)))
		default:
			c = c.as(Deleted, p.notWanted(l))
			if why := hold.reason(l); why != "" {
				c = c.as(Held, why+": "+p.howToApprove())
			}
		}
		p.changes = append(p.changes, c)
	}
	return base
}

// notWanted says why an object is not wanted any more.
func (p *planner) notWanted(l *Live) string {
	if other := p.result.Elsewhere[l.Site]; l.Site != "" && other != "" {
		return "its site is of cluster " + other + " now"
	}
	return "it is no longer in Git"
}

func (p *planner) howToApprove() string { return "if that is meant, type: " + p.approve() }

// approve is the command that approves the commit.
func (p *planner) approve() string {
	return cmp.Or(p.options.ApproveWith, "camfleet approve") + " " + p.options.Commit
}

// broken says why an object stays as it is while the commit is wrong about it.
func broken(l *Live) string {
	const stays = "the commit has errors here: it stays as it is"
	if isCamera(l) && l.Pod.ended() && l.Pod.Ending.IsZero() {
		return stays + ", although " + l.Pod.why() + "; it is made anew when the commit is right again"
	}
	return stays
}

// keeping is what people want to keep although Git has it no more, and why. A Pod
// cannot be kept without its configuration, which owns it; so a camera whose Pod
// is kept keeps all that it has. So does one whose ConfigMap is: a Pod's
// annotation is lost when it is evicted, and another Pod takes its place.
type keeping map[camera]string

func (p *planner) keepers(extra []*Live) keeping {
	k := keeping{}
	for _, l := range extra {
		if l.Camera == "" || !keep(l) {
			continue
		}
		id := camera{l.Site, l.Camera}
		switch config := p.live[configOf(l.ID)]; {
		case l.Kind == "ConfigMap" && l.Role == object.RoleCamera && !l.Unapplied:
			k[id] = "its camera's ConfigMap is kept, and with it the camera"
		case l.Kind == "Pod" && config != nil && !config.Unapplied && k[id] == "":
			// A Pod elsewhere that only has a camera's labels keeps nothing but itself.
			k[id] = "its camera's Pod is kept, and needs it"
		}
	}
	return k
}

func (k keeping) object(l *Live) bool {
	return keep(l) || l.Camera != "" && k[camera{l.Site, l.Camera}] != ""
}

// why says why an object that is kept is kept, although it is not wanted.
func (k keeping) why(l *Live, notWanted string) string {
	switch {
	case annotated(l):
		return notWanted + ", and stays: it is annotated " + object.AnnotationPrune + ": " + object.PruneDisabled
	case l.Unapplied:
		return "it is not in Git, and stays: it has the labels of this fleet, but camfleet has never applied it; whoever does not need it deletes it"
	}
	return notWanted + ", and stays: " + k[camera{l.Site, l.Camera}]
}

// keep tells whether an object is not ours to delete.
func keep(l *Live) bool { return l.Unapplied || annotated(l) }

// annotated tells whether pruning of an object is forbidden, by somebody in the
// cluster or by an overlay in a commit before this one.
func annotated(l *Live) bool {
	if l.Keep || !bytes.Contains(l.Body, []byte(object.AnnotationPrune)) {
		return l.Keep
	}
	return annotation(l.Body, object.AnnotationPrune) == object.PruneDisabled
}

// permanent tells whether an object is never pruned. A claim holds recordings,
// and deleting a namespace would delete the claim and what others keep there.
func permanent(l *Live) bool {
	return l.Kind == "PersistentVolumeClaim" || l.Kind == "Namespace" || l.Kind == "PersistentVolume"
}

// holds are the deletions of one commit that wait for approval.
type holds struct {
	sites   map[string]int    // sites that go away, and how many cameras each had
	cameras map[camera]bool   // cameras that go away, when they are too many
	why     string            // for cameras
	moved   map[string]string // sites that are of another cluster now
}

func (h holds) reason(l *Live) string {
	if n, gone := h.sites[l.Site]; gone {
		is := "no longer in Git"
		if other := h.moved[l.Site]; other != "" {
			is = "of cluster " + other + " now"
		}
		return fmt.Sprintf("the whole site %s (%s) is %s", l.Site, count(n, "camera"), is)
	}
	if h.cameras[camera{l.Site, l.Camera}] {
		return h.why
	}
	return ""
}

// holds compares the cameras that would go away with what one commit may take.
func (p *planner) holds(live []Live, extra []*Live, kept keeping, base int) holds {
	h := holds{sites: map[string]int{}, cameras: map[camera]bool{}, moved: p.result.Elsewhere}
	if p.options.Approved != "" && p.options.Approved == p.options.Commit {
		return h
	}
	for _, l := range extra {
		if l.Site != "" && !permanent(l) && !kept.object(l) && !p.kept(l.Site) && !p.inResult(l.Site) {
			h.sites[l.Site] = 0
		}
	}
	gone := p.gone(live, kept)
	for c := range gone {
		if n, whole := h.sites[c.site]; whole {
			h.sites[c.site] = n + 1
		}
	}
	if allowed := allowance(base); len(gone) > allowed {
		h.cameras = gone
		h.why = fmt.Sprintf("%d of %s would go away in one commit, more than %d", len(gone), count(base, "camera"), allowed)
	}
	return h
}

func (p *planner) inResult(site string) bool {
	for _, s := range p.result.Sites {
		if s.Name == site {
			return true
		}
	}
	return false
}

// gone are the cameras that go away: no object of theirs is wanted any more, or
// they have a Pod and shall have none.
func (p *planner) gone(live []Live, kept keeping) map[camera]bool {
	const pod, other = 1, 2
	has, wants := map[camera]int{}, map[camera]int{}
	bit := func(kind string) int {
		if kind == "Pod" {
			return pod
		}
		return other
	}
	for i := range live {
		if l := &live[i]; l.Camera != "" && !l.Unapplied {
			has[camera{l.Site, l.Camera}] |= bit(l.Kind)
		}
	}
	for _, o := range p.want {
		if o.Camera != "" {
			wants[camera{o.Site, o.Camera}] |= bit(o.Kind)
		}
	}
	gone := map[camera]bool{}
	for c := range has {
		if !p.kept(c.site) && kept[c] == "" && (wants[c] == 0 || has[c]&pod != 0 && wants[c]&pod == 0) {
			gone[c] = true
		}
	}
	return gone
}

// Waiting are the changes that are held.
func (s ChangeSet) Waiting() []Change { return s.Of(Held) }

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
