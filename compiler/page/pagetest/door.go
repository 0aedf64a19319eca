package pagetest

import (
	"encoding/base64"
	"net/http"
	"slices"
	"testing"
)

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// Status is what the server says to GET path by user ("" for a stranger).
func Status(t *testing.T, target Target, path, user, password string) int {
	t.Helper()
	r := request{path: path}
	if user != "" {
		r.header = "Authorization: " + basic(user, password)
	}
	resp, _ := r.ask(t, target.URL)
	return resp.StatusCode
}

// Doors are a path of each kind that a door must guard.
func Doors() []string {
	return []string{
		"/", "/assets/page.js", "/assets/fleet.json",
		archive + "live.m3u8", archive + "status.json", archive + segment, archive + dayFile,
		livePrefix + "index.m3u8", livePrefix + "index.m3u8?_HLS_msn=7",
	}
}

// Closed asks everything without a password, and with these words instead of
// one: the server shows nothing, and not what there is.
func Closed(t *testing.T, target Target, headers ...string) {
	refusing := []int{400, 401, 403, 404, 405, 500}
	for _, table := range [][]request{pageTable(), archiveTable(), hiddenTable(), traversalTable(), methodTable(), liveTable()} {
		for _, r := range table {
			if r.path == "/healthz" {
				continue
			}
			resp, body := request{method: r.method, path: r.path, header: r.header}.ask(t, target.URL)
			if !slices.Contains(refusing, resp.StatusCode) {
				t.Errorf("%s %s: a stranger gets %d\n%.200s", r.method, r.path, resp.StatusCode, body)
			}
		}
	}
	// Present or not: the same answer.
	for _, header := range append(headers, "") {
		for _, path := range append(Doors(), "/live/gate/none/index.m3u8", "/live/gate/dark/index.m3u8", "/archive/gate/none/live.m3u8", archive+"2026-11-22/04/7.m4s") {
			r := request{path: path, header: header, status: []int{http.StatusUnauthorized}, has: []string{`WWW-Authenticate: Basic realm=`}}
			r.check(t, target.URL)
		}
	}
	request{path: "/healthz", status: found}.check(t, target.URL)
}
