package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Located is an entry and where its files are.
type Located struct {
	Entry
	Path, InitPath string
}

// longest is how long a segment is taken to be at most when an hour is looked
// for that reaches into the next.
const longest = time.Hour

// Scan returns what is recorded in [from, to), oldest first: every segment that
// has a part of itself in there. A zero time is no bound. It takes no lock and
// may run beside a writer; a journal's torn tail is left out. Retention may drop
// a file between Scan and its use: fs.ErrNotExist then means dropped. An
// archive that is not there is empty.
func Scan(ctx context.Context, dir Dir, from, to time.Time) ([]Located, error) {
	outside := func(at time.Time, length time.Duration) bool {
		return !from.IsZero() && !at.Add(length+longest).After(from) || !to.IsZero() && !at.Before(to)
	}
	hours, err := listHours(OS{}, dir, func(date time.Time, err error) error {
		if outside(date, 24*time.Hour) {
			return nil
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("scan: %w", err)
	}
	var all []Located
	for _, at := range hours {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if outside(at, time.Hour) {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir.Hour(at), JournalName))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("scan: %w", err)
		}
		entries, _ := ParseJournal(data) // what is not an entry, the writer's next start sorts out
		all = append(all, locate(dir, at, entries, from, to)...)
	}
	return all, nil
}

// locate picks the entries of an hour that have a part in [from, to).
func locate(dir Dir, at time.Time, entries []Entry, from, to time.Time) []Located {
	folder := dir.Hour(at)
	found := make([]Located, 0, len(entries))
	for _, e := range entries {
		if !from.IsZero() && !e.End().After(from) || !to.IsZero() && !e.Time().Before(to) {
			continue
		}
		found = append(found, Located{
			Entry: e,
			Path:  filepath.Join(folder, SegmentName(e.Time())), InitPath: filepath.Join(folder, e.Init),
		})
	}
	return found
}
