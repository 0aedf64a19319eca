package schema

// Fleet is everything in one Git repository (fleet.cue).
type Fleet struct {
	Name string `json:"name"`
	// UID is written by `camfleet init` and never changes: it is what marks
	// objects in a cluster as this fleet's own.
	UID    string  `json:"uid"`
	Policy *Policy `json:"policy,omitempty"`
}

// Policy holds the fleet-wide limits of replacing cameras, and of placement (used from issue 4 on).
type Policy struct {
	// ReplaceAtOnce is the share (0..1) of a site's and of a node's cameras
	// that may be dark at once while they are restarted for a change; one
	// always may. A fleet without a policy has none: 0.
	ReplaceAtOnce float64 `json:"replaceAtOnce"`
	// Enter and Leave are the load fractions (0..1) at which a node counts
	// as overloaded, and as relieved again.
	Enter float64 `json:"enter"`
	Leave float64 `json:"leave"`
	// MaxMoves bounds the moves of one planning cycle.
	MaxMoves int `json:"maxMoves"`
	// MinResidence is how long a task stays before load may move it again.
	MinResidence Duration `json:"minResidence"`
	Freeze       []Window `json:"freeze,omitempty"`
}

// Window is a weekly time span in a site's time zone, such as "22:00" to "06:00".
type Window struct {
	Days []string `json:"days,omitempty"` // mon … sun; empty means every day
	From string   `json:"from"`           // hh:mm
	To   string   `json:"to"`             // hh:mm, may be earlier than From: over midnight
}

// Cluster is a Kubernetes cluster; each has its own reconciler.
type Cluster struct {
	Description string    `json:"description,omitempty"`
	Images      Images    `json:"images"`
	Registry    *Registry `json:"registry,omitempty"`
}

// Images are the two images that a site's Pods run.
type Images struct {
	Camfleet string `json:"camfleet"`
	Nginx    string `json:"nginx"`
}

// Registry is a site's own image registry, for networks without internet.
type Registry struct {
	Host       string `json:"host"` // host[:port]
	Insecure   bool   `json:"insecure"`
	PullSecret string `json:"pullSecret,omitempty"`
}

// Site is a place with cameras: one CUE package under sites/<site>/. Its name
// is its folder's name.
type Site struct {
	Title    string            `json:"title,omitempty"`
	Cluster  string            `json:"cluster"`
	TimeZone string            `json:"timeZone"` // IANA name
	Location *Location         `json:"location,omitempty"`
	Storage  Storage           `json:"storage"`
	Page     *Page             `json:"page,omitempty"`
	Edges    map[string]Edge   `json:"edges,omitempty"`
	Cameras  map[string]Camera `json:"cameras,omitempty"`
}

// Storage is the claim that holds a site's recordings.
type Storage struct {
	Class      string `json:"class,omitempty"`
	Size       Size   `json:"size"`
	AccessMode string `json:"accessMode"` // ReadWriteMany or ReadWriteOnce
}

// Page is who may see a site's page, and where.
type Page struct {
	Auth      *SecretRef `json:"auth,omitempty"`      // a Secret with an htpasswd file under the key "auth"
	Host      string     `json:"host,omitempty"`      // of an Ingress
	TLSSecret string     `json:"tlsSecret,omitempty"` // of Host's certificate
}

// SecretRef names a Secret; its content is never in Git.
type SecretRef struct {
	Secret string `json:"secret"`
}

// Location is a place on earth (WGS 84, degrees) and, for a camera, where it looks.
type Location struct {
	Latitude    float64  `json:"latitude"`
	Longitude   float64  `json:"longitude"`
	Heading     *float64 `json:"heading,omitempty"`     // degrees clockwise from north
	FieldOfView *float64 `json:"fieldOfView,omitempty"` // degrees, horizontal
}
