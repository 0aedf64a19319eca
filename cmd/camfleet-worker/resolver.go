package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"camfleet.dev/workers/resolver"
)

// newNginxResolver is what a page's init container runs.
func newNginxResolver() *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use:   "nginx-resolver -o FILE",
		Short: "Write nginx's resolver directive from this Pod's resolv.conf",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			if to == "" {
				return usageError{errors.New("-o is missing: the file that nginx includes")}
			}
			return writeResolver(from, to)
		},
	}
	cmd.Flags().StringVarP(&to, "output", "o", "", "file to write")
	cmd.Flags().StringVar(&from, "resolv-conf", "/etc/resolv.conf", "file to read")
	return cmd
}

func writeResolver(from, to string) error {
	conf, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("reading the resolver's configuration: %w", err)
	}
	include, err := resolver.Nginx(conf)
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	// nginx starts after this has ended, so nobody reads half of it.
	if err := os.WriteFile(to, include, 0o644); err != nil {
		return fmt.Errorf("writing nginx's include: %w", err)
	}
	return nil
}
