// Command camfleet-worker is what runs for cameras: it records them and shows
// them live (rtsp2hls), and makes day files (hls2mpeg). It holds no CUE, Git or
// Kubernetes code, so that it stays small.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	_ "time/tzdata" // an image without /usr/share/zoneinfo knows the time zones of sites, too

	"github.com/spf13/cobra"
)

// Exit codes, as printed by --help.
const (
	exitOK      = 0
	exitFailed  = 1
	exitUsage   = 2
	exitUnclean = 3
)

const exitHelp = `
Exit codes:
  0  done, or ended by SIGTERM or SIGINT with everything finished
  1  failed; the last line says why
  2  called wrongly
  3  ended by a signal, but something had not finished in time`

// version is set by the linker: -ldflags "-X main.version=…".
var version string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	context.AfterFunc(ctx, stop) // the second signal kills
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// usageError is an error of how the program was called.
type usageError struct{ error }

// uncleanError is an end by signal that left something unfinished.
type uncleanError struct{ error }

// run is the whole program; it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(stderr, "camfleet-worker: %v\n", err)
	var usage usageError
	var unclean uncleanError
	switch {
	case errors.As(err, &usage):
		fmt.Fprintln(stderr, "camfleet-worker --help says how to call it")
		return exitUsage
	case errors.As(err, &unclean):
		return exitUnclean
	}
	return exitFailed
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "camfleet-worker",
		Short:         "Record cameras, show them live, make day files",
		Long:          "Record cameras, show them live, make day files.\n" + exitHelp,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noArgs,
		RunE: func(*cobra.Command, []string) error {
			return usageError{errors.New("say what to do: rtsp2hls, hls2mpeg, nginx-resolver or version")}
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(newRTSP2HLS(), newHLS2MPEG(), newNginxResolver(), newVersion())
	return root
}

// noArgs also catches a misspelt command.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.HasSubCommands() {
		return usageError{fmt.Errorf("unknown command %q", args[0])}
	}
	return usageError{fmt.Errorf("%s takes no argument, got %q", cmd.Name(), args[0])}
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "camfleet-worker", versionString())
			return err
		},
	}
}

// versionString is the linker's version, else the module's, else the commit.
func versionString() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return "devel"
}

// logFlags are the flags of logging.
type logFlags struct {
	format string
	level  slog.Level
}

func (f *logFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.format, "log-format", "text", "text or json")
	cmd.Flags().TextVar(&f.level, "log-level", slog.LevelInfo, "debug, info, warn or error")
}

func (f *logFlags) logger(w io.Writer) (*slog.Logger, error) {
	options := &slog.HandlerOptions{Level: f.level}
	switch f.format {
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	}
	return nil, usageError{fmt.Errorf("--log-format %q: want text or json", f.format)}
}
