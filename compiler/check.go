package compiler

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"camfleet.dev/compiler/internal/diagnose"
	"camfleet.dev/compiler/internal/render"
	"camfleet.dev/compiler/object"
	"camfleet.dev/schema"
)

// check looks at what CUE cannot see or cannot say well: references by name,
// what must be unique, and what only shows over the whole fleet. It runs over
// all sites in order, alone, so that its result does not depend on scheduling.
func (c *compilation) check() {
	c.checkPolicy()
	c.checkPackages()
	c.checkServers()
	if c.options.Cluster != "" && !c.fleet.clusters.unknown && !c.fleet.clusters.names[c.options.Cluster] {
		c.fleetProblem(c.fleet.clusters.index.Pos("clusters"), "clusters",
			"this reconciler looks after cluster %q, which the fleet does not have%s", c.options.Cluster,
			diagnose.DidYouMean(c.options.Cluster, diagnose.Known(c.fleet.clusters.names), "clusters"))
		c.broken = true
	}
	for _, s := range c.sites {
		if !s.opaque {
			c.checkSite(s)
		}
	}
	c.checkUnique()
}

func (c *compilation) fleetProblem(pos object.Position, path, format string, args ...any) {
	c.problems = append(c.problems, object.Problem{Position: pos, Path: path, Message: fmt.Sprintf(format, args...)})
}

var siteName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)

// system is the site that would get the namespace of the reconciler itself, and
// with it what is secret there; kube- is Kubernetes' own prefix.
const (
	system     = "system"
	kubernetes = "kube-"
)

func (c *compilation) checkSiteName(s *site) {
	pos := object.Position{File: s.dir}
	namespace := render.Namespace(s.name)
	switch {
	case !siteName.MatchString(s.name):
		s.problem(pos, "", "the folder's name is the site's name and must be lower case letters, digits and \"-\" inside, at most 40 characters; rename it")
	case s.name == system || slices.Contains(c.options.Reserved, namespace):
		s.problem(pos, "", "the name %q is camfleet's own (namespace %s); rename the folder", s.name, namespace)
	case strings.HasPrefix(s.name, kubernetes):
		s.problem(pos, "", "names that begin with %q are Kubernetes' own; rename the folder", kubernetes)
	}
}

func (c *compilation) checkPolicy() {
	p := c.fleet.spec.Policy
	if p != nil && p.Leave >= p.Enter {
		c.fleetProblem(c.fleet.index.Pos("fleet.policy.leave"), "fleet.policy.leave",
			"must be below enter (%v), or nodes flap between overloaded and relieved, not %v", p.Enter, p.Leave)
		c.broken = true
	}
}

func (c *compilation) checkServers() {
	servers := c.fleet.servers
	for _, name := range diagnose.Known(servers.good) {
		s := servers.good[name]
		if !c.knownCluster(s.Cluster) {
			path := diagnose.Path("servers", name, "cluster")
			c.fleetProblem(servers.index.Pos(path), path, "%s", unknown("cluster", s.Cluster, diagnose.Known(c.fleet.clusters.names)))
		}
		for i, reach := range s.Reach {
			if !c.knownSite(reach) {
				path := diagnose.Path("servers", name, "reach", fmt.Sprint(i))
				c.fleetProblem(servers.index.Pos(path), path, "%s", unknown("site", reach, c.siteNames()))
			}
		}
	}
}

// checkPackages drops a package that is wrong from the good ones, so that only
// sites that want it are touched.
func (c *compilation) checkPackages() {
	packages := c.fleet.packages
	for _, name := range diagnose.Known(packages.good) {
		before := len(c.problems)
		c.checkPackage(name, packages.good[name])
		if len(c.problems) > before {
			delete(packages.good, name)
		}
	}
}

func (c *compilation) checkPackage(name string, p schema.Package) {
	problem := func(message string, labels ...string) {
		path := diagnose.Path(append([]string{"packages", name}, labels...)...)
		c.fleetProblem(c.fleet.packages.index.Pos(path), path, "%s", message)
	}
	if len(p.Variants) == 0 {
		problem("needs at least one variant, such as `default: {arch: [\"amd64\"], requests: {…}}`", "variants")
	}
	for _, v := range diagnose.Known(p.Variants) {
		if len(p.Variants[v].Arch) == 0 {
			problem("needs at least one architecture, such as [\"amd64\", \"arm64\"]", "variants", v, "arch")
		}
	}
	seen := map[string]bool{}
	for i, stage := range p.Stages {
		if seen[stage.Name] {
			problem(fmt.Sprintf("two stages are called %q; rename one", stage.Name), "stages", fmt.Sprint(i), "name")
		}
		seen[stage.Name] = true
	}
}

func (c *compilation) knownCluster(name string) bool {
	return c.fleet.clusters.unknown || c.fleet.clusters.names[name]
}

func (c *compilation) knownSite(name string) bool {
	return slices.ContainsFunc(c.sites, func(s *site) bool { return s.name == name })
}

func (c *compilation) siteNames() []string {
	names := make([]string, len(c.sites))
	for i, s := range c.sites {
		names[i] = s.name
	}
	return names
}

// unknown is the message for a name that is nobody's.
func unknown(kind, name string, known []string) string {
	return fmt.Sprintf("there is no %s %q%s", kind, name, diagnose.DidYouMean(name, known, kind+"s"))
}
