// Command camfleet is GitOps for camera sites: it checks and compiles a fleet
// described in CUE, and keeps this machine (or a cluster) equal to it.
//
// Exit codes: 0 when all went well, 1 when the fleet is not right or the work
// failed, 2 when it was called wrongly.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	_ "time/tzdata" // an image holds nothing but this program

	"github.com/spf13/cobra"
	_ "golang.org/x/crypto/x509roots/fallback" // the same for certificate authorities, where the system has none
)

// version is set by the linker.
var version = "dev"

const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal asks to end in order; with the handler gone, a second one kills.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// app is what every command shares: where it reads and writes.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
}

// exitError ends the program with a code. What is wrong has been printed when
// it wraps nothing.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usage marks an error as a wrong call.
func usage(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var exit *exitError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return exitOK // stopped by its owner
	case !errors.As(err, &exit):
		fmt.Fprintf(stderr, "camfleet: %v\n", err)
		return exitFailed
	}
	if exit.err != nil {
		fmt.Fprintf(stderr, "camfleet: %v\n", exit.err)
	}
	if exit.code == exitUsage {
		fmt.Fprintln(stderr, "See camfleet --help, and camfleet COMMAND --help.")
	}
	return exit.code
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "camfleet",
		Short: "GitOps for camera sites",
		Long: `camfleet keeps cameras, recordings and their page equal to what a Git
repository says in CUE.

  camfleet init my-fleet     write a small fleet to start from
  camfleet check my-fleet    see whether it is right
  camfleet up my-fleet       run it on this machine

Exit codes: 0 all went well, 1 the fleet is not right or the work failed,
2 called wrongly.`,
		SilenceUsage:               true,
		SilenceErrors:              true,
		Version:                    version,
		SuggestionsMinimumDistance: 2,
		Args:                       noCommand,
		RunE:                       func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(wrongCall)
	root.AddCommand(
		a.initCommand(), a.checkCommand(), a.compileCommand(), a.upCommand(), a.demoCommand(), a.reconcileCommand(), a.applyCommand(), a.diffCommand(), a.rollbackCommand(), a.statusCommand(),
		a.approveCommand(), a.suspendCommand(), a.resumeCommand(), a.exportCommand(), a.fakecamCommand(), a.versionCommand(), a.compileChildCommand(),
	)
	root.SetVersionTemplate(versionText())
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" { // cobra's own would print its help and succeed
			cmd.Args = cobra.ArbitraryArgs
			cmd.RunE = func(*cobra.Command, []string) error {
				return usage("completion of which shell? camfleet completion bash, zsh, fish or powershell")
			}
		}
	}
	wrapArgs(root)
	return root
}

// noCommand is what root says to a name that is no command.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = fmt.Sprintf("; did you mean %q?", near[0])
	}
	return fmt.Errorf("unknown command %q%s", args[0], hint)
}

// wrongCall is a usage error that says of which command; camfleet's own name is
// in front of every error already.
func wrongCall(cmd *cobra.Command, err error) error {
	if !cmd.HasParent() {
		return usage("%w", err)
	}
	return usage("%s: %w", strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" "), err)
}

// wrapArgs makes a wrong number of arguments, and an unknown command, a usage error.
func wrapArgs(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return wrongCall(cmd, err)
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		wrapArgs(sub)
	}
}
