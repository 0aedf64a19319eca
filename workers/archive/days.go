package archive

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// droppedSuffix marks a day whose file retention has dropped: what is left of
// its segments is not made into a day file again.
const droppedSuffix = ".dropped"

// DayDropped is the path of the mark that retention leaves in place of a day
// file's manifest. Whoever makes day files leaves such a day alone.
func (d Dir) DayDropped(date string) string {
	return filepath.Join(string(d), DaysFolder, date+droppedSuffix)
}

// day is a local day's files: <date>.mp4, and <date>-2.mp4 and so on where one
// file could not hold all of it.
type day struct {
	date  string
	end   time.Time // of the local day
	files []string
	bytes int64
	// whole is true when the manifest is there, which is written last.
	whole bool
	// dropped is true when retention has begun to drop it.
	dropped bool
}

// dayOf reads the date in the name of a day's file, and what kind of file it is.
func dayOf(name string) (date, kind string, ok bool) {
	kind = filepath.Ext(name)
	stem := strings.TrimSuffix(name, kind)
	if len(stem) < len(DateLayout) {
		return "", "", false
	}
	date, part := stem[:len(DateLayout)], stem[len(DateLayout):]
	if _, err := time.Parse(DateLayout, date); err != nil {
		return "", "", false
	}
	if n, err := strconv.Atoi(strings.TrimPrefix(part, "-")); part != "" && (kind != ".mp4" || err != nil || n < 2) {
		return "", "", false
	}
	return date, kind, true
}

// listDays lists the days that have files, oldest first.
func listDays(fsys FS, dir Dir, loc *time.Location) ([]day, error) {
	entries, err := fsys.ReadDir("days.list", filepath.Join(string(dir), DaysFolder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the day files: %w", err)
	}
	byDate := map[string]*day{}
	for _, e := range entries {
		date, kind, ok := dayOf(e.Name())
		if !ok {
			continue
		}
		d := byDate[date]
		if d == nil {
			d = &day{date: date, end: dayEnd(date, loc)}
			byDate[date] = d
		}
		d.add(e, kind)
	}
	days := make([]day, 0, len(byDate))
	for _, date := range slices.Sorted(maps.Keys(byDate)) {
		if d := byDate[date]; len(d.files) > 0 {
			days = append(days, *d)
		}
	}
	return days, nil
}

func (d *day) add(e fs.DirEntry, kind string) {
	switch kind {
	case ".mp4":
		if info, err := e.Info(); err == nil { // else dropped meanwhile
			d.files = append(d.files, e.Name())
			d.bytes += info.Size()
		}
	case ".json":
		d.whole = true
	case droppedSuffix:
		d.dropped = true
	}
}

// parts are the names of a day's files in the order of time, nil when there is
// but <date>.mp4: with -10 behind -2.
func (d *day) parts() []string {
	if len(d.files) == 1 && d.files[0] == d.date+".mp4" {
		return nil
	}
	return slices.SortedFunc(slices.Values(d.files), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
	})
}

// dayEnd is when a local day ends; it has 23, 24 or 25 hours.
func dayEnd(date string, loc *time.Location) time.Time {
	t, err := time.ParseInLocation(DateLayout, date, loc)
	if err != nil {
		return time.Time{}
	}
	return time.Date(t.Year(), t.Month(), t.Day()+1, 0, 0, 0, 0, loc)
}

// readSeconds reads how much is recorded in a day file from its manifest; 0
// when it does not say. The manifest lists all of a day's segments after that:
// they are not looked at.
func readSeconds(fsys FS, dir Dir, date string) float64 {
	data, err := fsys.ReadFile("days.read", dir.Manifest(date))
	if err != nil {
		return 0
	}
	in := json.NewDecoder(bytes.NewReader(data))
	if brace, err := in.Token(); err != nil || brace != json.Delim('{') {
		return 0
	}
	for in.More() {
		key, err := in.Token()
		if err != nil {
			return 0
		}
		var seconds float64
		var other json.RawMessage
		if key == "seconds" && in.Decode(&seconds) == nil {
			return seconds
		}
		if in.Decode(&other) != nil {
			return 0
		}
	}
	return 0
}

// spareDays are the days that may be dropped: all but the newest, and none that
// is being made.
func (st *store) spareDays(p Policy) []day {
	days, err := listDays(st.fs, st.dir, p.location())
	if err != nil {
		st.log.Warn("cannot tell which day files there are", "error", err)
		return nil
	}
	days = slices.DeleteFunc(days, func(d day) bool { return !d.whole && !d.dropped })
	return days[:max(0, len(days)-1)]
}

// inDayFile tells whether an hour is in a day file, too.
func (st *store) inDayFile(p Policy, at time.Time) bool {
	for _, t := range []time.Time{at, at.Add(time.Hour - time.Millisecond)} {
		date := t.In(p.location()).Format(DateLayout)
		if _, err := st.fs.Stat("days.stat", st.dir.Manifest(date)); err != nil {
			return false
		}
	}
	return true
}

// retainDays drops day files that are too old or too many, never the newest.
func (st *store) retainDays(p Policy, now time.Time) error {
	days, err := listDays(st.fs, st.dir, p.location())
	if err != nil {
		return err
	}
	var sum int64
	for _, d := range days {
		sum += d.bytes
	}
	var errs []error
	for _, d := range st.spareDays(p) {
		why := Reason("")
		switch {
		case d.dropped: // and then somebody stopped us
			why = ReasonAge
		case p.Days.Age > 0 && now.Sub(d.end) > p.Days.Age:
			why = ReasonAge
		case p.Days.Bytes > 0 && sum > p.Days.Bytes:
			why = ReasonBytes
		default:
			return errors.Join(append(errs, st.forgetDays())...)
		}
		if err := st.dropDay(d, why); err != nil {
			errs = append(errs, err) // it stays, and the next one goes
			continue
		}
		sum -= d.bytes
	}
	return errors.Join(append(errs, st.forgetDays())...)
}

// dropDay drops a day file. The mark comes first: without it, the day would be
// made again from what is left of its segments.
func (st *store) dropDay(d day, why Reason) error {
	err := st.fs.Rename("days.mark", st.dir.Manifest(d.date), st.dir.DayDropped(d.date))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("drop day %s: %w", d.date, err)
	}
	for _, name := range d.files {
		path := filepath.Join(string(st.dir), DaysFolder, name)
		if err := st.fs.Remove("days.remove", path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("drop day %s: %w", d.date, err)
		}
	}
	st.indexDirty = true
	st.report(Drop{Reason: why, Days: 1, Bytes: d.bytes})
	return nil
}

// forgetDays removes the marks of days that have no segments any more.
func (st *store) forgetDays() error {
	folder := filepath.Join(string(st.dir), DaysFolder)
	entries, err := st.fs.ReadDir("days.list", folder)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return fmt.Errorf("list the day files: %w", err)
	}
	var old []string
	for _, e := range entries {
		date, ok := strings.CutSuffix(e.Name(), droppedSuffix)
		t, err := time.Parse(DateLayout, date)
		// Two days later no local day of that date reaches into the hour.
		if ok && err == nil && (len(st.hours) == 0 || t.Add(48*time.Hour).Before(st.hours[0].at)) {
			old = append(old, e.Name())
		}
	}
	st.removeNames("days.forget", folder, old)
	return nil
}
