package schema

// Edge is a device at a site that can run workers and AI.
type Edge struct {
	Node         string        `json:"node,omitempty"` // Kubernetes Node; default: the edge's name
	Description  string        `json:"description,omitempty"`
	Address      string        `json:"address,omitempty"`
	Arch         string        `json:"arch"`
	Class        string        `json:"class,omitempty"` // device class of measured profiles
	Location     *Location     `json:"location,omitempty"`
	Capacity     Capacity      `json:"capacity"`
	Accelerators []Accelerator `json:"accelerators,omitempty"`
	Uplink       Bitrate       `json:"uplink,omitempty"`
	Lends        *Lends        `json:"lends,omitempty"`
	Reach        []string      `json:"reach,omitempty"` // sites besides its own
	Metrics      *MetricNames  `json:"metrics,omitempty"`
}

// Server is an analysis (VMS) server: bigger, further from the camera, shared by sites.
type Server struct {
	Node         string        `json:"node,omitempty"`
	Cluster      string        `json:"cluster"`
	Description  string        `json:"description,omitempty"`
	Address      string        `json:"address,omitempty"`
	Arch         string        `json:"arch"`
	Class        string        `json:"class,omitempty"`
	Capacity     Capacity      `json:"capacity"`
	Accelerators []Accelerator `json:"accelerators,omitempty"`
	Uplink       Bitrate       `json:"uplink,omitempty"`
	Reach        []string      `json:"reach,omitempty"` // sites; empty means all
	Metrics      *MetricNames  `json:"metrics,omitempty"`
}

// Capacity is what a node has, as Kubernetes quantities.
type Capacity struct {
	CPU    string `json:"cpu"`
	Memory string `json:"memory"`
}

// Accelerator is a GPU, NPU or TPU.
type Accelerator struct {
	Kind     string `json:"kind"`
	Memory   Size   `json:"memory,omitempty"`
	Sessions int    `json:"sessions,omitempty"` // decoder sessions
}

// Lends is the share (0..1) of a node that other edges' work may use.
type Lends struct {
	CPU         float64 `json:"cpu"`
	Memory      float64 `json:"memory"`
	Accelerator float64 `json:"accelerator"`
}

// MetricNames maps what placement reads to an exporter's metric names.
type MetricNames struct {
	CPU               string `json:"cpu,omitempty"`
	Memory            string `json:"memory,omitempty"`
	Accelerator       string `json:"accelerator,omitempty"`
	AcceleratorMemory string `json:"acceleratorMemory,omitempty"`
}
