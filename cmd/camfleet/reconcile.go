package main

import (
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"camfleet.dev/reconciler/notify"
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
	hook     string // file with the secret of POST /hook
	marks    notify.Config
	elect    bool
	lease    time.Duration
	log      logFlags
}

func (a *app) reconcileCommand() *cobra.Command {
	flags := reconcileFlags{poll: 15 * time.Second, parallel: 32, elect: true, lease: 15 * time.Second, log: logFlags{format: "json"}}
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
	cmd.Flags().StringVar(&flags.hook, "hook-secret-file", "", "file with the secret that Git servers sign POST /hook with")
	cmd.Flags().StringVar(&flags.marks.Kind, "commit-status", "", "mark commits on the Git server as applied or not: github, gitlab or gitea")
	cmd.Flags().StringVar(&flags.marks.API, "commit-status-api", "", "where its API begins (default: where it usually is on the repository's host)")
	cmd.Flags().StringVar(&flags.marks.TokenFile, "commit-status-token-file", "", "file with a token that may write commit statuses, and nothing else")
	cmd.Flags().StringVar(&flags.marks.Target, "commit-status-link", "", "where a click on the mark leads")
	cmd.Flags().BoolVar(&flags.elect, "leader-elect", flags.elect, "let one of several replicas work at a time")
	cmd.Flags().DurationVar(&flags.lease, "lease", flags.lease, "how long a leader that does not answer keeps the others waiting")
	flags.log.register(cmd)
	flags.compile.registerOne(cmd)
	return cmd
}

// leastLease is what a lease of Kubernetes, in whole seconds, can keep apart.
const leastLease = 2 * time.Second

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
	case f.lease < leastLease || f.lease%time.Second != 0:
		return usage("--lease is whole seconds, at least %s, not %s", leastLease, f.lease)
	}
	return nil
}

// notifier marks commits on the Git server; nil when nobody wants that.
func (f reconcileFlags) notifier(log *slog.Logger) (*notify.Notifier, error) {
	if f.marks.Kind == "" {
		return nil, nil
	}
	f.marks.Repository, f.marks.Context, f.marks.Log = f.source.URL, "camfleet/"+f.compile.cluster, log
	n, err := notify.New(f.marks)
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	return n, nil
}
