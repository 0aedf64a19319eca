package compiler

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"camfleet.dev/compiler/internal/diagnose"
	"camfleet.dev/compiler/object"
	"camfleet.dev/schema"
)

// fleet is what stands outside sites.
type fleet struct {
	spec     schema.Fleet
	index    *diagnose.Index
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
	c.fleet.index = diagnose.NewIndex(nil, ".")
	if c.hasCUE(".") { // else open has said so
		spec, index, problems := decodePackage[schema.Fleet](c.loader, ".", fleetDefinition)
		c.fleet.spec, c.fleet.index = spec.value, index
		c.addFleetProblems(problems, true)
	}

	var clusters, servers, packages []object.Problem
	c.fleet.clusters, clusters = loadEntries[schema.Cluster](c, clustersDefinition)
	c.fleet.servers, servers = loadEntries[schema.Server](c, serversDefinition)
	c.fleet.packages, packages = loadEntries[schema.Package](c, packagesDefinition)
	c.addFleetProblems(clusters, c.fleet.clusters.unknown)
	c.addFleetProblems(servers, false)
	c.addFleetProblems(packages, false)
}

func (c *compilation) addFleetProblems(problems []object.Problem, breaks bool) {
	c.problems = append(c.problems, diagnose.Cap(problems)...)
	c.broken = c.broken || breaks && len(problems) > 0
}

// loadEntries loads a package whose field is a map. A folder that is not there
// is an empty one.
func loadEntries[T any](c *compilation, d definition) (entries[T], []object.Problem) {
	if !c.hasCUE(d.field) {
		return entries[T]{good: map[string]T{}, names: map[string]bool{}, index: diagnose.NewIndex(nil, d.field)}, nil
	}
	got, index, problems := decodePackage[map[string]T](c.loader, d.field, d)
	e := entries[T]{good: got.value, index: index, unknown: got.opaque}
	if !got.opaque {
		e.names = names(got.field)
	}
	if e.good == nil {
		e.good = map[string]T{}
	}
	return e, problems
}

// fileProblem is about a file that could not be taken in: a site's own problem
// if it is in a site's folder, else everybody's, who may import it.
func (c *compilation) fileProblem(p object.Problem) {
	for _, s := range c.sites {
		if strings.HasPrefix(p.File, s.dir+"/") {
			s.take([]object.Problem{p})
			return
		}
	}
	c.problems = append(c.problems, p)
	c.broken = true
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

// checkFolders finds sites without CUE. That is a mistake and not "no site", for
// then what is live of it would be deleted.
func (c *compilation) checkFolders() {
	for _, s := range c.sites {
		if !s.broken && !c.hasCUE(s.dir) {
			s.problem(object.Position{File: s.dir}, "", "has no CUE file; add one with `package site`, or remove the folder")
		}
	}
}

// listSites finds sites/*.
func (c *compilation) listSites() {
	for _, name := range c.options.Absent {
		dir := path.Join("sites", name)
		c.sites = append(c.sites, &site{name: name, dir: dir, index: diagnose.NewIndex(nil, dir), opaque: true, broken: true})
	}
	defer func() {
		slices.SortFunc(c.sites, func(a, b *site) int { return cmp.Compare(a.name, b.name) })
	}()
	list, err := fs.ReadDir(c.files, "sites")
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	for _, d := range list {
		if !d.IsDir() {
			continue
		}
		if len(c.sites) == c.options.Limits.Sites {
			c.broken = true
			c.fleetProblem(object.Position{File: path.Join("sites", d.Name())}, "",
				"the fleet has more than %d sites; split it into several repositories", c.options.Limits.Sites)
			return
		}
		dir := path.Join("sites", d.Name())
		s := &site{name: d.Name(), dir: dir, index: diagnose.NewIndex(nil, dir), opaque: true}
		c.checkSiteName(s)
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
