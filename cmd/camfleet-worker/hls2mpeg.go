package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"camfleet.dev/workers/hls2mpeg"
)

// newHLS2MPEG is what a camera's nightly job runs.
func newHLS2MPEG() *cobra.Command {
	var o hls2mpeg.AllOptions
	var log logFlags
	cmd := &cobra.Command{
		Use:   "hls2mpeg --config DIR --archive TEMPLATE",
		Short: "Make the day files that are missing",
		Long: `Make one MP4 of each finished local day that is recorded and has none yet.
What is done already is left as it is.

DIR holds one *.json per camera. In TEMPLATE, {site} and {camera} are replaced by names.
` + exitHelp,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Config == "" {
				return usageError{errors.New("--config is missing: the folder with one *.json per camera")}
			}
			if err := o.Archive.Check("site", "camera"); err != nil {
				return usageError{fmt.Errorf("--archive: %w", err)}
			}
			logger, err := log.logger(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			o.Log = logger
			return hls2mpeg.RunAll(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Config, "config", "", "folder with one *.json per camera")
	f.StringVar((*string)(&o.Archive), "archive", "", "a camera's archive folder: a path with {site} and {camera}")
	f.StringVar(&o.Date, "date", "", "only this local day, such as 2026-11-22 (default: all that are missing)")
	log.add(cmd)
	return cmd
}
