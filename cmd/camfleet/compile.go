package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

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
or empty. kubectl apply --server-side -R -f FOLDER takes them.

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
	for _, o := range objects {
		text, err := yaml.JSONToYAML(o.Body)
		if err != nil {
			return fmt.Errorf("writing %s: %w", o.ID, err)
		}
		if _, err := fmt.Fprintf(w, "---\n%s", text); err != nil {
			return fmt.Errorf("writing %s: %w", o.ID, err)
		}
	}
	return nil
}

// writeFolder writes FOLDER/<namespace>/<kind>-<name>.yaml. It refuses a folder
// with content: a file of a camera that is gone would stay and be applied.
func writeFolder(dir string, objects []object.Object) error {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return usage("%s is not empty: name a new folder, files of removed cameras would stay in this one", dir)
	}
	for _, o := range objects {
		text, err := yaml.JSONToYAML(o.Body)
		if err != nil {
			return fmt.Errorf("writing %s: %w", o.ID, err)
		}
		folder := o.Namespace
		if folder == "" {
			folder = o.Name // a Namespace lies with what is in it
		}
		name := filepath.Join(dir, folder, strings.ToLower(o.Kind)+"-"+o.Name+".yaml")
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return fmt.Errorf("writing %s: %w", o.ID, err)
		}
		if err := os.WriteFile(name, text, 0o644); err != nil {
			return fmt.Errorf("writing %s: %w", o.ID, err)
		}
	}
	return nil
}
