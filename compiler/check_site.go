package compiler

import (
	"fmt"
	"net/url"
	"strings"

	"camfleet.dev/compiler/internal/diagnose"
	"camfleet.dev/compiler/object"
	"camfleet.dev/schema"
)

// checkSite checks what a site names: its cluster, time zone, edges, packages
// and other sites. Of a broken site it checks the parts that are right.
func (c *compilation) checkSite(s *site) {
	if name := s.spec.Cluster; name != "" {
		switch {
		case !c.knownCluster(name):
			s.at("site.cluster", "%s", unknown("cluster", name, diagnose.Known(c.fleet.clusters.names)))
		case c.fleet.clusters.broken(name):
			s.at("site.cluster", "waits for cluster %q, which has problems of its own in clusters/", name)
		}
	}
	if zone := s.spec.TimeZone; zone != "" && !zoneExists(zone) {
		s.at("site.timeZone", "there is no time zone %q%s", zone, zoneHint(zone))
	}
	for _, name := range diagnose.Known(s.spec.Edges) {
		for i, reach := range s.spec.Edges[name].Reach {
			if !c.knownSite(reach) {
				s.at(diagnose.Path("site", "edges", name, "reach", fmt.Sprint(i)), "%s", unknown("site", reach, c.siteNames()))
			}
		}
	}
	for _, name := range diagnose.Known(s.spec.Cameras) {
		c.checkCamera(s, name, s.spec.Cameras[name])
	}
}

// zoneHint knows the names that are often written and are none.
func zoneHint(zone string) string {
	last := zone[strings.LastIndex(zone, "/")+1:]
	for _, z := range zones() {
		if strings.EqualFold(z[strings.LastIndex(z, "/")+1:], last) {
			return fmt.Sprintf("; did you mean %q?", z)
		}
	}
	if best := diagnose.Nearest(zone, zones()); best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	return "; IANA's names are an area and a city, such as \"Europe/Berlin\""
}

func (c *compilation) checkCamera(s *site, name string, cam schema.Camera) {
	at := func(labels ...string) string {
		return diagnose.Path(append([]string{"site", "cameras", name}, labels...)...)
	}
	if cam.Edge != "" && !s.edges[cam.Edge] {
		s.at(at("edge"), "%s", c.unknownEdge(s, cam.Edge))
	}
	for _, neighbour := range diagnose.Known(cam.Neighbours) {
		if message := c.checkNeighbour(s, name, neighbour); message != "" {
			s.at(at("neighbours", neighbour), "%s", message)
		}
	}
	for _, wanted := range diagnose.Known(cam.Packages) {
		c.checkWanted(s, at, wanted, cam.Packages[wanted])
	}
	if hasPasswordQuery(cam.URL) {
		path := at("url")
		s.warnings = append(s.warnings, object.Problem{Site: s.name, Position: s.index.Pos(path), Path: path,
			Message: "the URL's query looks as if it holds a password, and it is in Git; use credentials if the camera takes them"})
	}
}

func (c *compilation) unknownEdge(s *site, name string) string {
	for _, other := range c.sites {
		if other != s && other.edges[name] {
			return fmt.Sprintf("%q is an edge of site %s, not of this one; a camera runs at its own site", name, other.name)
		}
	}
	return unknown("edge", name, diagnose.Known(s.edges)) + " (edges are in site: edges)"
}

// checkNeighbour returns what is wrong with a neighbour's name, or "".
func (c *compilation) checkNeighbour(s *site, camera, neighbour string) string {
	siteName, name, elsewhere := strings.Cut(neighbour, "/")
	if !elsewhere {
		siteName, name = s.name, neighbour
	}
	if siteName == s.name && name == camera {
		return "is the camera itself; remove it"
	}
	for _, other := range c.sites {
		switch {
		case other.name != siteName:
		case other.opaque || other.cameras[name] || other != s && other.unread:
			return ""
		case other == s:
			return unknown("camera", name, diagnose.Known(s.cameras)) + " (a camera of another site is \"site/camera\")"
		default:
			return unknown("camera", name, diagnose.Known(other.cameras)) + " (at site " + siteName + ")"
		}
	}
	return unknown("site", siteName, c.siteNames())
}

func (c *compilation) checkWanted(s *site, at func(...string) string, name string, wanted schema.Wanted) {
	packages := c.fleet.packages
	switch {
	case packages.broken(name):
		s.at(at("packages", name), "waits for package %q, which has problems of its own in packages/", name)
	case !packages.names[name]:
		s.at(at("packages", name), "%s", unknown("package", name, diagnose.Known(packages.names)))
	case wanted.Variant != "":
		variants := packages.good[name].Variants
		if _, ok := variants[wanted.Variant]; !ok {
			s.at(at("packages", name, "variant"), "package %q has no variant %q%s", name, wanted.Variant,
				diagnose.DidYouMean(wanted.Variant, diagnose.Known(variants), "variants"))
		}
	}
}

// hasPasswordQuery finds what some makes of camera put into their URLs.
func hasPasswordQuery(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return false
	}
	for key := range u.Query() {
		switch strings.ToLower(key) {
		case "password", "passwd", "pass", "pwd":
			return true
		}
	}
	return false
}
