package compiler

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"camfleet.dev/compiler/internal/diagnose"
	"camfleet.dev/compiler/object"
	"camfleet.dev/schema"
)

// fleet is what stands outside sites.
type fleet struct {
	spec     schema.Fleet
	clusters entries[schema.Cluster]
	servers  entries[schema.Server]
	packages entries[schema.Package]
}

// entries are the members of a fleet-level package that is a map. A member with
// a problem breaks the sites that name it, and no others.
type entries[T any] struct {
	good  map[string]T
	names map[string]bool // of all, also of the broken ones
	index *diagnose.Index
	// unknown means that the package could not be loaded at all, so that
	// nothing can be said about a name.
	unknown bool
}

func (e entries[T]) broken(name string) bool {
	_, good := e.good[name]
	return e.unknown || e.names[name] && !good
}

func (c *compilation) loadFleet() {
	spec, _, problems := decodePackage[schema.Fleet](c.loader, ".", "fleet", true)
	c.fleet.spec = spec.value
	c.addFleetProblems(problems, true)

	var clusters, servers, packages []object.Problem
	c.fleet.clusters, clusters = loadEntries[schema.Cluster](c, "clusters", true)
	c.fleet.servers, servers = loadEntries[schema.Server](c, "servers", false)
	c.fleet.packages, packages = loadEntries[schema.Package](c, "packages", false)
	c.addFleetProblems(clusters, c.fleet.clusters.unknown)
	c.addFleetProblems(servers, false)
	c.addFleetProblems(packages, false)
}

func (c *compilation) addFleetProblems(problems []object.Problem, breaks bool) {
	c.problems = append(c.problems, diagnose.Cap(problems)...)
	c.broken = c.broken || breaks && len(problems) > 0
}

func loadEntries[T any](c *compilation, name string, required bool) (entries[T], []object.Problem) {
	if !required && !c.hasCUE(name) {
		return entries[T]{good: map[string]T{}, names: map[string]bool{}, index: diagnose.NewIndex(nil, name)}, nil
	}
	d, index, problems := decodePackage[map[string]T](c.loader, name, name, required)
	e := entries[T]{good: d.value, names: d.names(nil), index: index, unknown: d.opaque}
	if e.good == nil {
		e.good = map[string]T{}
	}
	return e, problems
}

// hasCUE reports whether a folder has CUE files of its own.
func (c *compilation) hasCUE(dir string) bool {
	list, err := fs.ReadDir(c.files, dir)
	if err != nil {
		return false
	}
	for _, d := range list {
		if !d.IsDir() && strings.HasSuffix(d.Name(), ".cue") {
			return true
		}
	}
	return false
}

// listSites finds sites/*. A folder without CUE is a mistake and not "no site":
// what is live of it would be deleted.
func (c *compilation) listSites() {
	list, err := fs.ReadDir(c.files, "sites")
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	for _, d := range list {
		if !d.IsDir() {
			continue
		}
		if len(c.sites) == c.options.Limits.Sites {
			c.problems = append(c.problems, object.Problem{
				Position: object.Position{File: path.Join("sites", d.Name())},
				Message:  fmt.Sprintf("the fleet has more than %d sites; split it into several repositories", c.options.Limits.Sites),
			})
			return
		}
		dir := path.Join("sites", d.Name())
		s := &site{name: d.Name(), dir: dir, index: diagnose.NewIndex(nil, dir), opaque: true}
		if !c.hasCUE(dir) {
			s.problem(object.Position{File: dir}, "", "has no CUE file; add one with `package site`, or remove the folder")
		}
		c.sites = append(c.sites, s)
	}
}

func (s *site) problem(pos object.Position, path, format string, args ...any) {
	s.broken = true
	s.problems = append(s.problems, object.Problem{Site: s.name, Position: pos, Path: path, Message: fmt.Sprintf(format, args...)})
}

// at is a problem with the value at a path.
func (s *site) at(path, format string, args ...any) {
	s.problem(s.index.Pos(path), path, format, args...)
}
