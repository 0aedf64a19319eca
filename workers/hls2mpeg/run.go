package hls2mpeg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"camfleet.dev/workers/archive"
)

// Run makes the files of all finished local days that are recorded and have
// none yet, the oldest first, and returns their dates. A day that fails does not
// stop the next one; the error is of all of them. Days whose file retention has
// dropped are left alone, and so are those that another process is making.
func Run(ctx context.Context, o Options) (made []string, err error) {
	dates, err := o.missing()
	if err != nil {
		return nil, fmt.Errorf("looking for days without a file: %w", err)
	}
	if err := sweep(filepath.Join(string(o.Dir), archive.DaysFolder)); err != nil {
		return nil, fmt.Errorf("removing what a killed process left: %w", err)
	}
	var errs []error
	for _, date := range dates {
		switch err := Day(ctx, o, date); {
		case ctx.Err() != nil:
			return made, ctx.Err()
		case errors.Is(err, ErrBusy):
			o.Log.Info("another process is making this day file", "date", date)
		case errors.Is(err, ErrEmpty):
			o.Log.Debug("no day file", "date", date, "reason", err)
		case err != nil:
			errs = append(errs, err)
		default:
			made = append(made, date)
		}
	}
	return made, errors.Join(errs...)
}

// missing lists the finished local days that something may be recorded of and
// that have no file.
func (o *Options) missing() (dates []string, err error) {
	first, last, err := o.recorded()
	if err != nil || first.IsZero() {
		return nil, err
	}
	// A day of UTC is part of up to three local ones.
	for day := first.AddDate(0, 0, -1); !day.After(last.AddDate(0, 0, 1)); day = day.AddDate(0, 0, 1) {
		date := day.Format(archive.DateLayout)
		_, to, err := o.bounds(date)
		if err != nil {
			return nil, err
		}
		done, err := o.done(date)
		if err != nil {
			return nil, err
		}
		if !done && !o.now().Before(to.Add(settle)) {
			dates = append(dates, date)
		}
	}
	return dates, nil
}

// recorded is the first and the last day, in UTC, that has a folder of segments.
func (o *Options) recorded() (first, last time.Time, err error) {
	entries, err := os.ReadDir(string(o.Dir))
	if errors.Is(err, fs.ErrNotExist) {
		return first, last, nil // a camera that has not recorded yet
	}
	for _, e := range entries { // sorted by name
		day, perr := time.Parse(archive.DateLayout, e.Name())
		if perr != nil || !e.IsDir() {
			continue
		}
		if first.IsZero() {
			first = day
		}
		last = day
	}
	return first, last, err
}
