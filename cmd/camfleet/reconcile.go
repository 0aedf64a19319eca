package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"camfleet.dev/compiler"
	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler"
	"camfleet.dev/reconciler/cluster"
	"camfleet.dev/reconciler/host"
	"camfleet.dev/reconciler/source"
)

// reconcileFlags are what the reconciler in a cluster is told.
type reconcileFlags struct {
	compile  compileFlags
	source   source.Config
	target   targetFlags
	listen   string
	address  string // file that the address is written to
	poll     time.Duration
	parallel int
	log      logFlags
}

func (a *app) reconcileCommand() *cobra.Command {
	flags := reconcileFlags{poll: 15 * time.Second, parallel: 32, log: logFlags{format: "json"}}
	cmd := &cobra.Command{
		Use:   "reconcile REPOSITORY",
		Short: "Keep a Kubernetes cluster equal to a fleet's repository",
		Long: `reconcile follows a branch of a Git repository and keeps a cluster equal to what
the fleet says for it. It runs inside the cluster (manifests/), or anywhere with
--kubeconfig.

What a commit gets wrong stays as it was, and is shown with its place by
camfleet status. A commit that would remove many cameras waits for
camfleet approve COMMIT. Recordings are deleted by their retention only.`,
		Example: "  camfleet reconcile https://git.example.org/fleet.git --cluster seoul --token-file /etc/camfleet/git/token",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			flags.source.URL = args[0]
			return a.reconcile(cmd.Context(), flags)
		},
	}
	flags.target.register(cmd)
	registerSource(cmd, &flags.source)
	cmd.Flags().StringVar(&flags.listen, "listen", ":8080", "address of the API, /metrics, /healthz, /readyz and /hook")
	cmd.Flags().StringVar(&flags.address, "address-file", "", "write the address that is listened on to this file")
	cmd.Flags().DurationVar(&flags.poll, "poll", flags.poll, "how often the repository is asked for a new commit")
	cmd.Flags().IntVar(&flags.parallel, "parallel", flags.parallel, "how many objects are applied at once")
	flags.log.register(cmd)
	flags.compile.register(cmd)
	return cmd
}

func (f *reconcileFlags) validate() error {
	if err := f.compile.validate(); err != nil {
		return err
	}
	switch {
	case f.compile.cluster == "":
		return usage("--cluster is the name of this cluster in the fleet's clusters/: only its sites are applied here")
	case f.poll < leastPoll:
		return usage("--poll is a time between two looks at the repository, at least %s, not %s", leastPoll, f.poll)
	case f.parallel < 1:
		return usage("--parallel is a number of objects, at least 1, not %d", f.parallel)
	}
	return nil
}

// reconcile keeps a cluster equal to a repository until ctx ends.
func (a *app) reconcile(ctx context.Context, flags reconcileFlags) error {
	log, err := a.logOf(flags.log)
	if err != nil {
		return err
	}
	if err := flags.validate(); err != nil {
		return err
	}
	src, err := source.New(flags.source)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	config, err := flags.target.config()
	if err != nil {
		return err
	}
	client, err := cluster.Client(config)
	if err != nil {
		return err
	}
	target := &cluster.Cluster{Client: client, Log: log}
	defer target.Close()
	r, err := a.clusterReconciler(flags, src, target, log)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", flags.listen)
	if err != nil {
		return usage("--listen: %w", err)
	}
	if flags.address != "" {
		if err := os.WriteFile(flags.address, []byte(listener.Addr().String()+"\n"), 0o644); err != nil {
			return errors.Join(fmt.Errorf("writing --address-file: %w", err), listener.Close())
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return host.Serve(ctx, listener, handler(r), log) })
	group.Go(func() error { return r.Run(ctx) })
	return group.Wait()
}

func (a *app) clusterReconciler(flags reconcileFlags, src *source.Source, target *cluster.Cluster, log *slog.Logger) (*reconciler.Reconciler, error) {
	child, err := a.compiler(flags.compile, log)
	if err != nil {
		return nil, err
	}
	return &reconciler.Reconciler{
		Source: src, Cluster: target, Interval: flags.poll, Parallel: flags.parallel, Log: log,
		Compile: func(ctx context.Context, files fs.FS) (*object.Result, error) {
			return child.Compile(ctx, files, compiler.Options{Cluster: flags.compile.cluster})
		},
	}, nil
}

func handler(r *reconciler.Reconciler) http.Handler { return r.Handler() }
