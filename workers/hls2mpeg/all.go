package hls2mpeg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"camfleet.dev/schema"
	"camfleet.dev/workers/archive"
	"camfleet.dev/workers/supervisor"
)

// AllOptions are the options of `camfleet-worker hls2mpeg`.
type AllOptions struct {
	Config  string              // folder with one *.json (schema.WorkerCamera) per camera
	Archive supervisor.Template // of a camera's archive folder: {site}, {camera}
	Date    string              // only this local day; empty: all that are missing
	Log     *slog.Logger
	Now     func() time.Time // time.Now when nil
}

// RunAll makes the missing day files of every camera that wants them, one camera
// after another: the disk is what limits it. One bad camera does not stop the
// others; the error is of all of them.
func RunAll(ctx context.Context, o AllOptions) error {
	if err := o.Archive.Check("site", "camera"); err != nil {
		return fmt.Errorf("the archive's path %w", err)
	}
	if o.Date != "" {
		if _, err := time.Parse(archive.DateLayout, o.Date); err != nil {
			return fmt.Errorf("%q is not a date such as 2026-11-22", o.Date)
		}
	}
	files, err := filepath.Glob(filepath.Join(o.Config, "*.json"))
	if err != nil {
		return fmt.Errorf("listing the cameras in %s: %w", o.Config, err)
	}
	if len(files) == 0 {
		if _, err := os.Stat(o.Config); err != nil {
			return fmt.Errorf("listing the cameras: %w", err)
		}
		o.Log.Warn("no camera is configured", "config", o.Config)
	}
	var errs []error
	for _, file := range files {
		if strings.HasPrefix(filepath.Base(file), ".") {
			continue
		}
		if err := o.camera(ctx, file); err != nil {
			o.Log.Error("making day files", "error", err)
			errs = append(errs, err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return errors.Join(errs...)
}

// camera makes the day files of the camera that a file configures.
func (o *AllOptions) camera(ctx context.Context, file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("reading a camera's configuration: %w", err)
	}
	c, err := supervisor.Parse(file, data)
	if err != nil {
		return err
	}
	if !c.Recording.Days.Enabled {
		return nil
	}
	day, err := o.options(c)
	if err != nil {
		return err
	}
	if o.Date == "" {
		_, err = Run(ctx, day)
	} else if err = Day(ctx, day, o.Date); errors.Is(err, ErrEmpty) {
		day.Log.Info("no day file", "reason", err)
		err = nil
	}
	if err != nil {
		return fmt.Errorf("%s/%s: %w", c.Site, c.Name, err)
	}
	return nil
}

func (o *AllOptions) options(c schema.WorkerCamera) (Options, error) {
	zone, err := time.LoadLocation(c.TimeZone)
	if err != nil {
		return Options{}, fmt.Errorf("%s/%s: %w", c.Site, c.Name, err)
	}
	dir := o.Archive.Path(supervisor.Key{Site: c.Site, Camera: c.Name}, "")
	return Options{
		Dir: archive.Dir(dir), Location: zone, Site: c.Site, Camera: c.Name, Now: o.Now,
		Log: o.Log.With("site", c.Site, "camera", c.Name),
	}, nil
}
