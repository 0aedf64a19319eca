package schema

// Camera is an RTSP source at a site.
type Camera struct {
	Description string               `json:"description,omitempty"`
	URL         string               `json:"url"` // rtsp:// or rtsps://, never with userinfo
	Credentials *SecretRef           `json:"credentials,omitempty"`
	Transport   string               `json:"transport"` // tcp or udp
	Edge        string               `json:"edge,omitempty"`
	Location    *Location            `json:"location,omitempty"`
	Neighbours  map[string]Neighbour `json:"neighbours,omitempty"` // "camera" or "site/camera"
	Recording   Recording            `json:"recording"`
	Live        Live                 `json:"live"`
	Bitrate     Bitrate              `json:"bitrate"` // expected
	Resources   *Resources           `json:"resources,omitempty"`
	Packages    map[string]Wanted    `json:"packages,omitempty"`
	Disabled    bool                 `json:"disabled,omitempty"`
}

// Neighbour is a camera that somebody leaving this one is likely to reach.
type Neighbour struct {
	Travel *Duration `json:"travel,omitempty"`
}

// Recording says what is kept of a camera, and how long.
type Recording struct {
	Enabled   bool      `json:"enabled"`
	Segment   Duration  `json:"segment"`
	Retention Retention `json:"retention"`
	Days      Days      `json:"days"`
}

// Days are the day files, with a retention of their own.
type Days struct {
	Enabled   bool      `json:"enabled"`
	Retention Retention `json:"retention"`
}

// Retention drops what is older than Age, and the oldest beyond Bytes (0: no such limit).
type Retention struct {
	Age   Duration `json:"age"`
	Bytes Size     `json:"bytes,omitempty"`
}

// Live is how a camera is watched: low is LL-HLS, standard is plain HLS.
type Live struct {
	Latency string `json:"latency"`
}

// Resources are a worker's requests, as Kubernetes quantities.
type Resources struct {
	CPU    string `json:"cpu,omitempty"`
	Memory string `json:"memory,omitempty"`
}

// Wanted is an AI package that a camera asks for.
type Wanted struct {
	Variant string  `json:"variant,omitempty"`
	FPS     float64 `json:"fps,omitempty"`
}
