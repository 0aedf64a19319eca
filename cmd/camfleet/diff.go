package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
)

// diffFlags are what diff is told.
type diffFlags struct {
	compile  compileFlags
	target   targetFlags
	format   string
	exitCode bool
}

func (a *app) diffCommand() *cobra.Command {
	var flags diffFlags
	cmd := &cobra.Command{
		Use:   "diff [DIR]",
		Short: "Say what a folder would change in a cluster",
		Long: `diff compiles the fleet in DIR (default: this folder) as it is now, committed or
not, and compares it with what runs in the cluster: which objects would be created,
configured, replaced or deleted, which fields of them, and how much recording that
costs. It changes nothing, and needs no more than reading (the ClusterRole
camfleet-reader). What may be a secret is not shown.

Exit codes: 0 it could be told, 1 the fleet is not right, or with --exit-code
something would change; 2 called wrongly.`,
		Example: "  camfleet diff . --cluster seoul",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.diff(cmd.Context(), folderArg(args), flags)
		},
	}
	flags.target.register(cmd)
	flags.compile.registerOne(cmd)
	cmd.Flags().StringVarP(&flags.format, "output", "o", "text", "text or json")
	cmd.Flags().BoolVar(&flags.exitCode, "exit-code", false, "exit with 1 when something would change, as git diff does")
	return cmd
}

func (a *app) diff(ctx context.Context, dir string, flags diffFlags) error {
	switch {
	case flags.format != "text" && flags.format != "json":
		return usage("unknown output %q: text or json", flags.format)
	case flags.compile.cluster == "":
		return usage("--cluster is the name of the cluster in the fleet's clusters/: only its sites are compared")
	}
	result, err := a.compileDir(ctx, dir, flags.compile)
	if err != nil {
		return err
	}
	printProblems(a.stderr, result.Problems)
	difference, err := a.compare(ctx, result, flags.target)
	if err != nil {
		return err
	}
	if err := a.printDifference(difference, flags.format); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	if len(result.Problems) > 0 || flags.exitCode && len(difference.Objects) > 0 {
		return &exitError{code: exitFailed}
	}
	return nil
}

// compare is what a cluster would have to become.
func (a *app) compare(ctx context.Context, result *object.Result, flags targetFlags) (engine.Difference, error) {
	target, err := flags.cluster(a.logger(slog.LevelError, "text"))
	if err != nil {
		return engine.Difference{}, err
	}
	defer target.Close()
	if result.Fleet.UID == "" { // fleet.cue is broken, and has been told so
		return engine.Difference{}, fmt.Errorf("which objects are this fleet's cannot be told: put its problems right first")
	}
	live, err := target.List(ctx, result.Fleet.UID)
	if err != nil {
		return engine.Difference{}, fmt.Errorf("reading the cluster: %w", err)
	}
	// All turns at once: what would change, not what would change first.
	return engine.Diff(engine.Plan(result, live, engine.Options{Now: time.Now(), AtOnce: 1})), nil
}

func (a *app) printDifference(d engine.Difference, format string) error {
	if format == "json" {
		enc := json.NewEncoder(a.stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(d)
	}
	return d.Write(a.stdout, changeColour(terminal(a.stdout)))
}
