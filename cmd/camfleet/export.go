package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"camfleet.dev/workers/archive"
	"camfleet.dev/workers/hls2mpeg"
	"camfleet.dev/workers/supervisor"
)

type exportFlags struct {
	dir, archive, out, zone string
	from, to                string
}

func (a *app) exportCommand() *cobra.Command {
	var flags exportFlags
	cmd := &cobra.Command{
		Use:   "export SITE/CAMERA --from TIME --to TIME -o FILE.mp4",
		Short: "Save a stretch of a recording as one MP4",
		Long: `export joins what is recorded of a camera between two times into one MP4,
without encoding it again. It begins at the key frame at or before --from.

Times are in the site's time zone: 2026-11-23T09:00, 2026-11-23T09:00:30, with
an offset (2026-11-23T09:00:00Z), or that long ago: -15m, -2h.`,
		Example: "  camfleet export gate/north --from -10m --to -5m -o clip.mp4",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.export(cmd.Context(), args[0], flags, time.Now())
		},
	}
	cmd.Flags().StringVar(&flags.dir, "dir", defaultState, "state folder of camfleet up")
	cmd.Flags().StringVar(&flags.archive, "archive", "", "folder of the recordings (default: archive in the state folder)")
	cmd.Flags().StringVar(&flags.from, "from", "", "begin")
	cmd.Flags().StringVar(&flags.to, "to", "-0s", "end")
	cmd.Flags().StringVar(&flags.zone, "time-zone", "", "of --from and --to (default: the site's)")
	cmd.Flags().StringVarP(&flags.out, "output", "o", "", "the file to write")
	return cmd
}

func (a *app) export(ctx context.Context, name string, flags exportFlags, now time.Time) error {
	site, camera, ok := strings.Cut(name, "/")
	if !ok || site == "" || camera == "" || strings.ContainsAny(camera, `/\`) || strings.HasPrefix(name, ".") {
		return usage("%q is not SITE/CAMERA, such as gate/north", name)
	}
	if flags.out == "" || flags.from == "" {
		return usage("export needs --from TIME and -o FILE.mp4")
	}
	root := flags.archive
	if root == "" {
		root = filepath.Join(flags.dir, "archive")
	}
	dir := filepath.Join(root, site, camera)
	if _, err := os.Stat(dir); err != nil {
		return usage("no recordings of %s: %w (there are: %s)", name, err, recorded(root))
	}
	zone, err := exportZone(flags, site, camera)
	if err != nil {
		return err
	}
	from, err := parseTime(flags.from, zone, now)
	if err != nil {
		return usage("--from: %w", err)
	}
	to, err := parseTime(flags.to, zone, now)
	if err != nil {
		return usage("--to: %w", err)
	}
	if !from.Before(to) {
		return usage("--from %s is not before --to %s", from.Format(time.DateTime), to.Format(time.DateTime))
	}
	return a.writeExport(ctx, hls2mpeg.Options{Dir: archive.Dir(dir), Location: zone, Site: site, Camera: camera}, from, to, flags.out)
}

func (a *app) writeExport(ctx context.Context, o hls2mpeg.Options, from, to time.Time, out string) error {
	bar := newProgress(a.stderr, out)
	o.Progress, o.Log = bar.set, a.logger(slog.LevelWarn, "text")
	m, err := hls2mpeg.Export(ctx, o, from, to, out)
	bar.end()
	if errors.Is(err, hls2mpeg.ErrEmpty) {
		return fmt.Errorf("nothing is recorded of %s/%s from %s to %s", o.Site, o.Camera, from.Format(time.DateTime), to.Format(time.DateTime))
	} else if err != nil {
		return err
	}
	for _, f := range m.Files {
		fmt.Fprintf(a.stdout, "%s: %.1f s, %.1f MB\n", filepath.Join(filepath.Dir(out), f.Name), f.Seconds, float64(f.Bytes)/1e6)
	}
	for _, g := range m.Gaps {
		fmt.Fprintf(a.stdout, "  not recorded: %s to %s (%s)\n", time.UnixMilli(g.Since).In(o.Location).Format(time.DateTime),
			time.UnixMilli(g.Until).In(o.Location).Format(time.DateTime), orUnknown(g.Cause))
	}
	for _, s := range m.Skipped {
		fmt.Fprintf(a.stdout, "  left out: %s: %s\n", s.Segment, s.Reason)
	}
	return nil
}

func orUnknown(cause string) string {
	if cause == "" {
		return "cause not known"
	}
	return cause
}

// exportZone is the site's time zone, as the camera's worker knows it.
func exportZone(flags exportFlags, site, camera string) (*time.Location, error) {
	zone := flags.zone
	if zone == "" {
		configs, _ := filepath.Glob(filepath.Join(flags.dir, "workers", "*", site+"."+camera+".json"))
		for _, c := range configs {
			if b, err := os.ReadFile(c); err == nil {
				if w, err := supervisor.Parse(c, b); err == nil {
					zone = w.TimeZone
				}
			}
		}
	}
	if zone == "" {
		return time.Local, nil
	}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return nil, usage("--time-zone: %w", err)
	}
	return loc, nil
}

// parseTime reads a time in a zone, or how long ago it was.
func parseTime(s string, zone *time.Location, now time.Time) (time.Time, error) {
	if ago, ok := strings.CutPrefix(s, "-"); ok {
		d, err := time.ParseDuration(ago)
		if err != nil {
			return time.Time{}, fmt.Errorf("%q is not how long ago, such as -15m", s)
		}
		return now.Add(-d).In(zone), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateTime, "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, s, zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time such as 2026-11-23T09:00 or -15m", s)
}

// recorded lists the cameras that have recordings.
func recorded(root string) string {
	dirs, _ := filepath.Glob(filepath.Join(root, "*", "*"))
	var names []string
	for _, d := range dirs {
		names = append(names, filepath.Base(filepath.Dir(d))+"/"+filepath.Base(d))
	}
	if len(names) == 0 {
		return "none in " + root
	}
	return strings.Join(names, ", ")
}
