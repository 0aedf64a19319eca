package page

import (
	"net/http"
	"regexp"
)

// Kind is what a path of the page leads to.
type Kind int

const (
	// Missing: there is no such path.
	Missing Kind = iota
	// Front is /: the file Index of the page.
	Front
	// File is a file of the page, or its data: Name.
	File
	// Recording is a file of a camera's archive that never changes: a
	// segment, an initialization segment, a day file.
	Recording
	// State is a file of a camera's archive that changes: playlists,
	// status.json, index.json, a day's manifest.
	State
	// Live is for the camera's worker, with the path as it is.
	Live
)

// Route is a path taken apart.
type Route struct {
	Kind   Kind
	Site   string
	Camera string
	// Name is the file: of the page, or in the camera's folder, with
	// slashes; of a live path, what follows the camera.
	Name string
}

// Patterns of the paths. nginx.conf is made of them too, so they use only what
// Go's and Perl's regular expressions have in common, and need no escaping.
const (
	name  = `[a-z0-9][a-z0-9-]*`
	asset = `[A-Za-z0-9_][A-Za-z0-9_.-]*`
	date  = `[0-9]{4}-[0-9]{2}-[0-9]{2}`

	recording = date + `/[0-9]{2}/(?:[0-9]{1,16}\.m4s|init-[0-9A-Za-z]{1,64}\.mp4)|days/` + date + `\.mp4`
	playlist  = `live\.m3u8|` + date + `/[0-9]{2}\.m3u8`
	document  = `status\.json|index\.json|days/` + date + `\.json`
)

var (
	assetPath   = regexp.MustCompile(`^/assets/(` + asset + `)$`)
	archivePath = regexp.MustCompile(`^/archive/(` + name + `)/(` + name + `)/(?:(` + recording + `)|(` + playlist + `|` + document + `))$`)
	livePath    = regexp.MustCompile(`^/live/(` + name + `)/(` + name + `)/(` + asset + `)$`)
)

// Find takes a request's decoded path apart. It does not clean it: what is not
// written plainly (dot segments, doubled slashes, backslashes) is Missing.
func Find(path string) Route {
	if path == "/" {
		return Route{Kind: Front, Name: Index}
	}
	if m := assetPath.FindStringSubmatch(path); m != nil {
		return Route{Kind: File, Name: m[1]}
	}
	if m := livePath.FindStringSubmatch(path); m != nil {
		return Route{Kind: Live, Site: m[1], Camera: m[2], Name: m[3]}
	}
	switch m := archivePath.FindStringSubmatch(path); {
	case m == nil:
		return Route{}
	case m[3] != "":
		return Route{Kind: Recording, Site: m[1], Camera: m[2], Name: m[3]}
	default:
		return Route{Kind: State, Site: m[1], Camera: m[2], Name: m[4]}
	}
}

// Values of Cache-Control.
const (
	Immutable = "max-age=31536000, immutable"
	NoCache   = "no-cache"
)

// Security are the headers that every answer carries.
func Security() http.Header {
	h := http.Header{}
	for _, s := range security {
		h.Set(s.name, s.value)
	}
	return h
}

// security: video.js puts styles into the document, plays from blob: URLs and
// works in a blob: worker; everything else comes from this server only.
var security = []struct{ name, value string }{
	{"Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; " +
		"font-src 'self' data:; media-src 'self' blob:; connect-src 'self'; worker-src 'self' blob:; manifest-src 'self'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'self'"},
	{"X-Content-Type-Options", "nosniff"},
	{"Referrer-Policy", "no-referrer"},
	{"Cross-Origin-Resource-Policy", "same-origin"},
}

// Types are the media types of the archive's files, by extension.
func Types() map[string]string {
	return map[string]string{
		".m3u8": "application/vnd.apple.mpegurl",
		".m4s":  "video/iso.segment",
		".mp4":  "video/mp4",
		".json": "application/json",
	}
}
