package status

import (
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
)

// Cameras is the answer of GET /api/v1/cameras.
type Cameras struct {
	Cameras []Camera `json:"cameras"` // sorted by site and name
}

// Sites is the answer of GET /api/v1/sites.
type Sites struct {
	Commit string `json:"commit"`
	Sites  []Site `json:"sites"` // sorted by name
}

// Nodes is the answer of GET /api/v1/nodes.
type Nodes struct {
	Nodes  []Node   `json:"nodes"`  // sorted by name
	Health []Health `json:"health"` // what is not well, cameras and nodes apart
}

// Changes is the answer of GET /api/v1/changes.
type Changes struct {
	Commit  string          `json:"commit"`
	Time    time.Time       `json:"time"`
	Summary string          `json:"summary"`
	Changes []engine.Change `json:"changes"` // of the last sync that changed anything
	Held    []engine.Change `json:"held"`    // until somebody approves
	Waiting []engine.Change `json:"waiting"` // for a turn, a node or the next try
	Failed  []engine.Change `json:"failed"`
	Pending *Pending        `json:"pending,omitempty"` // while it is suspended
}

// Problems is the answer of GET /api/v1/problems.
type Problems struct {
	Commit   string           `json:"commit"`
	Problems []object.Problem `json:"problems"`
	Warnings []string         `json:"warnings"`
	Refused  *Refused         `json:"refused,omitempty"` // a newer commit
}

// CamerasOf is the part of a status that is about cameras.
func CamerasOf(s Status) Cameras { return Cameras{list(s.Cameras)} }

// SitesOf is the part of a status that is about sites.
func SitesOf(s Status) Sites { return Sites{s.Commit, list(s.Sites)} }

// NodesOf is the part of a status that is about nodes and what runs on them.
func NodesOf(s Status) Nodes { return Nodes{list(s.Nodes), list(s.Health)} }

// ChangesOf is the part of a status that is about changes.
func ChangesOf(s Status) Changes {
	return Changes{s.Commit, s.Time, s.Summary, list(s.Changes), list(s.Held), list(s.Waiting), list(s.Failed), s.Pending}
}

// ProblemsOf is the part of a status that is about what a commit gets wrong.
func ProblemsOf(s Status) Problems {
	return Problems{s.Commit, list(s.Problems), list(s.Warnings), s.Refused}
}

// list is never null in JSON.
func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}
