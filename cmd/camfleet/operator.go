package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/tools/clientcmd"

	"camfleet.dev/reconciler"
	"camfleet.dev/reconciler/control"
	"camfleet.dev/reconciler/host"
	"camfleet.dev/reconciler/status"
)

// operator is a running reconciler, as its owner talks to it: the one of this
// machine, or the one of a cluster.
type operator interface {
	// Status is how things are, and what there is to say of the reconciler itself.
	Status(ctx context.Context) (status.Status, string, error)
	// Watch calls f with the status as it is and whenever it changes.
	Watch(ctx context.Context, f func(status.Status, string) error) error
	// Approve returns the number of held changes that may happen now.
	Approve(ctx context.Context, commit string) (int, error)
	Suspend(ctx context.Context, reason string) error
	Resume(ctx context.Context) error
}

// operatorFlags say which reconciler is meant.
type operatorFlags struct {
	dir    string
	target targetFlags
}

// clusterFlags are those that only a cluster has.
var clusterFlags = []string{"kubeconfig", "context", "namespace", "name"}

func (f *operatorFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.dir, "dir", defaultState, "state folder of camfleet up or demo on this machine")
	f.target.register(cmd)
}

// operatorHelp is for the long help of commands that talk to a reconciler.
const operatorHelp = `
It talks to the camfleet that runs on a state folder of this machine (--dir), or,
with --context, --kubeconfig, --namespace or --name, to the one in a cluster. With
none of them it is the state folder if there is one, else the cluster that
KUBECONFIG or ~/.kube/config name. In a cluster the rights of Kubernetes decide who
may: the ClusterRoles camfleet-viewer and camfleet-operator.`

// choose finds the reconciler that is meant.
func (f operatorFlags) choose(cmd *cobra.Command) (operator, error) {
	named := slices.ContainsFunc(clusterFlags, cmd.Flags().Changed)
	if named && cmd.Flags().Changed("dir") {
		return nil, usage("--dir is for this machine, --kubeconfig, --context, --namespace and --name are for a cluster: name one of both")
	}
	if _, err := os.Stat(f.dir); !named && (err == nil || cmd.Flags().Changed("dir") || !hasKubeconfig()) {
		return machine{client(f.dir)}, nil
	}
	reader, err := f.target.reader()
	return remote{reader}, err
}

// hasKubeconfig tells whether a cluster is configured, for whoever names none.
func hasKubeconfig() bool {
	if os.Getenv(clientcmd.RecommendedConfigPathEnvVar) != "" {
		return true
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return false
	}
	_, err = os.Stat(filepath.Join(home, clientcmd.RecommendedHomeDir, clientcmd.RecommendedFileName))
	return err == nil
}

func client(dir string) reconciler.Client {
	return reconciler.Client{Dial: func(ctx context.Context) (net.Conn, error) { return host.DialControl(ctx, dir) }}
}

// machine is the reconciler of this machine.
type machine struct{ reconciler.Client }

// Status implements operator.
func (m machine) Status(ctx context.Context) (status.Status, string, error) {
	s, err := m.Client.Status(ctx)
	return s, "", err
}

// watchEvery is how often a machine's status is asked for.
const watchEvery = time.Second

// Watch implements operator.
func (m machine) Watch(ctx context.Context, f func(status.Status, string) error) error {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		s, note, err := m.Status(ctx)
		if err == nil {
			err = f(s, note)
		}
		if err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// remote is the reconciler of a cluster.
type remote struct{ control.Reader }

// Status implements operator.
func (r remote) Status(ctx context.Context) (status.Status, string, error) {
	report, err := r.Reader.Status(ctx)
	return report.Status, note(report), err
}

// note says that what is shown is old, when nobody leads.
func note(report control.Report) string {
	if l := report.Leader; l != nil && !l.Alive() {
		return l.String() + "; what follows is what it last said"
	}
	return ""
}

// Watch implements operator.
func (r remote) Watch(ctx context.Context, f func(status.Status, string) error) error {
	return r.Reader.Watch(ctx, func(report control.Report) error { return f(report.Status, note(report)) })
}

// Approve implements operator.
func (r remote) Approve(ctx context.Context, commit string) (int, error) {
	_, n, err := r.Reader.Approve(ctx, commit)
	return n, err
}

var _, _ operator = machine{}, remote{}

// orderCommand is a command that says one thing to a reconciler.
func (a *app) orderCommand(cmd *cobra.Command, order func(ctx context.Context, o operator, args []string) (string, error)) *cobra.Command {
	var flags operatorFlags
	cmd.Long += "\n" + operatorHelp
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o, err := flags.choose(cmd)
		if err != nil {
			return err
		}
		text, err := order(cmd.Context(), o, args)
		if err != nil {
			return err
		}
		if _, note, err := o.Status(cmd.Context()); err == nil && note != "" {
			fmt.Fprintln(a.stderr, "camfleet: nobody leads; it is obeyed once somebody does")
		}
		_, err = fmt.Fprintln(a.stdout, text)
		return err
	}
	flags.register(cmd)
	return cmd
}
