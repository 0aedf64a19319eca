package main

import (
	"context"
	"regexp"

	"github.com/spf13/cobra"
)

var commitName = regexp.MustCompile(`^[0-9a-fA-F]{1,64}$`)

func notCommit(name string) error {
	return usage("%q is not a commit, such as 3012626c447e: camfleet status says which one waits", name)
}

func (a *app) approveCommand() *cobra.Command {
	return a.orderCommand(&cobra.Command{
		Use:   "approve COMMIT",
		Short: "Let a held commit do what it asks for",
		Long: `approve lets the newest commit remove its cameras, when it removes so many that
camfleet asks first (more than a fifth, more than ten, or a whole site), and lets it
go on where it stopped by itself because cameras did not come back.
camfleet status lists what would go. Recordings stay.`,
		Args: cobra.ExactArgs(1),
	}, func(ctx context.Context, o operator, args []string) (string, error) {
		if !commitName.MatchString(args[0]) {
			return "", notCommit(args[0])
		}
		n, err := o.Approve(ctx, args[0])
		return count(n, "change") + " approved", err
	})
}

func (a *app) suspendCommand() *cobra.Command {
	var reason string
	cmd := a.orderCommand(&cobra.Command{
		Use:   "suspend",
		Short: "Stop applying commits; what runs goes on",
		Long: `suspend stops the reconciler from changing anything, until camfleet resume: commits
are fetched, compiled and shown, and not applied; deleted Pods do not come back.
Cameras record on.`,
		Args: cobra.NoArgs,
	}, func(ctx context.Context, o operator, _ []string) (string, error) {
		return "suspended; camfleet resume goes on", o.Suspend(ctx, reason)
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why, for whoever looks at the status")
	return cmd
}

func (a *app) resumeCommand() *cobra.Command {
	return a.orderCommand(&cobra.Command{
		Use:   "resume",
		Short: "Go on after camfleet suspend",
		Long:  `resume ends a suspension: the newest commit is applied.`,
		Args:  cobra.NoArgs,
	}, func(ctx context.Context, o operator, _ []string) (string, error) {
		return "resumed", o.Resume(ctx)
	})
}
