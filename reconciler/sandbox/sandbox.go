// Package sandbox compiles a commit in a child process. CUE has no way to stop
// an evaluation (cue#2489) and a few lines of it can ask for more memory than a
// machine has, so what a commit may cost is bounded from outside: the child has
// a deadline, a memory limit, an empty environment, and the commit's files on
// its standard input; it has no credentials, and the kernel gives it no socket,
// no file, no other program and no hold on another process.
//
//	parent: files as tar ─► child: compiler.Compile ─► result ─► parent
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"camfleet.dev/compiler"
	"camfleet.dev/compiler/object"
)

// Compiler runs compilations in child processes. Its exported fields are set once.
type Compiler struct {
	// Command starts the child: a program and its arguments, which must end
	// in a call of Child.
	Command []string
	// Deadline bounds one compilation; 0 means 20 s, and 10 s more for every
	// MiB of the commit: some 2,000 cameras, which take 2 s of one processor.
	Deadline time.Duration
	// Memory bounds the child's data in bytes; 0 means 1 GiB, which is over
	// five times what 10,000 cameras need.
	Memory uint64
	// Warm keeps a child ready for the next commit. It costs some 30 MiB, saves
	// its start, and asks for Close.
	Warm bool
	Log  *slog.Logger

	result       int         // for tests: the largest one
	noNamespaces atomic.Bool // they are refused here
	told         sync.Once   // how well a child is confined then
	mu           sync.Mutex  // of what follows
	idle         *process
	closed       bool
}

const (
	leastDeadline  = 20 * time.Second
	deadlinePerMiB = 10 * time.Second
	defaultMemory  = 1 << 30
	maxSize        = 64 << 20 // what a source reads at most
	// One site is small: a probe that takes longer has found its culprit.
	probeShare = 2
)

// killedError is a compilation that ended without a result.
type killedError struct {
	why  string
	late bool // it had not ended in time
}

func (e *killedError) Error() string { return e.why }

// Compile compiles a commit. When the child dies, the sites are tried one by
// one; those that kill it are broken sites of the result, with a problem that
// names them, and the rest of the fleet is compiled without them.
func (c *Compiler) Compile(ctx context.Context, fsys fs.FS, opts compiler.Options) (*object.Result, error) {
	defer c.warm()
	deadline := c.deadline(fsys)
	res, err := c.run(ctx, fsys, request{Options: opts}, deadline)
	var killed *killedError
	if !errors.As(err, &killed) {
		return res, err
	}
	c.log().Warn("the compilation was stopped; looking for the site that did it", "why", killed.why)
	sites, err := siteNames(fsys)
	if err != nil {
		return nil, err
	}
	culprits, err := c.probe(ctx, fsys, opts, sites, deadline/probeShare)
	if err != nil {
		return nil, err
	}
	return c.without(ctx, fsys, opts, culprits, deadline, killed)
}

// probe finds the sites that kill a child of their own.
func (c *Compiler) probe(ctx context.Context, fsys fs.FS, opts compiler.Options, sites []string, deadline time.Duration) (map[string]*killedError, error) {
	found := make([]*killedError, len(sites))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2)
	for i, site := range sites {
		group.Go(func() error {
			others := slices.DeleteFunc(slices.Clone(sites), func(s string) bool { return s == site })
			_, err := c.run(ctx, fsys, hiding(opts, others), deadline)
			if !errors.As(err, &found[i]) {
				return err
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	culprits := map[string]*killedError{}
	for i, k := range found {
		if k != nil {
			culprits[sites[i]] = k
		}
	}
	return culprits, nil
}

// without compiles the fleet with the culprits hidden. When that is no help,
// the fleet as a whole is broken.
func (c *Compiler) without(ctx context.Context, fsys fs.FS, opts compiler.Options, culprits map[string]*killedError, deadline time.Duration, first *killedError) (*object.Result, error) {
	var hide []string
	for site := range culprits {
		hide = append(hide, site)
	}
	slices.Sort(hide)
	if len(hide) == 0 {
		return brokenFleet(first), nil
	}
	res, err := c.run(ctx, fsys, hiding(opts, hide), deadline)
	var killed *killedError
	if errors.As(err, &killed) {
		return brokenFleet(killed), nil
	} else if err != nil {
		return nil, err
	}
	for _, site := range hide {
		res.Problems = append(res.Problems, object.Problem{
			Site: site, Position: object.Position{File: "sites/" + site},
			Message: culprits[site].why + "; simplify this site's CUE (look for comprehensions over large ranges), until then it stays as it is",
		})
	}
	slices.SortFunc(res.Problems, object.Problem.Compare)
	return res, nil
}

// hiding is a request for the fleet without some sites, which it knows to exist.
func hiding(opts compiler.Options, sites []string) request {
	opts.Absent = sites
	return request{Options: opts}
}

func brokenFleet(k *killedError) *object.Result {
	return &object.Result{Broken: true, Problems: []object.Problem{{
		Position: object.Position{File: "fleet.cue"},
		Message:  k.why + ", and no single site is the cause; nothing is changed: look at the last commit",
	}}}
}

func siteNames(fsys fs.FS) ([]string, error) {
	entries, err := fs.ReadDir(fsys, "sites")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("listing the sites: %w", err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func (c *Compiler) deadline(fsys fs.FS) time.Duration {
	if c.Deadline != 0 {
		return c.Deadline
	}
	return leastDeadline + time.Duration(size(fsys)>>10)*(deadlinePerMiB>>10)
}

// largest is how many bytes a result may have.
func (c *Compiler) largest(fsys fs.FS) int {
	if c.result != 0 {
		return c.result
	}
	return int(min(leastResult+size(fsys)*resultShare, mostResult))
}

// size is how many bytes of a commit are sent to a child, about.
func size(fsys fs.FS) int64 {
	var bytes int64
	_ = fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error { // what is wrong with a file is found out later
		if err != nil || !d.Type().IsRegular() || !slices.Contains(read, path.Ext(name)) {
			return nil
		}
		if info, err := d.Info(); err == nil {
			bytes += info.Size()
		}
		return nil
	})
	return min(bytes, maxSize)
}

func (c *Compiler) memory() uint64 {
	if c.Memory == 0 {
		return defaultMemory
	}
	return c.Memory
}

func (c *Compiler) log() *slog.Logger {
	if c.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return c.Log
}
