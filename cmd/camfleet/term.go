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

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"

	"camfleet.dev/compiler"
	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler"
	"camfleet.dev/reconciler/cluster"
	"camfleet.dev/reconciler/control"
	"camfleet.dev/reconciler/engine"
	"camfleet.dev/reconciler/hook"
	"camfleet.dev/reconciler/host"
	"camfleet.dev/reconciler/notify"
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
	view    view
	marks   *notify.Notifier // nil when commits are not marked
	pushed  chan struct{}    // a push that the leader has to be told of
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
	child.Warm = true // a child that waits costs little, and a push is applied sooner
	defer child.Close()
	r.loop.Source = src
	if r.marks != nil {
		r.loop.Source = notify.Reports{Source: src, To: r.marks}
	}
	options := compiler.Options{Cluster: flags.compile.cluster, Reserved: []string{r.reader.Namespace}}
	r.loop.Compile = func(ctx context.Context, files fs.FS) (*object.Result, error) {
		return child.Compile(ctx, files, options)
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
	r := &replica{flags: flags, log: log, pushed: make(chan struct{}, 1)}
	var err error
	if r.marks, err = flags.notifier(log); err != nil {
		return nil, err
	}
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
	cluster.LogTo(log)
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
		Orders: control.Orders{Approve: r.loop.Approve, Suspend: r.loop.Suspend, Resume: r.loop.Resume, Wake: r.loop.Wake},
	}
	r.loop.Cluster, r.loop.Notes, r.loop.Published = r.target, r.desk, r.published
	r.loop.Record = func(c engine.Change) { r.target.Record(context.Background(), c) }
	r.view.target, r.view.asker.Changed = r.target, r.loop.Changed
	r.loop.Cameras, r.loop.Nodes, r.loop.Health = r.view.Cameras, r.view.Nodes, r.view.Health
	r.loop.Targeted, r.loop.Warnings = r.view.compiled, r.view.Warnings
	return r, nil
}

// published tells whoever wants to know how things are.
func (r *replica) published(s status.Status) {
	r.desk.Publish(s)
	if r.marks != nil {
		r.marks.Tell(notify.FromStatus(s))
	}
}

// run answers questions, and reconciles whenever it leads.
func (r *replica) run(ctx context.Context, listener net.Listener) error {
	group, ctx := errgroup.WithContext(ctx)
	// The API: it answers on every replica.
	group.Go(func() error { return host.Serve(ctx, listener, r.handler(), r.log) })
	// Pushes that a replica hears of which does not lead.
	group.Go(func() error { return r.forward(ctx) })
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
	// Cameras that are not ready are asked why.
	group.Go(func() error { return r.view.asker.Run(ctx, r.target.Observe) })
	// Marks of commits on the Git server.
	if r.marks != nil {
		group.Go(func() error { return r.marks.Run(ctx) })
	}
	// The loop that changes things.
	group.Go(func() error { return r.loop.Run(ctx) })
	return group.Wait()
}

// handler is what every replica answers.
func (r *replica) handler() http.Handler {
	hooks := &hook.Handler{Wake: r.wake, Log: r.log}
	if r.flags.hook != "" {
		hooks.Secret = r.flags.hookSecret
	}
	options := reconciler.ClusterOptions{Hook: hooks, Collectors: []prometheus.Collector{hooks}}
	if r.marks != nil {
		options.Collectors = append(options.Collectors, r.marks)
	}
	if r.flags.elect {
		options.Standby = (&standby{reader: r.reader, guard: &r.guard}).Status
	}
	return r.loop.ClusterHandler(options)
}

// hookSecret reads the secret anew, so that it can be replaced.
func (f reconcileFlags) hookSecret() ([]byte, error) { return os.ReadFile(f.hook) }

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
