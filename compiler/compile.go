package compiler

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"camfleet.dev/compiler/internal/diagnose"
	"camfleet.dev/compiler/internal/load"
	"camfleet.dev/compiler/internal/tree"
	"camfleet.dev/compiler/object"
	"camfleet.dev/schema"
)

// Options say what to compile of a commit.
type Options struct {
	// Cluster compiles only this cluster's sites; empty means all. What is
	// checked across sites is checked over all of them either way.
	Cluster string
	// Parallel is how many sites are evaluated at a time; 0 means one per
	// processor. The result does not depend on it.
	Parallel int
	// Absent are sites that exist and are not in the files, because they
	// cannot be compiled at all: they are broken in the result, without a
	// problem, and others may refer to them.
	Absent []string
	// Reserved are namespaces that no site may have, besides camfleet-system:
	// the one that the reconciler itself runs in.
	Reserved []string
	// Limits bound the input; a zero field means DefaultLimits'.
	Limits Limits
}

// Limits bound what a commit may contain.
type Limits struct {
	Files          int   // plain files
	FileBytes      int64 // of one file that is read
	Bytes          int64 // of all CUE files
	Sites          int
	CamerasPerSite int
}

// DefaultLimits leave room for ten times the largest fleet that we know of, and
// keep a compile within a few hundred MB.
func DefaultLimits() Limits {
	return Limits{Files: 50_000, FileBytes: 1 << 20, Bytes: 64 << 20, Sites: 2_000, CamerasPerSite: 1_000}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	or := func(v *int64, def int64) {
		if *v <= 0 {
			*v = def
		}
	}
	files, sites, cameras := int64(l.Files), int64(l.Sites), int64(l.CamerasPerSite)
	or(&files, int64(d.Files))
	or(&sites, int64(d.Sites))
	or(&cameras, int64(d.CamerasPerSite))
	or(&l.FileBytes, d.FileBytes)
	or(&l.Bytes, d.Bytes)
	l.Files, l.Sites, l.CamerasPerSite = int(files), int(sites), int(cameras)
	return l
}

// Compile compiles the fleet in fsys, which must be safe for concurrent use.
// Everything that a user can put right is a Problem in the result; an error
// means that fsys could not be read or that ctx was cancelled.
//
// A site with problems is Broken and has no objects; the others are complete.
func Compile(ctx context.Context, fsys fs.FS, o Options) (*object.Result, error) {
	if o.Parallel <= 0 {
		o.Parallel = runtime.GOMAXPROCS(0)
	}
	o.Limits = o.Limits.withDefaults()
	files, partial, problems, err := tree.Read(ctx, fsys, tree.Limits{Files: o.Limits.Files, FileBytes: o.Limits.FileBytes, Bytes: o.Limits.Bytes})
	if err != nil {
		return nil, err
	}
	c := &compilation{options: o, files: files, broken: partial}
	if err := c.run(ctx, problems); err != nil {
		return nil, fmt.Errorf("compiling the fleet: %w", err)
	}
	return c.result(), nil
}

// compilation is one run's state. Stages run one after the other; within a
// stage, each site's goroutine touches only its own site.
type compilation struct {
	options Options
	files   *tree.Tree
	loader  *load.Loader

	fleet    fleet
	sites    []*site // sorted by name
	problems []object.Problem
	warnings []object.Problem
	broken   bool
}

// site is one site on its way through the stages.
type site struct {
	name   string
	dir    string
	spec   schema.Site
	index  *diagnose.Index
	broken bool
	opaque bool // nothing is known of it: not even its cameras' names
	unread bool // parts of it are not known
	// names of cameras and edges, also of those that are broken
	cameras, edges map[string]bool
	problems       []object.Problem
	warnings       []object.Problem
	objects        []object.Object
}

func (c *compilation) run(ctx context.Context, problems []object.Problem) error {
	if !c.open(problems) {
		return nil
	}
	c.loadFleet()
	if err := c.eachSite(ctx, c.loadSite); err != nil {
		return err
	}
	c.check()
	if c.broken {
		return nil
	}
	if err := c.eachSite(ctx, c.renderSite); err != nil {
		return err
	}
	c.checkIngresses()
	return nil
}

// open prepares loading; false means that nothing can be loaded.
func (c *compilation) open(problems []object.Problem) bool {
	c.listSites()
	for _, p := range problems {
		c.fileProblem(p)
	}
	if !c.broken {
		c.checkFolders()
	}
	if !c.hasCUE(".") {
		c.broken = true
		c.fleetProblem(object.Position{File: "fleet.cue"}, "fleet",
			"is missing, and with it the fleet's name and uid; take it back from Git's history, or point camfleet at the folder that has it (--path)")
	}
	loader, err := load.New(c.files)
	if errors.Is(err, load.ErrNoModule) && !c.hasCUE(".") {
		return false // there is no fleet here at all
	}
	if err != nil {
		c.broken = true
		c.fleetProblem(object.Position{File: "cue.mod/module.cue"}, "", "%s", diagnose.Redact(err.Error()))
	}
	c.loader = loader
	return loader != nil
}

// eachSite runs a stage over all sites, some at a time.
func (c *compilation) eachSite(ctx context.Context, stage func(context.Context, *site) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(c.options.Parallel)
	for _, s := range c.sites {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return guarded(ctx, s, stage)
		})
	}
	return g.Wait()
}

// guarded runs a stage; a panic, of CUE or of ours, is a problem of the site.
func guarded(ctx context.Context, s *site, stage func(context.Context, *site) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			s.opaque = s.opaque || s.cameras == nil
			s.take([]object.Problem{panicked(s.dir, r)})
			err = nil
		}
	}()
	return stage(ctx, s)
}

func (c *compilation) result() *object.Result {
	r := &object.Result{
		Fleet: c.fleet.spec, Broken: c.broken,
		Sites: []object.Site{}, Objects: []object.Object{}, Problems: c.problems, Warnings: c.warnings,
	}
	for _, s := range c.sites {
		r.Problems = append(r.Problems, capped(s)...)
		if !c.wanted(s) {
			if r.Elsewhere == nil {
				r.Elsewhere = map[string]string{}
			}
			r.Elsewhere[s.name] = s.spec.Cluster
			continue
		}
		r.Warnings = append(r.Warnings, s.warnings...)
		out := object.Site{Name: s.name, Broken: s.broken || c.broken}
		if !out.Broken {
			out.Cameras = diagnose.Known(s.spec.Cameras)
			r.Objects = append(r.Objects, s.objects...)
		}
		r.Sites = append(r.Sites, out)
	}
	r.Problems = tidy(r.Problems)
	r.Warnings = tidy(r.Warnings)
	slices.SortFunc(r.Objects, func(a, b object.Object) int { return a.ID.Compare(b.ID) })
	return r
}

// tidy sorts problems and drops repetitions: two sites may import the same
// wrong file.
func tidy(list []object.Problem) []object.Problem {
	slices.SortFunc(list, object.Problem.Compare)
	list = slices.CompactFunc(list, func(a, b object.Problem) bool { return a.Compare(b) == 0 })
	if list == nil {
		list = []object.Problem{}
	}
	return list
}

// wanted reports whether a site is this run's: of its cluster, or broken, so
// that its cluster cannot be trusted and what is live of it has to stay.
func (c *compilation) wanted(s *site) bool {
	return c.options.Cluster == "" || s.broken || s.spec.Cluster == c.options.Cluster
}
