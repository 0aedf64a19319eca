package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"camfleet.dev/compiler"
	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/sandbox"
)

// compileFlags are what check and compile share.
type compileFlags struct {
	cluster  string
	deadline time.Duration
	memory   uint64 // MiB
}

func (f *compileFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.cluster, "cluster", "", "only the sites of this cluster (default: all)")
	f.registerLimits(cmd)
}

// registerOne is register where it must be one cluster.
func (f *compileFlags) registerOne(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.cluster, "cluster", "", "name of the cluster in the fleet's clusters/ (required)")
	f.registerLimits(cmd)
}

func (f *compileFlags) registerLimits(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&f.deadline, "deadline", time.Minute, "how long compiling may take")
	cmd.Flags().Uint64Var(&f.memory, "memory", 1024, "how much memory compiling may take, in MiB")
}

// leastMemory is what the smallest fleet takes to compile, in MiB.
const leastMemory = 64

func (f *compileFlags) validate() error {
	switch {
	case f.deadline <= 0:
		return usage("--deadline is how long compiling may take, such as 1m, not %s", f.deadline)
	case f.memory < leastMemory:
		return usage("--memory is in MiB, and at least %d, not %d", leastMemory, f.memory)
	}
	return nil
}

// compiler is a sandbox around this same program.
func (a *app) compiler(f compileFlags, log *slog.Logger) (*sandbox.Compiler, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	return &sandbox.Compiler{
		Command: []string{self, compileChild}, Deadline: f.deadline, Memory: f.memory << 20, Log: log,
	}, nil
}

// compileDir compiles a folder as it is now, committed or not.
func (a *app) compileDir(ctx context.Context, dir string, f compileFlags) (*object.Result, error) {
	if err := f.validate(); err != nil {
		return nil, err
	}
	files, closeDir, err := openFleet(dir)
	if err != nil {
		return nil, err
	}
	defer closeDir()
	c, err := a.compiler(f, a.logger(slog.LevelWarn, "text"))
	if err != nil {
		return nil, err
	}
	return c.Compile(ctx, files, compiler.Options{Cluster: f.cluster})
}

// openFleet opens a folder so that nothing outside it can be read through links.
func openFleet(dir string) (fs.FS, func(), error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, nil, usage("opening the fleet's folder: %w", err)
	}
	// A fleet that has lost its fleet.cue is a fleet with a problem, which the
	// compiler says; another folder is a wrong call.
	if !slices.ContainsFunc([]string{"fleet.cue", "sites", "clusters", "cue.mod"}, func(name string) bool {
		_, err := root.Stat(name)
		return err == nil
	}) {
		root.Close()
		return nil, nil, usage("%s has no fleet.cue: name a fleet's folder, or make one with camfleet init %s", dir, dir)
	}
	return root.FS(), func() { root.Close() }, nil
}

func (a *app) checkCommand() *cobra.Command {
	var flags compileFlags
	var format string
	cmd := &cobra.Command{
		Use:   "check [DIR]",
		Short: "Say whether a fleet is right",
		Long: `check compiles the fleet in DIR (default: this folder) and prints every
problem with its file, line and column. It needs no cluster and changes nothing.

Exit codes: 0 the fleet is right, 1 it is not, 2 called wrongly.`,
		Example: "  camfleet check .\n  camfleet check -o github .   # annotations on a pull request",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			printer, ok := printers[format]
			if !ok {
				return usage("unknown output %q: text, json or github", format)
			}
			res, err := a.compileDir(cmd.Context(), folderArg(args), flags)
			if err != nil {
				return err
			}
			if err := printer(a.stdout, folderArg(args), res); err != nil {
				return fmt.Errorf("printing: %w", err)
			}
			if len(res.Problems) > 0 {
				return &exitError{code: exitFailed}
			}
			return nil
		},
	}
	flags.register(cmd)
	cmd.Flags().StringVarP(&format, "output", "o", "text", "text, json or github")
	return cmd
}

func folderArg(args []string) string {
	if len(args) == 0 {
		return "."
	}
	return args[0]
}

var printers = map[string]func(io.Writer, string, *object.Result) error{
	"text": printText, "json": printJSON, "github": printGitHub,
}

func printText(w io.Writer, dir string, res *object.Result) error {
	var b strings.Builder
	for _, p := range res.Problems {
		fmt.Fprintln(&b, p.Error())
	}
	for _, p := range res.Warnings {
		fmt.Fprintf(&b, "%s (warning)\n", p.Error())
	}
	fmt.Fprintf(&b, "%s: %s\n", dir, summary(res))
	_, err := io.WriteString(w, b.String())
	return err
}

func summary(res *object.Result) string {
	cameras, broken := 0, 0
	for _, s := range res.Sites {
		cameras += len(s.Cameras)
		if s.Broken {
			broken++
		}
	}
	switch n := len(res.Problems); {
	case n > 0 && broken == 0:
		return fmt.Sprintf("%s; the fleet would stay as it is", count(n, "problem"))
	case n > 0:
		return fmt.Sprintf("%s; %s of %d would stay as it is", count(n, "problem"), count(broken, "site"), len(res.Sites))
	}
	return fmt.Sprintf("%s on %s, %s: right", count(cameras, "camera"), count(len(res.Sites), "site"), count(len(res.Objects), "object"))
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func printJSON(w io.Writer, _ string, res *object.Result) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(struct {
		Sites    []object.Site    `json:"sites"`
		Problems []object.Problem `json:"problems"`
		Warnings []object.Problem `json:"warnings"`
	}{orEmpty(res.Sites), orEmpty(res.Problems), orEmpty(res.Warnings)})
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// printGitHub prints workflow commands, which GitHub shows beside the lines of
// a pull request (docs.github.com, "Workflow commands": % CR LF are escaped).
func printGitHub(w io.Writer, dir string, res *object.Result) error {
	escape := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	line := func(level string, p object.Problem) error {
		message := p.Message
		if p.Path != "" {
			message = p.Path + ": " + message
		}
		_, err := fmt.Fprintf(w, "::%s file=%s,line=%d,col=%d::%s\n", level, property.Replace(path.Join(filepath.ToSlash(dir), p.File)),
			max(p.Line, 1), max(p.Column, 1), escape.Replace(message))
		return err
	}
	for _, p := range res.Problems {
		if err := line("error", p); err != nil {
			return err
		}
	}
	for _, p := range res.Warnings {
		if err := line("warning", p); err != nil {
			return err
		}
	}
	return nil
}
