package hls2mpeg

import (
	"context"
	"encoding/json"
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
	return time.Date(y, m, d, 0, 0, 0, 0, o.Location), time.Date(y, m, d+1, 0, 0, 0, 0, o.Location), nil
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

// done says whether the day's manifest is there: it is written last.
func (o *Options) done(date string) (bool, error) {
	_, err := os.Stat(o.Dir.Manifest(date))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (o *Options) day(ctx context.Context, date string, from, to time.Time) error {
	began := o.now()
	var plan *plan
	pick := func(e archive.Entry) bool { return !e.Time().Before(from) && e.Time().Before(to) }
	files, err := retry(func() ([]File, error) {
		p := newPlanner(o.Dir, from, o.Log)
		if err := p.scan(ctx, from, to, pick); err != nil {
			return nil, err
		}
		if plan = &p.plan; len(plan.parts) == 0 {
			return nil, plan.empty()
		}
		if err := p.tail(ctx, to, o.now()); err != nil {
			return nil, err
		}
		path := o.Dir.DayFile(date)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, err
		}
		out := output{dir: o.Dir, path: path, progress: o.Progress}
		return out.make(ctx, plan)
	})
	if err != nil {
		return err
	}
	if err := o.dropExtra(date, len(files)); err != nil {
		return err
	}
	m := plan.manifest(files)
	m.Site, m.Camera, m.Config = o.Site, o.Camera, o.Config
	m.Date, m.TimeZone, m.From, m.To = date, o.Location.String(), from, to
	if err := writeManifest(o.Dir.Manifest(date), m); err != nil {
		return err
	}
	o.Log.Info("made a day file", "date", date, "files", len(files), "bytes", m.Bytes, "seconds", m.Seconds,
		"sessions", m.Sessions, "gaps", len(m.Gaps), "skipped", len(m.Skipped), "took", o.now().Sub(began))
	return nil
}

// retry makes a plan and its files again when retention was faster.
func retry(do func() ([]File, error)) (files []File, err error) {
	for range attempts {
		if files, err = do(); !errors.Is(err, errChanged) {
			break
		}
	}
	return files, err
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
	since := p.plan.end(p.last)
	cause := ""
	for hour := to; hour.Before(now) && hour.Before(to.Add(48*time.Hour)); hour = hour.Add(time.Hour) {
		found, err := scanArchive(ctx, p.dir, hour, hour.Add(time.Hour))
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

// end is when the recording ends, on the wall clock.
func (p *plan) end(last archive.Entry) int64 { return last.End().UnixMilli() }

// dropExtra removes parts of an earlier attempt that had more of them.
func (o *Options) dropExtra(date string, parts int) error {
	for n := parts; ; n++ {
		err := os.Remove(partPath(o.Dir.DayFile(date), n))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (p *plan) manifest(files []File) Manifest {
	m := Manifest{Version: 1, Sessions: p.sessions, Files: files, Gaps: p.gaps, Skipped: p.skipped}
	for _, f := range files {
		m.Bytes += f.Bytes
		m.Seconds += f.Seconds
		m.Frames += f.Tracks[0].Samples
	}
	for _, pt := range p.parts {
		for _, s := range pt.sources {
			m.Segments = append(m.Segments, [4]int64{s.start, s.duration, int64(s.frames), s.size})
		}
	}
	return m
}

func writeManifest(path string, m Manifest) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	temp := path + partSuffix
	if err := writeSync(temp, append(b, '\n')); err != nil {
		return fmt.Errorf("writing the manifest: %w", err)
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func writeSync(path string, b []byte) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if serr := f.Sync(); err == nil {
		err = serr
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}
