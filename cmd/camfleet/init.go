package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"camfleet.dev/schema/scaffold"
)

func (a *app) initCommand() *cobra.Command {
	var upgrade bool
	var name string
	cmd := &cobra.Command{
		Use:   "init DIR",
		Short: "Write a small fleet to start from",
		Long: `init writes a small fleet into DIR, with the schema beside it so that stock
cue vet and CUE's language server work there. It overwrites nothing.

With --upgrade it brings the schema in an existing fleet up to date.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if upgrade && name != "" {
				return usage("--upgrade changes no name: leave --name out, or edit fleet.cue")
			}
			if upgrade {
				return a.upgradeFleet(args[0])
			}
			if name == "" {
				name = nameFromFolder(args[0])
			}
			return a.initFleet(args[0], name)
		},
	}
	cmd.Flags().BoolVar(&upgrade, "upgrade", false, "refresh the schema of an existing fleet")
	cmd.Flags().StringVar(&name, "name", "", "the fleet's name (default: the folder's)")
	return cmd
}

func (a *app) initFleet(dir, name string) error {
	uid, err := scaffold.NewUID(rand.Reader)
	if err != nil {
		return err
	}
	wrote, err := scaffold.Init(dir, scaffold.Fleet{Name: name, UID: uid})
	if errors.Is(err, scaffold.ErrExists) {
		return usage("%w", err)
	} else if errors.Is(err, scaffold.ErrName) {
		return usage("%w; name another with --name", err)
	} else if err != nil {
		return err
	}
	for _, f := range wrote {
		fmt.Fprintln(a.stdout, filepath.Join(dir, f))
	}
	fmt.Fprintf(a.stdout, `
Next:
  edit %[1]s and put your cameras in
  camfleet check %[2]s
  git -C %[2]s init -b main && git -C %[2]s add -A && git -C %[2]s commit -m "Our fleet"
  camfleet up %[2]s --dir camfleet-state
`, filepath.Join(dir, "sites/home/site.cue"), dir)
	return nil
}

func (a *app) upgradeFleet(dir string) error {
	changed, err := scaffold.Upgrade(dir)
	if errors.Is(err, scaffold.ErrNoFleet) {
		return usage("%w", err)
	} else if err != nil {
		return err
	}
	for _, f := range changed {
		fmt.Fprintln(a.stdout, filepath.Join(dir, f))
	}
	if len(changed) == 0 {
		fmt.Fprintf(a.stdout, "%s has the schema of camfleet %s already\n", dir, version)
	}
	return nil
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// nameFromFolder makes a fleet's name of a folder's.
func nameFromFolder(dir string) string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		abs = dir
	}
	name := strings.Trim(notInNames.ReplaceAllString(strings.ToLower(filepath.Base(abs)), "-"), "-")
	if name == "" {
		return "fleet"
	}
	return name
}
