package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"camfleet.dev/compiler"
	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler"
	"camfleet.dev/reconciler/cluster"
	"camfleet.dev/reconciler/engine"
	"camfleet.dev/reconciler/source"
)

// applyFlags are what apply is told.
type applyFlags struct {
	compile  compileFlags
	source   source.Config
	target   targetFlags
	parallel int
	approve  string
}

func (a *app) applyCommand() *cobra.Command {
	flags := applyFlags{parallel: 32}
	cmd := &cobra.Command{
		Use:   "apply REPOSITORY",
		Short: "Make a cluster equal to the newest commit, once",
		Long: `apply does once what camfleet reconcile does all the time: it makes a cluster
equal to the newest commit of a repository, or says why it cannot. It takes the
rights that the reconciler has (manifests/rbac). Where a reconciler works already
it refuses: push the commit, or camfleet suspend.

Replaced cameras take turns, so apply ends when the last one had its own.
Exit codes: 0 the cluster is as the commit says, 1 it is not, 2 called wrongly.`,
		Example: "  camfleet apply . --cluster seoul",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			flags.source.URL = args[0]
			return a.apply(cmd.Context(), flags)
		},
	}
	flags.target.register(cmd)
	registerSource(cmd, &flags.source)
	cmd.Flags().IntVar(&flags.parallel, "parallel", flags.parallel, "how many objects are applied at once")
	cmd.Flags().StringVar(&flags.approve, "approve", "", "let this commit delete more than a fifth of the cameras, or a site")
	flags.compile.registerOne(cmd)
	return cmd
}

// apply reconciles once.
func (a *app) apply(ctx context.Context, flags applyFlags) error {
	if err := flags.compile.validate(); err != nil {
		return err
	}
	if flags.compile.cluster == "" {
		return usage("--cluster is the name of the cluster in the fleet's clusters/: only its sites are applied")
	}
	if flags.approve != "" && !commitName.MatchString(flags.approve) {
		return notCommit(flags.approve)
	}
	src, err := source.New(flags.source)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	if err := flags.target.alone(ctx); err != nil {
		return err
	}
	from, approved, err := flags.fetch(ctx, src)
	if err != nil {
		return err
	}
	log := a.logger(slog.LevelError, "text")
	target, err := flags.target.cluster(log)
	if err != nil {
		return err
	}
	defer target.Close()
	child, err := a.compiler(flags.compile, log)
	if err != nil {
		return err
	}
	steps := &steps{progress: newProgress(a.stderr, "applying"), unit: "objects"}
	r := &reconciler.Reconciler{
		Source: from, Cluster: target, Notes: approved, Parallel: flags.parallel, ClusterName: flags.compile.cluster,
		ApproveWith: flags.again() + " --approve",
		Compile: func(ctx context.Context, files fs.FS) (*object.Result, error) {
			return child.Compile(ctx, files, compiler.Options{Cluster: flags.compile.cluster})
		},
		Planned: steps.planned, Done: steps.done, Synced: steps.before(a.changePrinter()), Log: slog.New(slog.DiscardHandler),
	}
	target.Changed = r.Changed
	s, err := r.Once(ctx)
	steps.end()
	if err == nil {
		_, err = fmt.Fprintf(a.stdout, "the cluster is as commit %.12s says\n", s.Commit)
		return err
	}
	printProblems(a.stderr, s.Problems)
	return err
}

// again is this call, as it is typed. The kubeconfig is part of it: who applies
// by hand is who approves, which is not so with a reconciler.
func (f applyFlags) again() string {
	text := f.target.command("apply") + " " + f.source.URL + " --cluster " + f.compile.cluster
	if f.target.kubeconfig != "" {
		text += " --kubeconfig " + f.target.kubeconfig
	}
	return text
}

func printProblems(w io.Writer, problems []object.Problem) {
	for _, p := range problems {
		fmt.Fprintln(w, p.Error())
	}
}

// alone is an error when a reconciler works in the cluster: two would do the
// same work, and one of them perhaps for an older commit.
func (f targetFlags) alone(ctx context.Context) error {
	reader, err := f.reader()
	if err != nil {
		return err
	}
	leader, err := reader.Leader(ctx)
	if err != nil || !leader.Alive() {
		return nil // there is none, or it is not for us to know
	}
	if report, err := reader.Status(ctx); err == nil && report.Status.Suspended != nil {
		return nil
	}
	return fmt.Errorf("%s keeps this cluster equal to a repository already: push the commit there, or %s first", leader.Identity, f.command("suspend"))
}

// cluster is the cluster, as the engine sees it.
func (f targetFlags) cluster(log *slog.Logger) (*cluster.Cluster, error) {
	config, _, err := f.config()
	if err != nil {
		return nil, err
	}
	cluster.LogTo(log)
	client, err := cluster.Client(config)
	return &cluster.Cluster{Client: client, Log: log}, err
}

// fetched is a source whose newest commit is there already.
type fetched struct {
	*source.Source
	newest *source.Commit
}

// Fetch implements reconciler.Source.
func (f *fetched) Fetch(ctx context.Context, have string) (*source.Commit, error) {
	if c := f.newest; c != nil {
		f.newest = nil
		return c, nil
	}
	return f.Source.Fetch(ctx, have)
}

// fetch looks which commit is approved, when one is.
func (f applyFlags) fetch(ctx context.Context, src *source.Source) (reconciler.Source, approval, error) {
	if f.approve == "" {
		return src, "", nil
	}
	newest, err := src.Fetch(ctx, "")
	if err != nil {
		return nil, "", err
	}
	if !strings.HasPrefix(newest.Hash, strings.ToLower(f.approve)) {
		return nil, "", usage("--approve %s: the newest commit is %.12s; approve that one if it is right", f.approve, newest.Hash)
	}
	return &fetched{src, newest}, approval(newest.Hash), nil
}

// approval is what is noted before the only sync: a commit that was approved.
type approval string

// ReadNotes implements reconciler.Notes.
func (n approval) ReadNotes(notes any) error {
	if n == "" {
		return nil
	}
	text, err := json.Marshal(map[string]string{"approved": string(n)})
	if err != nil {
		return err
	}
	return json.Unmarshal(text, notes)
}

// WriteNotes implements reconciler.Notes. Nothing comes after this sync.
func (approval) WriteNotes(any) error { return nil }

// steps shows how far a sync is.
type steps struct {
	mu       sync.Mutex
	progress *progress
	unit     string
	total    int64
	taken    int64
}

func (s *steps) planned(set engine.ChangeSet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := set.Counts()
	s.total = s.taken
	for _, action := range []engine.Action{engine.Created, engine.Configured, engine.Replaced, engine.Deleted, engine.Waiting} {
		s.total += int64(counts[action])
	}
	s.progress.count(s.taken, s.total, s.unit)
}

func (s *steps) done(engine.Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken++
	s.progress.count(s.taken, s.total, s.unit)
}

// before leaves the bar's line before something else is printed.
func (s *steps) before(f func(engine.ChangeSet)) func(engine.ChangeSet) {
	return func(set engine.ChangeSet) {
		s.end()
		f(set)
	}
}

func (s *steps) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.progress.end()
}

var _ reconciler.Notes = approval("")
