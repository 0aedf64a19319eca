package cluster

import (
	"fmt"
	"strings"

	"camfleet.dev/compiler/object"
)

// stranger says whose an object is that is not this fleet's, and what to do.
// Deleting it is no advice for what holds recordings.
func (t taker) stranger(e *entry, labels map[string]string) error {
	id, fleet, by := e.live.ID, labels[object.LabelFleet], labels[object.LabelManagedBy]
	namespace := id.Kind == "Namespace"
	rename, nothing := "rename one of them", ""
	if namespace {
		rename, nothing = "rename the folder of one of the sites", ", and nothing is put into it"
	}
	switch {
	case namespace && t.renamed(labels):
		return fmt.Errorf("the uid in fleet.cue (%s) is not the one that this namespace has (%s): put it back; "+
			"or, if the new one is meant, label this namespace and all that is in it: %s", t.watch.fleet, fleet, t.label(id))
	case fleet != "" && fleet != t.watch.fleet: // whose manager is called camfleet, too
		return fmt.Errorf("it is of the fleet with the uid %s%s: %s; or, if somebody has changed its label %s, put that back",
			fleet, nothing, rename, object.LabelFleet)
	case e.ours:
		return fmt.Errorf("somebody has changed its label %s or %s, so that it counts as somebody else's%s: put them back: %s",
			object.LabelManagedBy, object.LabelFleet, nothing, t.label(id))
	}
	whose := ""
	if by != "" {
		whose = " (its label says that it is managed by " + by + ")"
	}
	if namespace {
		return fmt.Errorf("somebody else has a namespace of this name%s%s: %s", whose, nothing, t.handOver(id))
	}
	return fmt.Errorf("somebody else's object has this name%s: rename one of them, or delete the other one if nobody needs it", whose)
}

// renamed tells whether a namespace seems to be of this very fleet, under
// another uid: it is of the same site, and there is none of the new uid yet.
func (t taker) renamed(labels map[string]string) bool {
	if labels[object.LabelManagedBy] != object.ManagedBy || labels[object.LabelFleet] == "" || labels[object.LabelFleet] == t.watch.fleet ||
		labels[object.LabelSite] == "" || labels[object.LabelSite] != t.step.Want.Site {
		return false
	}
	for _, e := range t.watch.all() {
		if e.live.Kind == "Namespace" {
			return false
		}
	}
	return true
}

// handOver is what to do about a namespace that is nobody's fleet's.
func (t taker) handOver(namespace object.ID) string {
	return "rename the site's folder, or give the namespace to this fleet: " + t.label(namespace)
}

// label is the command that makes an object this fleet's.
func (t taker) label(id object.ID) string {
	where := ""
	if id.Namespace != "" {
		where = "-n " + id.Namespace + " "
	}
	return fmt.Sprintf("kubectl %slabel %s %s --overwrite %s=%s %s=%s", where, strings.ToLower(id.Kind), id.Name,
		object.LabelManagedBy, object.ManagedBy, object.LabelFleet, t.watch.fleet)
}
