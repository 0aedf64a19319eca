// Package fleettest runs the reconciler in front of a real API server, as its
// users do: a fleet in a repository on a Git server, `camfleet reconcile` as a
// process, kubectl to look at what came of it.
package fleettest

import (
	"fmt"
	"strings"
)

// UID is the uid of the fleets that are made here.
const UID = "0f5c8a61-9d5b-4c55-a5f4-7f5a52d90001"

// Cluster is the name of their cluster.
const Cluster = "seoul"

// Base are the files of a fleet without a site: path, content, path, content …
func Base() []string {
	return []string{
		"fleet.cue", fmt.Sprintf("package fleet\n\nimport \"camfleet.dev/schema\"\n\nfleet: schema.#Fleet & {\n\tname: \"test\"\n\tuid:  %q\n}\n", UID),
		"cue.mod/module.cue", "module: \"fleet.example\"\nlanguage: version: \"v0.12.0\"\n",
		"clusters/seoul.cue", `package clusters

import "camfleet.dev/schema"

clusters: schema.#Clusters & {
	seoul: images: {camfleet: "registry.example/camfleet:1", nginx: "registry.example/nginx:1"}
	elsewhere: images: {camfleet: "registry.example/camfleet:1", nginx: "registry.example/nginx:1"}
}
`,
	}
}

// SiteFile is where a site's CUE stands.
func SiteFile(name string) string { return "sites/" + name + "/site.cue" }

// Site is the CUE of a site with cameras c0 … of which each records little, so
// that hundreds fit one claim. Addresses are of TEST-NET-1: nobody is there.
func Site(name string, cameras int) string { return SiteWith(name, Cameras(name, 0, cameras)) }

// Cameras are the cameras c<from> … c<to-1> of a site, one line each.
func Cameras(site string, from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "\t\tc%d: url: \"rtsp://192.0.2.%d/%s/%d\"\n", i, i%250+1, site, i)
	}
	return b.String()
}

// SiteWith is the CUE of a site with these cameras.
func SiteWith(name, cameras string) string {
	return fmt.Sprintf(`package site

import "camfleet.dev/schema"

site: schema.#Site & {
	title:    %q
	cluster:  %q
	timeZone: "UTC"
	storage: {size: "900Ti", accessMode: "ReadWriteMany"}
	cameras: {
%s	}
}
`, name, Cluster, cameras)
}
