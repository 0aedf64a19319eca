package hls2mpeg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"camfleet.dev/workers/archive"
)

// settle is how long after its end a day is finished: the segment that began
// before midnight has to end and to be journalled.
const settle = 2 * time.Minute

// attempts bounds how often a plan is made again because retention dropped a
// segment of it.
const attempts = 5

// ErrEmpty: nothing was recorded that day, so there is no file to make.
var ErrEmpty = errors.New("nothing is recorded")

// Options say which camera's recordings become which day's file. Dir, Location
// and Log must be set.
type Options struct {
	Dir      archive.Dir
	Location *time.Location // the site's
	Log      *slog.Logger

	Site, Camera string // for the manifest
	Config       string // the commit of the configuration, if known
	// Now is the wall clock; time.Now when nil.
	Now func() time.Time
	// Progress is told how many bytes of how many are copied, if it is set.
	Progress func(done, total int64)
}

func (o *Options) now() time.Time {
	if o.Now == nil {
		return time.Now()
	}
	return o.Now()
}

// bounds is the local day: 23, 24 or 25 hours, whatever the clocks do.
func (o *Options) bounds(date string) (from, to time.Time, err error) {
	day, err := time.Parse(archive.DateLayout, date)
	if err != nil {
		return from, to, fmt.Errorf("%q is not a date such as 2026-11-22", date)
	}
	y, m, d := day.Date()
	return dayStart(y, m, d, o.Location), dayStart(y, m, d+1, o.Location), nil
}

// dayStart is the first moment of a local day. Where clocks go forward at
// midnight there is no 00:00, and time.Date gives an hour of the day before; where
// they go back over it there are two, and time.Date says nothing of which it gives.
func dayStart(y int, m time.Month, d int, loc *time.Location) time.Time {
	t := time.Date(y, m, d, 0, 0, 0, 0, loc)
	since, until := t.ZoneBounds()
	want := time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Format(archive.DateLayout) // d may be 32
	if got := t.Format(archive.DateLayout); got < want {
		return until
	} else if got > want || t.Hour() != 0 || t.Minute() != 0 {
		return since
	}
	if !since.IsZero() {
		_, offset := since.Add(-time.Second).Zone()
		first := time.Date(y, m, d, 0, 0, 0, 0, time.FixedZone("", offset)).In(loc)
		if first.Before(since) && !first.After(t) {
			return first
		}
	}
	return t
}

// Day makes the file of one finished local day, and its manifest. A day that is
// done already is left as it is. ErrEmpty: nothing is recorded of that day.
func Day(ctx context.Context, o Options, date string) error {
	from, to, err := o.bounds(date)
	if err != nil {
		return err
	}
	if now := o.now(); now.Before(to.Add(settle)) {
		return fmt.Errorf("%s is not over in %s: it can be made from %s", date, o.Location, to.Add(settle).Format(time.RFC3339))
	}
	if done, err := o.done(date); done || err != nil {
		return err
	}
	if err := o.day(ctx, date, from, to); err != nil {
		return fmt.Errorf("making the day file %s: %w", date, err)
	}
	return nil
}

// done says whether the day's manifest is there, which is written last, or the
// mark of a day file that retention has dropped.
func (o *Options) done(date string) (bool, error) {
	for _, path := range []string{o.Dir.Manifest(date), o.Dir.DayDropped(date)} {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return err == nil, err
		}
	}
	return false, nil
}

func (o *Options) day(ctx context.Context, date string, from, to time.Time) error {
	began := o.now()
	path := o.Dir.DayFile(date)
	pick := func(e archive.Entry) bool { return !e.Time().Before(from) && e.Time().Before(to) }
	m, err := o.join(ctx, path, from, to, pick, func(p *planner) error {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		return p.tail(ctx, to, began)
	})
	if err != nil {
		return err
	}
	if err := dropExtra(path, len(m.Files)); err != nil {
		return err
	}
	m.Date = date
	if err := m.write(o.Dir.Manifest(date)); err != nil {
		return err
	}
	o.Log.Info("made a day file", "date", date, "files", len(m.Files), "bytes", m.Bytes, "seconds", m.Seconds,
		"sessions", m.Sessions, "gaps", len(m.Gaps), "skipped", len(m.Skipped), "took", o.now().Sub(began))
	return archive.UpdateIndex(o.Dir)
}

// join makes the files of what pick wants, and their manifest. Where retention
// drops a segment before it is copied, it begins again; more, if set, adds to
// the plan.
func (o *Options) join(
	ctx context.Context, path string, from, to time.Time, pick func(archive.Entry) bool, more func(*planner) error,
) (m Manifest, err error) {
	for range attempts {
		if m, err = o.attempt(ctx, path, from, to, pick, more); !errors.Is(err, errChanged) {
			break
		}
	}
	m.Site, m.Camera, m.Config, m.From, m.To = o.Site, o.Camera, o.Config, from, to
	if o.Location != nil {
		m.TimeZone = o.Location.String()
	}
	return m, err
}

func (o *Options) attempt(
	ctx context.Context, path string, from, to time.Time, pick func(archive.Entry) bool, more func(*planner) error,
) (Manifest, error) {
	p, err := makePlan(ctx, o.Dir, from, to, pick, o.Log)
	if err != nil {
		return Manifest{}, err
	}
	defer p.plan.free()
	if more != nil {
		if err := more(p); err != nil {
			return Manifest{}, err
		}
	}
	out := output{dir: o.Dir, path: path, progress: o.Progress}
	files, err := out.make(ctx, &p.plan)
	if err != nil {
		return Manifest{}, err
	}
	return p.plan.manifest(files), nil
}

// empty says why there is nothing to make a file of.
func (p *plan) empty() error {
	if n := len(p.skipped); n > 0 {
		return fmt.Errorf("%w that can be read: %d segments are damaged, the first is %s: %s",
			ErrEmpty, n, p.skipped[0].Segment, p.skipped[0].Reason)
	}
	return ErrEmpty
}

// tail notes the gap between the last segment and the end of the day. Its cause
// is known to the segment that ended it, if there is one.
func (p *planner) tail(ctx context.Context, to, now time.Time) error {
	since := p.last.End().UnixMilli()
	cause := ""
	for hour := to; hour.Before(now) && hour.Before(to.Add(48*time.Hour)); hour = hour.Add(time.Hour) {
		found, err := archive.Scan(ctx, p.dir, hour, hour.Add(time.Hour))
		if err != nil {
			return fmt.Errorf("reading the journal of %s: %w", p.dir, err)
		}
		for _, l := range found {
			if l.Time().Before(to) {
				continue
			}
			if l.Gap != nil {
				cause = l.Gap.Cause
			}
			p.gap(since, min(l.Start, to.UnixMilli()), cause)
			return nil
		}
	}
	p.gap(since, to.UnixMilli(), cause)
	return nil
}

// dropExtra removes parts of an earlier attempt that had more of them.
func dropExtra(path string, parts int) error {
	for n := parts; ; n++ {
		err := os.Remove(partPath(path, n))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
