package schema

// WorkerCamera is camera.json: what one camera's worker needs to know. The
// compiler writes it into the camera's ConfigMap; the worker follows it.
//
// URL, Credentials and Transport (and what a Pod is made of) need a restart of
// the camera's connection when they change; everything else is read again by
// the running worker.
type WorkerCamera struct {
	Site        string    `json:"site"`
	Name        string    `json:"name"`
	TimeZone    string    `json:"timeZone"`
	URL         string    `json:"url"`
	Credentials string    `json:"credentials,omitempty"` // name of the Secret
	Transport   string    `json:"transport"`
	Recording   Recording `json:"recording"`
	Live        Live      `json:"live"`
	Bitrate     Bitrate   `json:"bitrate"`
	Disabled    bool      `json:"disabled,omitempty"`
}
