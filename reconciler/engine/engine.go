// Package engine makes a cluster equal to a compiled commit. It holds the
// policy: what is created, configured, replaced, pruned, held or left alone.
//
//	object.Result ─┐
//	               ├─► Plan (pure) ─► ChangeSet ─► Applier ─► Cluster
//	Cluster.List ──┘
//
// The engine knows neither Git nor CUE, and not what a Cluster is made of: one
// machine (reconciler/host) or a Kubernetes API.
package engine

import (
	"context"
	"encoding/json"
	"time"

	"camfleet.dev/compiler/object"
)

// Cluster is where objects become real.
type Cluster interface {
	// List returns every object that carries managed-by=camfleet and the
	// label of this fleet's uid, and no other: not what controllers made from
	// our objects (a CronJob's Jobs), and not what placement made.
	List(ctx context.Context, fleet string) ([]Live, error)
	// Apply takes one step and returns when it is done for good: after a
	// crash, List shows the object either as it was or as the step made it.
	//
	// Created must fail when something of that ID exists that List does not
	// show: it is somebody else's. Deleted must touch nothing but Live (the
	// same UID, where the cluster has such a thing), and an object that is
	// already gone is no error.
	Apply(ctx context.Context, step Step) error
}

// Rehearser is what a Cluster may be besides: it can say whether it would take a
// new Pod, before what its old one runs with is changed.
type Rehearser interface {
	// Rehearse asks whether a Pod that is Replaced would be made, and changes
	// nothing. Any error keeps the old Pod.
	Rehearse(ctx context.Context, step Step) error
}

// Step is one effect on a cluster.
type Step struct {
	Action Action         // Created, Configured, Replaced or Deleted
	Want   *object.Object // nil for Deleted
	Live   *Live          // nil for Created
	// Fenced means that the node of a live Pod is gone for good: the Pod is
	// removed without waiting for a kubelet that will not answer.
	Fenced bool
	// Rehearsed means that Rehearse has just allowed it.
	Rehearsed bool
}

// ID is the object that the step is about.
func (s Step) ID() object.ID {
	if s.Want != nil {
		return s.Want.ID
	}
	return s.Live.ID
}

// Live is an object of this fleet as the cluster has it.
type Live struct {
	object.ID
	Site   string // from its labels, as are Camera and Role
	Camera string
	Role   string
	Hash   string // of its annotation camfleet.dev/hash
	UID    string // "" where the cluster has no such thing
	// Body holds the fields that camfleet applied, with the values they have
	// now, as JSON. Fields that others own (defaults, other managers, status)
	// are left out: they are not ours to compare.
	Body json.RawMessage
	// Keep means that somebody annotated it camfleet.dev/prune: disabled.
	Keep bool
	// Unapplied means that camfleet has never applied it: it only has the
	// fleet's labels. It may be taken over, and is nothing to delete.
	Unapplied bool
	// Pod is how a Pod of a cluster is; nil for other kinds, and on a host.
	Pod *Pod
}

// Pod is how a live Pod is, in Kubernetes' words.
type Pod struct {
	Phase    string // Pending, Running, Succeeded, Failed or Unknown
	Ready    bool
	Node     string    // "" until it is scheduled
	Created  time.Time // by the API server's clock
	Since    time.Time // of the Ready condition's last change
	Restarts int       // of its containers
	// Reason and Message say why it is not ready: Evicted, CrashLoopBackOff, Unschedulable …
	Reason, Message string
	// Ending is when it was asked to go, at the latest; zero if it was not.
	Ending time.Time
	// Finalizers hold it, when it was asked to go, until somebody takes them away.
	Finalizers []string
	// NodeGone is since when its node does not answer; zero if it does.
	NodeGone time.Time
}

// Action says what happens, or has happened, to an object.
type Action string

// The actions, in the order in which a summary names them.
const (
	Created    Action = "created"
	Configured Action = "configured" // changed in place
	Replaced   Action = "replaced"   // changed by a restart: a Pod made anew
	Deleted    Action = "deleted"
	Failed     Action = "failed"  // tried; it is as it was, and is tried again
	Held       Action = "held"    // it waits for approval: a deletion, or (Tried) a replacement
	Waiting    Action = "waiting" // put off: for its turn, a node, or after failures; it needs no approval
	Unchanged  Action = "unchanged"
)

// Actions lists all actions in the order of a summary.
func Actions() []Action {
	return []Action{Created, Configured, Replaced, Deleted, Failed, Held, Waiting, Unchanged}
}

// effect tells whether an action does something to the cluster.
func (a Action) effect() bool {
	switch a {
	case Created, Configured, Replaced, Deleted:
		return true
	}
	return false
}

// Change is what happens to one object, and why.
type Change struct {
	Action Action `json:"action"`
	// Tried is the action that failed, or that waits; empty otherwise, and for
	// a deletion that is Held.
	Tried Action `json:"tried,omitempty"`
	object.ID
	Site   string `json:"site,omitempty"`
	Camera string `json:"camera,omitempty"`
	// Reason says why, in plain words. It names fields, never their values.
	Reason string `json:"reason,omitempty"`
	// Source is the place in CUE that the object comes from; nil when the
	// commit has no such object.
	Source *object.Position `json:"source,omitempty"`

	step Step
	heal bool // nothing has changed in Git: it failed, or was taken away
	turn bool // it waits for its turn
}

// Step is the effect that the change stands for, and whether it has one.
func (c Change) Step() (Step, bool) { return c.step, c.Action.effect() }

// InTurn tells whether a change waits for its turn: others are replaced before it.
func (c Change) InTurn() bool { return c.turn }

// ChangeSet is what a commit changes. The log, the terminal, the status API
// and the tests all render this one value.
type ChangeSet struct {
	Commit  string   `json:"commit"`
	Changes []Change `json:"changes"` // sorted by ID
	// Base is how many cameras the cluster had, for the limit of pruning. As
	// long as something is held, it is what Options.Base of the next plan is.
	Base int `json:"-"`
	// Again is when to plan again although nothing has happened: something
	// waits for a time. Zero when nothing does.
	Again time.Time `json:"-"`
}
