package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Report is what Check found.
type Report struct {
	Segments    int
	Bytes       int64
	First, Last Entry // zero when there are no segments
	// Problems are broken invariants (DESIGN.md): something is lost or will
	// mislead a reader.
	Problems []Problem
	// Notes are what a killed writer may leave and the next one tidies up.
	Notes []Problem
}

// Problem is one finding, and where.
type Problem struct {
	Path    string // inside the archive's folder
	Message string
}

func (p Problem) String() string { return p.Path + ": " + p.Message }

// Err is nil when there are no Problems.
func (r *Report) Err() error {
	errs := make([]error, 0, len(r.Problems))
	for _, p := range r.Problems {
		errs = append(errs, errors.New(p.String()))
	}
	return errors.Join(errs...)
}

// Check verifies the archive's invariants, as DESIGN.md numbers them, by
// reading all of it. A running writer can make it see an archive in mid-step;
// it changes nothing itself. The error is for a folder that cannot be read.
func Check(ctx context.Context, dir Dir) (*Report, error) {
	c := &checker{dir: dir, report: &Report{}}
	hours, err := listHours(OS{}, dir, func(date time.Time, err error) error {
		c.problem(filepath.Join(string(dir), date.Format(DateLayout)), "%v", err)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("check: %w", err)
	}
	var newest time.Time
	for _, at := range hours {
		if _, err := os.Stat(filepath.Join(dir.Hour(at), JournalName)); err == nil {
			newest = at
		}
	}
	for _, at := range hours {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c.hour(at, !at.Before(newest))
	}
	c.live()
	c.index()
	c.leftovers()
	return c.report, nil
}

type checker struct {
	dir    Dir
	report *Report
	tail   []Entry // the newest entries, enough for any live playlist
}

// checkTail is how many entries live.m3u8 is compared with.
const checkTail = 1000

func (c *checker) rel(path string) string {
	r, err := filepath.Rel(string(c.dir), path)
	if err != nil {
		return path
	}
	return r
}

func (c *checker) problem(path, format string, args ...any) {
	c.report.Problems = append(c.report.Problems, Problem{c.rel(path), fmt.Sprintf(format, args...)})
}

func (c *checker) note(path, format string, args ...any) {
	c.report.Notes = append(c.report.Notes, Problem{c.rel(path), fmt.Sprintf(format, args...)})
}

// hour checks I1 to I5 of one hour.
func (c *checker) hour(at time.Time, newest bool) {
	path := filepath.Join(c.dir.Hour(at), JournalName)
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.problem(path, "%v", err)
		return
	}
	entries, damage := ParseJournal(data)
	switch {
	case onlyTorn(damage):
		c.note(path, "%v", damage)
	case damage != nil:
		c.problem(path, "%v", damage)
	}
	inits := map[string]bool{}
	for _, e := range entries {
		c.entry(path, at, e)
		if !inits[e.Init] {
			inits[e.Init] = true
			if err := checkInit(filepath.Join(c.dir.Hour(at), e.Init)); err != nil {
				c.problem(path, "sequence %d: %v", e.Seq, err)
			}
		}
	}
	c.strays(at, entries)
	c.hourPlaylist(at, entries, newest)
}

// entry checks one journalled segment.
func (c *checker) entry(path string, at time.Time, e Entry) {
	r := c.report
	if r.Segments == 0 {
		r.First = e
	} else if err := e.follows(r.Last); err != nil {
		c.problem(path, "%v", err)
	}
	r.Segments++
	r.Bytes += e.Bytes
	r.Last = e
	if c.tail = append(c.tail, e); len(c.tail) > 2*checkTail {
		c.tail = slices.Clone(c.tail[checkTail:])
	}
	if !hourOf(e.Start).Equal(at) {
		c.problem(path, "sequence %d starts at %s, which is another hour", e.Seq, e.Time())
		return
	}
	if err := checkSegment(c.dir.Segment(e.Time()), e.Bytes); err != nil {
		c.problem(path, "sequence %d: %v", e.Seq, err)
	}
}

// strays notes what lies in an hour's folder and is in no journal.
func (c *checker) strays(at time.Time, entries []Entry) {
	known := make(map[string]bool, len(entries))
	for _, e := range entries {
		known[SegmentName(e.Time())] = true
	}
	files, _ := os.ReadDir(c.dir.Hour(at))
	for _, f := range files {
		path := filepath.Join(c.dir.Hour(at), f.Name())
		switch {
		case strings.HasSuffix(f.Name(), tempSuffix):
			c.note(path, "a temporary file")
		case strings.HasSuffix(f.Name(), ".m4s") && !known[f.Name()]:
			c.note(path, "a segment that the journal does not know")
		}
	}
}

// hourPlaylist checks that an hour's playlist says what its journal says; it
// may be behind by what a killed writer had no time for.
func (c *checker) hourPlaylist(at time.Time, entries []Entry, newest bool) {
	path := c.dir.HourPlaylist(at)
	data, err := os.ReadFile(path)
	if err != nil {
		if len(entries) > 0 {
			c.note(path, "%v", err)
		}
		return
	}
	list, err := ParsePlaylist(data)
	if err != nil {
		// A power cut can take the end of what was added, as of the journal.
		c.note(path, "%v", err)
		if list, err = ParsePlaylist(wholeEntries(data)); err != nil {
			c.problem(path, "%v", err)
			return
		}
	}
	from := slices.IndexFunc(entries, func(e Entry) bool { return e.Seq >= list.Sequence })
	if from > 0 && len(list.Items) > 0 {
		c.note(path, "begins at sequence %d, the journal at %d", list.Sequence, entries[0].Seq)
		entries = entries[from:]
	}
	want := hourPlaylist(entries, list.Target, list.Ended)
	switch {
	case list.Ended != (list.Type == VOD):
		c.problem(path, "type %s, ended: %v", list.Type, list.Ended)
	case !newest && !list.Ended:
		c.note(path, "the hour is over, its playlist is not")
	}
	c.compare(path, list, want)
}

// wholeEntries is a playlist without what follows its last address.
func wholeEntries(data []byte) []byte {
	end := 0
	for at := 0; at < len(data); {
		n := bytes.IndexByte(data[at:], '\n')
		if n < 0 {
			break
		}
		if n > 0 && data[at] != '#' {
			end = at + n + 1
		}
		at += n + 1
	}
	return data[:end]
}

// compare checks that list is want or the beginning of it.
func (c *checker) compare(path string, list, want Playlist) {
	c.targets(path, list)
	n := min(len(list.Items), len(want.Items))
	switch {
	case len(list.Items) > len(want.Items):
		c.problem(path, "%d entries, the journal has %d", len(list.Items), len(want.Items))
	case len(list.Items) < len(want.Items):
		c.note(path, "%d entries, the journal has %d", len(list.Items), len(want.Items))
	}
	if n > 0 && (list.Sequence != want.Sequence || list.Discontinuity != want.Discontinuity) {
		c.problem(path, "begins at sequence %d, discontinuity %d; the journal at %d, %d",
			list.Sequence, list.Discontinuity, want.Sequence, want.Discontinuity)
	}
	for i := range n {
		if list.Items[i] != want.Items[i] {
			c.problem(path, "entry %d is %+v; the journal says %+v", i+1, list.Items[i], want.Items[i])
		}
	}
}

// targets checks that everything a playlist names is there.
func (c *checker) targets(path string, list Playlist) {
	for i, it := range list.Items {
		for _, uri := range []string{it.URI, it.Map} {
			if !filepath.IsLocal(uri) {
				c.problem(path, "entry %d: %s leads out of the archive", i+1, uri)
			} else if _, err := os.Stat(filepath.Join(parent(path), uri)); err != nil {
				c.problem(path, "entry %d: %v", i+1, err)
			}
		}
	}
}
