package schema

// Package is an AI package: an image, by digest, and its metadata.
type Package struct {
	Description string             `json:"description,omitempty"`
	Image       string             `json:"image"` // with @sha256:…
	Variants    map[string]Variant `json:"variants"`
	FPS         float64            `json:"fps"`
	EventTypes  []string           `json:"eventTypes,omitempty"`
	Stages      []Stage            `json:"stages,omitempty"`
	Priority    int                `json:"priority"`
	Warmup      Duration           `json:"warmup"`
	License     string             `json:"license,omitempty"`
}

// Variant is one way to run a package: a model for night, a smaller one for an edge.
type Variant struct {
	Arch       []string           `json:"arch"`
	Conditions []string           `json:"conditions,omitempty"` // day, night, rain, fog; empty means any
	Requests   Requests           `json:"requests"`
	Profile    map[string]Profile `json:"profile,omitempty"` // by device class, as measured
	Accuracy   []Accuracy         `json:"accuracy,omitempty"`
}

// Requests are what a task asks of a node.
type Requests struct {
	CPU         string       `json:"cpu"`
	Memory      string       `json:"memory"`
	Accelerator *Accelerator `json:"accelerator,omitempty"`
}

// Profile is what a task was measured to use on one device class at FPS.
type Profile struct {
	CPU         string  `json:"cpu"`
	Memory      string  `json:"memory"`
	Accelerator float64 `json:"accelerator,omitempty"` // share, 0..1
	FPS         float64 `json:"fps"`
}

// Accuracy is a measured result on a named data set.
type Accuracy struct {
	Dataset   string  `json:"dataset"`
	Condition string  `json:"condition,omitempty"`
	Value     float64 `json:"value"` // 0..1
}

// Stage is one part of a package that may run on another node than the next one.
type Stage struct {
	Name     string   `json:"name"`
	Requests Requests `json:"requests"`
	Output   Bitrate  `json:"output,omitempty"` // link to the next stage
}
