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

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"

	"camfleet.dev/compiler"
	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler"
	"camfleet.dev/reconciler/cluster"
	"camfleet.dev/reconciler/control"
	"camfleet.dev/reconciler/engine"
	"camfleet.dev/reconciler/host"
	"camfleet.dev/reconciler/source"
	"camfleet.dev/reconciler/status"
)

// replica is one of the processes that may reconcile a cluster. Which one does,
// a lease says; the others answer with what that one reports.
type replica struct {
	flags   reconcileFlags
	log     *slog.Logger
	config  *rest.Config // as it was given: for the lease, and for reading
	guarded *rest.Config // writes only while the lease is held
	guard   control.Guard
	reader  control.Reader
	loop    *reconciler.Reconciler
	target  *cluster.Cluster
	desk    *control.Desk
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
	r, err := newReplica(flags, log)
	if err != nil {
		return err
	}
	child, err := a.compiler(flags.compile, log)
	if err != nil {
		return err
	}
	r.loop.Source = src
	r.loop.Compile = func(ctx context.Context, files fs.FS) (*object.Result, error) {
		return child.Compile(ctx, files, compiler.Options{Cluster: flags.compile.cluster})
	}
	listener, err := flags.open()
	if err != nil {
		return err
	}
	return r.run(ctx, listener)
}

// open listens for the API.
func (f reconcileFlags) open() (net.Listener, error) {
	listener, err := net.Listen("tcp", f.listen)
	if err != nil {
		return nil, usage("--listen: %w", err)
	}
	if f.address == "" {
		return listener, nil
	}
	if err := os.WriteFile(f.address, []byte(listener.Addr().String()+"\n"), 0o644); err != nil {
		return nil, errors.Join(fmt.Errorf("writing --address-file: %w", err), listener.Close())
	}
	return listener, nil
}

func newReplica(flags reconcileFlags, log *slog.Logger) (*replica, error) {
	r := &replica{flags: flags, log: log}
	var err error
	if r.reader, err = flags.target.reader(); err != nil {
		return nil, err
	}
	if r.config, _, err = flags.target.config(); err != nil {
		return nil, err
	}
	r.guarded = rest.CopyConfig(r.config)
	if flags.elect {
		r.guarded.Wrap(r.guard.Wrap)
	}
	client, err := cluster.Client(r.guarded)
	if err != nil {
		return nil, err
	}
	orders, err := control.NewClient(r.guarded)
	if err != nil {
		return nil, err
	}
	r.loop = &reconciler.Reconciler{
		ClusterName: flags.compile.cluster, Interval: flags.poll, Parallel: flags.parallel, Log: log,
		ApproveWith: flags.target.command("approve"),
	}
	r.target = &cluster.Cluster{Client: client, Changed: r.loop.Changed, Log: log}
	r.desk = &control.Desk{
		Client: orders, Namespace: r.reader.Namespace, Name: r.reader.Name, Log: log,
		Orders: control.Orders{Approve: r.loop.Approve, Suspend: r.suspend, Resume: r.resume, Wake: r.loop.Wake},
	}
	r.loop.Cluster, r.loop.Notes, r.loop.Published = r.target, r.desk, r.desk.Publish
	r.loop.Record = func(c engine.Change) { r.target.Record(context.Background(), c) }
	return r, nil
}

func (r *replica) suspend(s status.Suspension) {
	if err := r.loop.Suspend(s.Reason); err != nil {
		r.log.Error("cannot suspend", "error", err)
	}
}

func (r *replica) resume() {
	if err := r.loop.Resume(); err != nil {
		r.log.Error("cannot resume", "error", err)
	}
}

// run answers questions, and reconciles whenever it leads.
func (r *replica) run(ctx context.Context, listener net.Listener) error {
	group, ctx := errgroup.WithContext(ctx)
	// The API: it answers on every replica.
	group.Go(func() error { return host.Serve(ctx, listener, r.handler(), r.log) })
	// The work, on one of them.
	group.Go(func() error {
		if !r.flags.elect {
			return r.term(ctx)
		}
		client, err := control.NewClient(r.config)
		if err != nil {
			return err
		}
		return control.Lead(ctx, control.LeadOptions{
			Client: client, Namespace: r.reader.Namespace, Name: r.reader.Name, Identity: identity(),
			Lease: r.flags.lease, Guard: &r.guard, Log: r.log,
		}, r.term)
	})
	return group.Wait()
}

// term is the time in which this replica works.
func (r *replica) term(ctx context.Context) error {
	defer r.target.Close()
	if err := r.desk.Open(ctx); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	// The orders of people, and the report to them.
	group.Go(func() error { return r.desk.Run(ctx) })
	// The loop that changes things.
	group.Go(func() error { return r.loop.Run(ctx) })
	return group.Wait()
}

func (r *replica) handler() http.Handler {
	return r.loop.ClusterHandler(reconciler.ClusterOptions{})
}

// identity is this process, and no other: the Pod, or the machine and the process.
func identity() string {
	if name := os.Getenv("POD_NAME"); name != "" {
		return name
	}
	name, err := os.Hostname()
	if err != nil {
		name = "unknown"
	}
	return fmt.Sprintf("%s-%d", name, os.Getpid())
}
