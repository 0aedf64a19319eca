package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"camfleet.dev/compiler/manifest"
	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/sandbox"
)

// compileChild is the hidden command that the sandbox runs this program with.
const compileChild = "compile-child"

func (a *app) compileChildCommand() *cobra.Command {
	return &cobra.Command{
		Use: compileChild, Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if code := sandbox.Child(cmd.Context(), a.stdin, a.stdout, a.stderr); code != 0 {
				return &exitError{code: code}
			}
			return nil
		},
	}
}

func (a *app) compileCommand() *cobra.Command {
	var flags compileFlags
	var out string
	cmd := &cobra.Command{
		Use:   "compile [DIR]",
		Short: "Print a fleet's Kubernetes objects",
		Long: `compile turns the fleet in DIR (default: this folder) into plain Kubernetes
objects: one YAML stream, or with -o one file per object in a folder that is new
or empty, named so that what others need comes first: kubectl apply --server-side
-R -f FOLDER fills an empty cluster with them, and -f FOLDER/camfleet-SITE one site.

Sites with problems have no objects; the problems go to standard error.
Exit codes: 0 the fleet is right, 1 it is not, 2 called wrongly.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			res, err := a.compileDir(cmd.Context(), folderArg(args), flags)
			if err != nil {
				return err
			}
			if out == "-" {
				err = writeStream(a.stdout, res.Objects)
			} else {
				err = writeFolder(out, res.Objects)
			}
			if err != nil {
				return err
			}
			if len(res.Problems)+len(res.Warnings) > 0 || out != "-" {
				if err := printText(a.stderr, folderArg(args), res); err != nil {
					return err
				}
			}
			if len(res.Problems) > 0 {
				return &exitError{code: exitFailed}
			}
			return nil
		},
	}
	flags.register(cmd)
	cmd.Flags().StringVarP(&out, "output", "o", "-", "a folder for the files, or - for one stream")
	return cmd
}

func writeStream(w io.Writer, objects []object.Object) error {
	files, err := manifest.Files(objects)
	if err != nil {
		return err
	}
	for _, f := range files {
		if _, err := fmt.Fprintf(w, "---\n%s", f.Data); err != nil {
			return fmt.Errorf("writing %s: %w", f.Name, err)
		}
	}
	return nil
}

// writeFolder writes the objects' files, in the order of whose names they can
// be applied. It refuses a folder with content: a file of a camera that is gone
// would stay and be applied.
func writeFolder(dir string, objects []object.Object) error {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return usage("%s is not empty: name a new folder, files of removed cameras would stay in this one", dir)
	}
	files, err := manifest.Files(objects)
	if err != nil {
		return err
	}
	for _, f := range files {
		name := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return fmt.Errorf("writing %s: %w", f.Name, err)
		}
		if err := os.WriteFile(name, f.Data, 0o644); err != nil {
			return fmt.Errorf("writing %s: %w", f.Name, err)
		}
	}
	return nil
}
