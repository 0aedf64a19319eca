package compiler

import (
	"context"

	"camfleet.dev/compiler/internal/diagnose"
	"camfleet.dev/compiler/object"
	"camfleet.dev/schema"
)

// loadSite evaluates a site in a CUE context of its own, which is garbage when
// it returns: contexts never free what they have seen.
func (c *compilation) loadSite(_ context.Context, s *site) error {
	if s.broken {
		return nil
	}
	d, index, problems := decodePackage[schema.Site](c.loader, s.dir, siteDefinition)
	s.index, s.opaque, s.unread = index, d.opaque, len(problems) > 0
	s.spec = d.value
	if !s.opaque {
		s.cameras, s.edges = names(d.member("cameras")), names(d.member("edges"))
		index.Learn(d.member("cameras"), []string{"url", "edge", "credentials", "description"}, "site", "cameras")
		index.Learn(d.member("edges"), []string{"arch", "address", "node", "description"}, "site", "edges")
	}
	for _, file := range c.loader.Below(s.dir, siteDefinition.field) {
		s.problem(object.Position{File: file, Line: 1, Column: 1}, "", "is not read: a site's files are those in %s itself; move it there, or make it a package of its own and import it", s.dir)
	}
	for _, p := range problems {
		s.problem(p.Position, p.Path, "%s", p.Message)
	}
	if n := len(s.cameras); n > c.options.Limits.CamerasPerSite {
		s.at("site.cameras", "has %d cameras, more than the %d that one site can have; split it into several sites", n, c.options.Limits.CamerasPerSite)
	}
	return nil
}

// capped are a site's problems, bounded: a mistake in something shared shows
// once.
func capped(s *site) []object.Problem { return diagnose.Cap(s.problems) }

// renderSite makes a right site's objects.
func (c *compilation) renderSite(ctx context.Context, s *site) error {
	if s.broken || !c.wanted(s) {
		return nil
	}
	return c.render(ctx, s)
}
