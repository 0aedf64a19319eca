package pagetest

import (
	"net/http"
	"strings"
)

const (
	archive  = "/archive/" + Site + "/" + North + "/"
	noCache  = "Cache-Control: no-cache"
	forEver  = "Cache-Control: max-age=31536000, immutable"
	ranges   = "Accept-Ranges: bytes"
	jsonType = "Content-Type: application/json"
	m3u8Type = "Content-Type: " + playlistType
	m4sType  = "Content-Type: video/iso.segment"
	mp4Type  = "Content-Type: video/mp4"
)

var (
	found   = []int{http.StatusOK}
	partial = []int{http.StatusPartialContent}
	missing = []int{http.StatusNotFound}
	// refused: which of these is a matter of taste, as long as nothing is served.
	refused = []int{http.StatusBadRequest, http.StatusNotFound}
)

func pageTable() []request {
	return []request{
		{name: "page", path: "/", status: found, has: []string{"Content-Type: text/html; charset=utf-8", noCache}},
		{name: "page head", method: "HEAD", path: "/", status: found, has: []string{"Content-Type: text/html"}},
		{name: "page with a query", path: "/?camera=north", status: found},
		{name: "data", path: "/assets/fleet.json", status: found, has: []string{jsonType, noCache}},
		{name: "script", path: "/assets/page.js", status: found, has: []string{"Content-Type: text/javascript; charset=utf-8", noCache}},
		{name: "no such asset", path: "/assets/none.js", status: missing, has: []string{noCache}},
		{name: "no listing of assets", path: "/assets/", status: missing},
		{name: "assets without a slash", path: "/assets", status: missing},
		{name: "not the server's own files", path: "/assets/nginx.conf", status: missing},
		{name: "not a camera's mark", path: "/assets/camera.north", status: missing},
		{name: "no such path", path: "/none", status: missing},
		{name: "healthy", path: "/healthz", status: found},
	}
}

func archiveTable() []request {
	return []request{
		{name: "live playlist", path: archive + "live.m3u8", status: found, has: []string{m3u8Type, noCache}, body: livePlaylist},
		{name: "live playlist with a query", path: archive + "live.m3u8?t=1", status: found, body: livePlaylist},
		{name: "hour's playlist", path: archive + hour + ".m3u8", status: found, has: []string{m3u8Type, noCache}},
		{name: "status", path: archive + "status.json", status: found, has: []string{jsonType, noCache}, body: `{"state":"live"}`},
		{name: "index", path: archive + "index.json", status: found, has: []string{jsonType, noCache}},
		{name: "manifest", path: archive + "days/2026-11-22.json", status: found, has: []string{jsonType, noCache}},
		{name: "segment", path: archive + segment, status: found, has: []string{m4sType, forEver, ranges}, body: segmentBytes},
		{name: "segment head", method: "HEAD", path: archive + segment, status: found, has: []string{m4sType, forEver, "Content-Length: 10000"}},
		{name: "initialization", path: archive + initial, status: found, has: []string{mp4Type, forEver}, body: "init"},
		{name: "day file", path: archive + dayFile, status: found, has: []string{mp4Type, forEver, ranges}, body: dayBytes},

		{name: "first bytes", path: archive + segment, header: "Range: bytes=0-3", status: partial, has: []string{"Content-Range: bytes 0-3/10000", forEver}, body: "0123"},
		{name: "middle", path: archive + segment, header: "Range: bytes=9990-9993", status: partial, has: []string{"Content-Range: bytes 9990-9993/10000"}, body: "0123"},
		{name: "last bytes", path: archive + segment, header: "Range: bytes=-2", status: partial, has: []string{"Content-Range: bytes 9998-9999/10000"}, body: "89"},
		{name: "to the end", path: archive + dayFile, header: "Range: bytes=49995-", status: partial, body: "fghij"},
		{name: "beyond the end", path: archive + segment, header: "Range: bytes=10000-", status: []int{416}, has: []string{"Content-Range: bytes */10000"}},
		{name: "beyond 4 GiB", path: archive + bigFile, header: "Range: bytes=5368709116-", status: partial, has: []string{"Content-Range: bytes 5368709116-5368709119/5368709120"}, body: "tail"},
		{name: "unchanged since", path: archive + segment, header: "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT", status: []int{304}, has: []string{forEver}},
	}
}

// hiddenTable is what is in the folder and is nobody's business, and what is not there.
func hiddenTable() []request {
	var out []request
	for _, path := range []string{
		"", "days", "days/", hour, hour + "/", "2026-11-22", "2026-11-22/",
		"session.lock", hour + "/journal.jsonl", hour + "/.1.m4s.tmp", hour + "/17953.m4s.part",
		"days/.2026-11-22.mp4", "status.json.tmp", ".hidden", "live.m3u8/", "live.m3u8/x", segment + "/",
		"none.m3u8", "2026-11-22/05.m3u8", hour + "/2.m4s", hour + "/init-ffff.mp4", "days/2026-11-20.mp4",
		"LIVE.M3U8", "live.m3u8%00", "live.m3u8%0a", "live.m3u8%20", "live.m3u8.", "live%2em3u8/x",
	} {
		out = append(out, request{name: "camera's " + path, path: archive + path, status: refused, lacks: "immutable"})
	}
	for _, path := range []string{
		"/archive", "/archive/", "/archive/gate", "/archive/gate/", "/archive/gate/north", "/archive/gate/none/live.m3u8",
		"/archive/none/north/live.m3u8", "/archive/gate/secret.json", "/archive/secret.json", "/archive/north/live.m3u8",
		"/archive/gate/dark/live.m3u8",
		"/live", "/live/", "/live/gate", "/live/gate/", "/live/gate/north", "/live/gate/north/",
		"/live/gate/none/index.m3u8", "/live/none/north/index.m3u8", "/live/gate/north/a/index.m3u8",
		"/live/gate/north/.hidden", "/live/gate/north/none.mp4", "/live/gate/NORTH/index.m3u8",
	} {
		out = append(out, request{name: path, path: path, status: missing})
	}
	// The link's target is in the archive, and would still be a way around the list.
	return append(out, request{name: "symbolic link", path: archive + hour + "/1.m4s", status: []int{403, 404}})
}

// traversalTable tries to climb out, in every spelling. A path that is cleaned
// by redirecting the client is harmless.
func traversalTable() []request {
	climbs := []string{
		"../secret.json", "../../secret.json", "../../../../../../../../etc/passwd", "../north/session.lock",
		"..%2fsecret.json", "%2e%2e/secret.json", "%2e%2e%2fsecret.json", "%2E%2E%2Fsecret.json", ".%2e/secret.json",
		"..%252fsecret.json", "%252e%252e%252fsecret.json", "%25%32%65%25%32%65/secret.json",
		`..\secret.json`, `..\..\secret.json`, "..%5csecret.json", "%2e%2e%5csecret.json", `days\..\..\secret.json`,
		"days/../../secret.json", "days/%2e%2e/%2e%2e/secret.json", "2026-11-22/../session.lock", "./session.lock",
		"//session.lock", "/../session.lock", "....//secret.json", "..;/secret.json", "%c0%ae%c0%ae/secret.json",
		"%e0%80%ae%e0%80%ae/secret.json", "..%00/secret.json", "days/..%c0%afsecret.json", "..%u2216secret.json",
		"live.m3u8/../session.lock", "live.m3u8/%2e%2e/session.lock", "%2fetc%2fpasswd", "/etc/passwd",
	}
	status := append([]int{301, 307, 308}, refused...)
	var out []request
	for _, base := range []string{archive, "/archive/gate/", "/archive/", "/assets/", "/live/gate/north/", "/"} {
		for _, climb := range climbs {
			if base == "/" && strings.HasPrefix(climb, "/") {
				continue // that is a host's name in a redirect, and tried below
			}
			out = append(out, request{name: base + climb, path: base + climb, status: status, lacks: "root:"})
		}
	}
	for _, path := range []string{"//etc/passwd", "/archive//gate/north/session.lock", "/..", "/../", "/%2e%2e/", "/.git/config", "/%", "/%zz", "/%2"} {
		out = append(out, request{name: path, path: path, status: status, lacks: "root:"})
	}
	return out
}

func methodTable() []request {
	var out []request
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "get"} {
		for _, path := range []string{"/", archive + "live.m3u8", archive + segment, "/live/gate/north/index.m3u8"} {
			out = append(out, request{
				name: method + " " + path, method: method, path: path, header: "Content-Length: 0", status: []int{400, 405},
			})
		}
	}
	return out
}

func liveTable() []request {
	const index = livePrefix + "index.m3u8"
	return []request{
		{name: "live index", path: index, status: found, has: []string{m3u8Type, "Cache-Control: no-store"}, body: "#EXTM3U\n# " + index + "\n"},
		{name: "live head", method: "HEAD", path: index, status: found, has: []string{m3u8Type}},
		{
			name: "live query", path: index + "?_HLS_msn=7&_HLS_part=2&x=%2F", status: found,
			body: "#EXTM3U\n# " + index + "?_HLS_msn=7&_HLS_part=2&x=%2F\n",
		},
		{name: "the worker's 404", path: livePrefix + "none.mp4", status: missing},
		{name: "no worker", path: "/live/gate/dark/index.m3u8", status: []int{502, 503, 504}},
	}
}
