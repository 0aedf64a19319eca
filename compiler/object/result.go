package object

import "camfleet.dev/schema"

// Site is a compiled site.
type Site struct {
	Name string `json:"name"`
	// Broken means that the site has problems: it has no objects in the
	// result, and what is live of it stays as it is.
	Broken bool `json:"broken,omitempty"`
	// Cameras are the names of its cameras, sorted; empty when broken.
	Cameras []string `json:"cameras,omitempty"`
}

// Result is a compiled commit. It depends on nothing but the commit's files.
type Result struct {
	Fleet schema.Fleet `json:"fleet"`
	// Broken means that the fleet as a whole could not be read (fleet.cue,
	// clusters/ …): every site stays as it is.
	Broken bool   `json:"broken,omitempty"`
	Sites  []Site `json:"sites"` // sorted by name
	// Elsewhere are the sites that another cluster has, if only one cluster's
	// were asked for, and its name.
	Elsewhere map[string]string `json:"elsewhere,omitempty"`
	Objects   []Object          `json:"objects"`  // sorted by ID
	Problems  []Problem         `json:"problems"` // sorted
	// Warnings do not stop anything: ReadWriteOnce puts a site on one node …
	Warnings []Problem `json:"warnings,omitempty"`
}
