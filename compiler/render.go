package compiler

import (
	"context"
	"fmt"
	"io/fs"

	"camfleet.dev/compiler/internal/overlay"
	"camfleet.dev/compiler/internal/render"
	"camfleet.dev/compiler/object"
)

// render makes a site's objects and applies the site's own kustomization.
func (c *compilation) render(ctx context.Context, s *site) error {
	out := render.Site(render.Input{
		Fleet:       c.fleet.spec,
		Cluster:     s.spec.Cluster,
		ClusterSpec: c.fleet.clusters.good[s.spec.Cluster],
		Name:        s.name,
		Site:        s.spec,
		Pos:         s.index.Pos,
	})
	s.take(out.Problems)
	s.warnings = append(s.warnings, out.Warnings...)
	if s.broken {
		return nil
	}
	folder, err := fs.Sub(c.files, s.dir)
	if err != nil {
		return fmt.Errorf("opening the folder of site %s: %w", s.name, err)
	}
	objects, problems := overlay.Apply(ctx, folder, s.name, out.Objects)
	s.take(problems)
	s.objects = objects
	if !s.broken {
		s.warnings = append(s.warnings, overlay.Idle(folder, s.name, objects)...)
	}
	return ctx.Err()
}

// take adds problems that a stage has found; any breaks the site.
func (s *site) take(problems []object.Problem) {
	for _, p := range problems {
		p.Site = s.name
		s.problems = append(s.problems, p)
		s.broken = true
	}
}
