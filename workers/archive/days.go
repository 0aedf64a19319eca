package archive

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
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

// day is a day file.
type day struct {
	date  string
	end   time.Time // of the local day
	bytes int64
}

// listDays lists the day files, oldest first.
func listDays(fsys FS, dir Dir, loc *time.Location) ([]day, error) {
	folder := filepath.Join(string(dir), DaysFolder)
	entries, err := fsys.ReadDir("days.list", folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the day files: %w", err)
	}
	var days []day
	for _, e := range entries {
		date, ok := strings.CutSuffix(e.Name(), ".mp4")
		t, terr := time.ParseInLocation(DateLayout, date, loc)
		if !ok || terr != nil {
			continue
		}
		info, err := e.Info()
		if err != nil {
			continue // dropped meanwhile
		}
		end := time.Date(t.Year(), t.Month(), t.Day()+1, 0, 0, 0, 0, loc)
		days = append(days, day{date: date, end: end, bytes: info.Size()})
	}
	slices.SortFunc(days, func(a, b day) int { return strings.Compare(a.date, b.date) })
	return days, nil
}

// readSeconds reads how much is recorded in a day file from its manifest; 0
// when it does not say.
func readSeconds(fsys FS, dir Dir, date string) float64 {
	data, err := fsys.ReadFile("days.read", dir.Manifest(date))
	if err != nil {
		return 0
	}
	var m struct {
		Seconds float64 `json:"seconds"`
	}
	if json.Unmarshal(data, &m) != nil {
		return 0
	}
	return m.Seconds
}

// spareDays are the day files that may be dropped: all but the newest.
func (st *store) spareDays(p Policy) []day {
	days, err := listDays(st.fs, st.dir, p.location())
	if err != nil || len(days) == 0 {
		return nil
	}
	return days[:len(days)-1]
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
	for _, d := range days[:max(0, len(days)-1)] {
		why := Reason("")
		switch {
		case p.Days.Age > 0 && now.Sub(d.end) > p.Days.Age:
			why = ReasonAge
		case p.Days.Bytes > 0 && sum > p.Days.Bytes:
			why = ReasonBytes
		default:
			return st.forgetDays()
		}
		if err := st.dropDay(d, why); err != nil {
			return err
		}
		sum -= d.bytes
	}
	return st.forgetDays()
}

// dropDay drops a day file. The mark comes first: without it, the day would be
// made again from what is left of its segments.
func (st *store) dropDay(d day, why Reason) error {
	err := st.fs.Rename("days.mark", st.dir.Manifest(d.date), st.dir.DayDropped(d.date))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("drop day %s: %w", d.date, err)
	}
	if err := st.fs.Remove("days.remove", st.dir.DayFile(d.date)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("drop day %s: %w", d.date, err)
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
