package archive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Entry is one line of journal.jsonl: a segment that is safely on disk in the
// same folder, with its initialization segment beside it.
type Entry struct {
	// Seq is the segment's media sequence number. It grows by one per
	// segment for as long as the archive lives, over restarts.
	Seq uint64 `json:"seq"`
	// Start is the first frame's wall-clock time in Unix milliseconds, and
	// the segment's name.
	Start int64 `json:"start"`
	// Duration is in ticks of Timescale.
	Duration int64  `json:"duration"`
	Frames   int    `json:"frames"` // video frames
	Bytes    int64  `json:"bytes"`
	Session  string `json:"session"`
	Init     string `json:"init"` // file name, beside the segment
	// Discontinuity counts the discontinuities up to and including the one
	// before this segment; it grows where Session or Init changes.
	Discontinuity uint64 `json:"discontinuity"`
	// Gap says what is missing right before this segment, if anything is.
	Gap *Gap `json:"gap,omitempty"`
}

// Gap is time that should have been recorded and was not.
type Gap struct {
	Since int64  `json:"since"` // Unix milliseconds
	Cause string `json:"cause"` // a media.Cause
}

// Time is the entry's start, in UTC.
func (e Entry) Time() time.Time { return time.UnixMilli(e.Start).UTC() }

// Length is the entry's duration.
func (e Entry) Length() time.Duration {
	return time.Duration(e.Duration) * time.Second / Timescale
}

// End is when the entry's last frame ends.
func (e Entry) End() time.Time { return e.Time().Add(e.Length()) }

// errTorn is a journal whose last line is not whole: the writer died in it.
var errTorn = errors.New("the last line is not whole")

// append writes the entry as its journal line. It is what encoding/json gives,
// without its allocations.
func (e Entry) append(b []byte) []byte {
	b = append(b, `{"seq":`...)
	b = strconv.AppendUint(b, e.Seq, 10)
	b = append(b, `,"start":`...)
	b = strconv.AppendInt(b, e.Start, 10)
	b = append(b, `,"duration":`...)
	b = strconv.AppendInt(b, e.Duration, 10)
	b = append(b, `,"frames":`...)
	b = strconv.AppendInt(b, int64(e.Frames), 10)
	b = append(b, `,"bytes":`...)
	b = strconv.AppendInt(b, e.Bytes, 10)
	b = append(b, `,"session":"`...)
	b = append(b, e.Session...)
	b = append(b, `","init":"`...)
	b = append(b, e.Init...)
	b = append(b, `","discontinuity":`...)
	b = strconv.AppendUint(b, e.Discontinuity, 10)
	if e.Gap != nil {
		b = append(b, `,"gap":{"since":`...)
		b = strconv.AppendInt(b, e.Gap.Since, 10)
		b = append(b, `,"cause":"`...)
		b = append(b, e.Gap.Cause...)
		b = append(b, `"}`...)
	}
	return append(b, "}\n"...)
}

// ParseEntry reads one journal line and checks that it can be one: names are
// plain file names, numbers are in range.
func ParseEntry(line []byte) (Entry, error) {
	// What is absent stays out of range.
	e := Entry{Seq: maxSequence, Duration: -1, Frames: -1, Bytes: -1, Discontinuity: maxSequence}
	if err := json.Unmarshal(line, &e); err != nil {
		return Entry{}, fmt.Errorf("journal: %w", err)
	}
	if err := e.valid(); err != nil {
		return Entry{}, fmt.Errorf("journal: %w", err)
	}
	return e, nil
}

func (e Entry) valid() error {
	switch {
	case e.Start <= 0 || e.Start > maxTime:
		return fmt.Errorf("start %d is not a time", e.Start)
	case e.Seq >= maxSequence || e.Discontinuity >= maxSequence:
		return fmt.Errorf("sequence %d or discontinuity %d is out of range", e.Seq, e.Discontinuity)
	case e.Duration < 0 || e.Duration > maxDuration:
		return fmt.Errorf("duration %d is out of range", e.Duration)
	case e.Frames < 0 || e.Bytes < 0:
		return fmt.Errorf("%d frames, %d bytes: less than nothing", e.Frames, e.Bytes)
	case !isWord(e.Session):
		return fmt.Errorf("session %q is not a session's name", e.Session)
	case !isInitName(e.Init):
		return fmt.Errorf("init %q is not init-<hash>.mp4", e.Init)
	case e.Gap != nil && (!isWord(e.Gap.Cause) || e.Gap.Since < 0 || e.Gap.Since > maxTime):
		return fmt.Errorf("gap %+v is not a time and a cause", *e.Gap)
	}
	return nil
}

// follows tells whether e may come after prev in an archive.
func (e Entry) follows(prev Entry) error {
	switch {
	case e.Seq <= prev.Seq:
		return fmt.Errorf("sequence %d after %d", e.Seq, prev.Seq)
	case e.Start <= prev.Start:
		return fmt.Errorf("start %d after %d", e.Start, prev.Start)
	case e.Discontinuity < prev.Discontinuity:
		return fmt.Errorf("discontinuity %d after %d", e.Discontinuity, prev.Discontinuity)
	case e.Discontinuity == prev.Discontinuity && (e.Session != prev.Session || e.Init != prev.Init):
		return fmt.Errorf("a new session or init at sequence %d, and no discontinuity", e.Seq)
	}
	return nil
}

// ParseJournal reads a whole journal. Lines that are not entries, or do not
// follow the one before, are left out; the error says what they were, and is
// errTorn alone when only the tail is cut off, as a killed writer leaves it.
func ParseJournal(data []byte) ([]Entry, error) {
	var errs []error
	entries := make([]Entry, 0, len(data)/200)
	for n := 1; len(data) > 0; n++ {
		line, rest, whole := bytes.Cut(data, []byte{'\n'})
		data = rest
		e, err := ParseEntry(line)
		if err == nil && len(entries) > 0 {
			err = e.follows(entries[len(entries)-1])
		}
		switch {
		case !whole:
			errs = append(errs, errTorn)
		case err != nil:
			errs = append(errs, fmt.Errorf("line %d: %w", n, err))
		default:
			entries = append(entries, e)
		}
	}
	if len(errs) == 1 {
		return entries, errs[0]
	}
	return entries, errors.Join(errs...)
}

// appendJournal writes a whole journal.
func appendJournal(b []byte, entries []Entry) []byte {
	for _, e := range entries {
		b = e.append(b)
	}
	return b
}

// maxWord is the longest session or cause.
const maxWord = 64

// isWord allows what needs no quoting anywhere: letters, digits, dashes.
func isWord(s string) bool {
	if s == "" || len(s) > maxWord {
		return false
	}
	for _, c := range []byte(s) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-') {
			return false
		}
	}
	return true
}

// isInitName tells whether s is init-<hash>.mp4: a name, and not a path.
func isInitName(s string) bool {
	hash, ok := strings.CutPrefix(s, "init-")
	hash, ok2 := strings.CutSuffix(hash, ".mp4")
	return ok && ok2 && isWord(hash)
}

// onlyTorn tells whether a journal's only damage is a tail that is cut off.
func onlyTorn(damage error) bool {
	return damage == errTorn //nolint:errorlint // joined with others, it is not alone
}
