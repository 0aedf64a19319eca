package cluster

import (
	"time"

	"camfleet.dev/compiler/object"
)

// Observation is how the objects of a fleet, and the nodes they run on, are
// now, as far as health is concerned. It comes from caches; taking one costs
// no request. Each list is sorted by ID or name.
type Observation struct {
	// Known means that all kinds of the fleet that was listed have been seen
	// as a whole. Until then, what is not here may exist all the same.
	Known       bool
	Pods        []Pod
	CronJobs    []CronJob
	Claims      []Claim
	Deployments []Deployment
	// Nodes are all nodes of the cluster; nil when they may not be read, for
	// which Warnings has the reason.
	Nodes []Node
	// Warnings are what the cluster cannot tell, or leaves alone, and why.
	Warnings []string
}

// Thing names an object, by its ID and its labels.
type Thing struct {
	object.ID
	Site, Camera, Role string
}

// Pod is how a Pod is that camfleet applied: a camera's.
type Pod struct {
	Thing
	Phase    string // Pending, Running, Succeeded, Failed or Unknown
	Ready    bool
	Since    time.Time // of Ready; zero until the API server has told
	Created  time.Time
	Node     string // "" until it is scheduled
	IP       string // "" until it has one
	Restarts int
	// Reason and Message say why it is not ready: Unschedulable, Evicted,
	// ImagePullBackOff, CrashLoopBackOff …; empty when it is, or nobody says.
	Reason, Message string
	// Ending is when it must be gone, if it was asked to go.
	Ending time.Time
	// Finalizers keep it, when it was asked to go, until somebody takes them away.
	Finalizers []string
	// NodeGone is since when its node does not answer; zero if it does.
	NodeGone time.Time
	// Resize says why new CPU or memory has not arrived yet, such as
	// "Infeasible: …"; "" when nothing is pending.
	Resize string
}

// CronJob is how a CronJob is; the times are zero when there was none.
type CronJob struct {
	Thing
	Created  time.Time
	Schedule string
	TimeZone string // "" is the controller manager's own
	Suspend  bool
	Active   int       // Jobs that run now
	Last     time.Time // of the newest run's schedule
	Success  time.Time // of the newest end of a run that succeeded
}

// Claim is how a PersistentVolumeClaim is.
type Claim struct {
	Thing
	Created time.Time
	Phase   string // Pending, Bound or Lost
	// Wanted is spec.resources.requests.storage, Capacity status.capacity.storage ("" until bound): quantities.
	Wanted, Capacity string
	Class            string // "" is the cluster's default, until it is filled in
	// Resizing says what becomes of a change of its size, such as
	// "FileSystemResizePending; …"; "" when nothing is under way.
	Resizing string
}

// Deployment is how a Deployment is: the page's.
type Deployment struct {
	Thing
	Created            time.Time
	Desired, Available int
	Updated            int // of the newest template
	// Reason and Message are those of the condition that is not as it should
	// be (Available, Progressing, ReplicaFailure), and Since its time.
	Reason, Message string
	Since           time.Time
}

// Node is a machine of the cluster.
type Node struct {
	Name    string
	Ready   bool
	Since   time.Time // of Ready
	Drained bool      // it takes no new Pods: spec.unschedulable
	Message string    // of the Ready condition, when it is not
}
