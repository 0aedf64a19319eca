package page

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"

	"camfleet.dev/schema"
)

// Fleet is fleet.json, what the page knows: in a cluster of one site, on a
// host of all of its sites (Merge).
type Fleet struct {
	Fleet string `json:"fleet"`
	Sites []Site `json:"sites"`
}

// Site is a site as the page shows it.
type Site struct {
	Name     string   `json:"name"`
	Title    string   `json:"title,omitempty"`
	TimeZone string   `json:"timeZone"`
	Cameras  []Camera `json:"cameras"`
}

// Camera is a camera as the page shows it: nothing in it is secret, and its
// URL is not in it.
type Camera struct {
	Name           string           `json:"name"`
	Description    string           `json:"description,omitempty"`
	Latency        string           `json:"latency"` // low or standard
	Recording      bool             `json:"recording"`
	SegmentSeconds float64          `json:"segmentSeconds"`
	Days           bool             `json:"days"`
	Location       *schema.Location `json:"location,omitempty"`
}

// NewSite is a site's part of fleet.json; its cameras are sorted by name.
func NewSite(name string, s schema.Site) Site {
	out := Site{Name: name, Title: s.Title, TimeZone: s.TimeZone, Cameras: []Camera{}}
	for _, camera := range slices.Sorted(maps.Keys(s.Cameras)) {
		c := s.Cameras[camera]
		out.Cameras = append(out.Cameras, Camera{
			Name: camera, Description: c.Description, Latency: c.Live.Latency,
			Recording: c.Recording.Enabled, SegmentSeconds: c.Recording.Segment.Std().Seconds(),
			Days: c.Recording.Enabled && c.Recording.Days.Enabled, Location: c.Location,
		})
	}
	return out
}

// JSON is fleet.json.
func (f Fleet) JSON() ([]byte, error) { return json.Marshal(f) }

// Merge puts the sites of several pages onto one, sorted by name. The first
// page that has a site decides.
func Merge(pages ...Fleet) Fleet {
	out := Fleet{Sites: []Site{}}
	seen := map[string]bool{}
	for _, p := range pages {
		if out.Fleet == "" {
			out.Fleet = p.Fleet
		}
		for _, s := range p.Sites {
			if !seen[s.Name] {
				seen[s.Name] = true
				out.Sites = append(out.Sites, s)
			}
		}
	}
	slices.SortFunc(out.Sites, func(a, b Site) int { return cmp.Compare(a.Name, b.Name) })
	return out
}
