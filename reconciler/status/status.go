// Package status is what a reconciler says of itself: the answer of
// GET /api/v1/status, which the terminal, the page and programs read.
package status

import (
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
)

// State says in a word how the reconciler is doing.
type State string

// The states.
const (
	Starting State = "starting" // no commit was applied yet
	Synced   State = "synced"   // everything is as the commit says
	Broken   State = "broken"   // the commit has problems; what they touch is as it was
	Held     State = "held"     // changes wait for approval
	Waiting  State = "waiting"  // changes wait for their turn, for a node, or for other steps
	Failing  State = "failing"  // fetching, compiling or applying failed, and is tried again
	// Suspended: nothing is applied because somebody said so.
	Suspended State = "suspended"
	// Standby: another replica looks after the cluster.
	Standby State = "standby"
)

// States lists all states.
func States() []State {
	return []State{Starting, Synced, Broken, Held, Waiting, Failing, Suspended, Standby}
}

// Status is the answer of GET /api/v1/status.
type Status struct {
	// Commit is the newest commit that was compiled and applied, as far as
	// its problems and failures allow; "" before the first.
	Commit string `json:"commit"`
	// Time is when it was committed, by the committer's clock.
	Time     time.Time        `json:"time"`
	Cameras  []Camera         `json:"cameras"`  // sorted by site and name
	Problems []object.Problem `json:"problems"` // of Commit, sorted
	// Refused is a commit newer than Commit that is not taken at all, and why.
	Refused *Refused `json:"refused,omitempty"`

	State   State  `json:"state"`
	Subject string `json:"subject,omitempty"` // first line of the commit's message
	Source  string `json:"source,omitempty"`  // the repository, without credentials
	// Synced is when objects were last made equal to a commit.
	Synced time.Time `json:"synced,omitzero"`
	// Fetched is when the repository last answered, and FetchError why it did not since.
	Fetched    time.Time `json:"fetched,omitzero"`
	FetchError string    `json:"fetchError,omitempty"`
	// CompileError is a failure of the compiler itself, not of the commit.
	CompileError string `json:"compileError,omitempty"`
	// TargetError is why the target could not be read.
	TargetError string `json:"targetError,omitempty"`
	// Summary counts what the last sync did that changed anything, unchanged
	// objects too: "3 created, 240 unchanged".
	Summary string `json:"summary,omitempty"`
	// Changes are those of the last sync that changed anything, without what stayed the same (the first 1000).
	Changes []engine.Change `json:"changes,omitempty"`
	// Held is what waits for approval: deletions, and, of a rollout that stopped
	// because replaced cameras did not come back, what is left of it (Tried says
	// which). Failed is what is tried again.
	Held   []engine.Change `json:"held,omitempty"`
	Failed []engine.Change `json:"failed,omitempty"`
	// Warnings stop nothing: the compiler's, with their places, and the target's.
	Warnings []string `json:"warnings,omitempty"`
	Sites    []Site   `json:"sites,omitempty"`

	// Cluster is the name of the cluster that is looked after; "" on a host without one.
	Cluster string `json:"cluster,omitempty"`
	// Suspended is set while nothing is applied because somebody said so.
	Suspended *Suspension `json:"suspended,omitempty"`
	// Pending is the newest commit and what it changes, as long as it is on its
	// way, or would change, if it were not suspended.
	Pending *Pending `json:"pending,omitempty"`
	// Unverified is why the newest commit is not accepted as signed.
	Unverified string `json:"unverified,omitempty"`
	// Signer is the identity whose key signed Commit, where signatures are asked for.
	Signer string `json:"signer,omitempty"`
	// Waiting is what is put off: replacements that wait for their turn, and
	// healing after repeated failures.
	Waiting []engine.Change `json:"waiting,omitempty"`
	// Conditions sum up, in the manner of Kubernetes' own; sorted by Type.
	Conditions []Condition `json:"conditions,omitempty"`
	// Nodes are those that run cameras, or that an edge names; sorted by name.
	Nodes []Node `json:"nodes,omitempty"`
	// Health is what is not well, cameras apart: a day without its file, a
	// claim that is not bound, a page that does not answer. Sorted.
	Health []Health `json:"health,omitempty"`
}

// Refused is a commit that was not read: it holds what no commit may hold, such
// as a symbolic link. FetchError says the same in one sentence.
type Refused struct {
	Commit   string           `json:"commit,omitempty"`
	Problems []object.Problem `json:"problems"`
}

// Suspension says who stopped applying, and why.
type Suspension struct {
	Since  time.Time `json:"since"`
	Reason string    `json:"reason,omitempty"`
}

// Pending is what the newest commit changes that is not in Status.Commit yet:
// because it is being applied, or because applying is suspended. Then it says
// what would be healed, too.
type Pending struct {
	Commit   string           `json:"commit"`
	Time     time.Time        `json:"time"`
	Subject  string           `json:"subject,omitempty"`
	Summary  string           `json:"summary"`
	Changes  []engine.Change  `json:"changes,omitempty"` // the first 1000
	Problems []object.Problem `json:"problems,omitempty"`
}

// Condition is one aspect of how things are.
type Condition struct {
	Type    string    `json:"type"`   // Fetched, Verified, Compiled, Applied, Healthy
	Status  string    `json:"status"` // True, False or Unknown
	Reason  string    `json:"reason"` // one word, in CamelCase
	Message string    `json:"message,omitempty"`
	Since   time.Time `json:"since"` // of Status
}

// Node is a machine of the cluster, as far as cameras are concerned.
type Node struct {
	Name    string    `json:"name"`
	Ready   bool      `json:"ready"`
	Since   time.Time `json:"since,omitzero"`    // of Ready
	Drained bool      `json:"drained,omitempty"` // it takes no new Pods
	Missing bool      `json:"missing,omitempty"` // an edge names it, and the cluster has none of that name
	Cameras int       `json:"cameras"`           // that run on it or wait for it
	Message string    `json:"message,omitempty"`
}

// Health is one thing that is not well.
type Health struct {
	object.ID
	Site    string    `json:"site,omitempty"`
	Camera  string    `json:"camera,omitempty"`
	State   string    `json:"state"` // degraded or failed
	Since   time.Time `json:"since,omitzero"`
	Message string    `json:"message"`
}

// Site is a site of the newest commit.
type Site struct {
	Name    string `json:"name"`
	Broken  bool   `json:"broken,omitempty"` // it has problems and stays as it was
	Cameras int    `json:"cameras"`
}

// Camera is a camera that runs, as its archive tells.
type Camera struct {
	Site  string `json:"site"`
	Name  string `json:"name"`
	State string `json:"state"` // an archive.State
	// Since is when the state began, if that is known.
	Since time.Time `json:"since,omitzero"`
	// Live and LowLatency are the URLs of the plain and the low-latency
	// playlist, on the server that was asked; "" when there is none.
	Live       string `json:"live"`
	LowLatency string `json:"lowLatency"`
	Message    string `json:"message,omitempty"`
}
