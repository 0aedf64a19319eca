// Package archive is the on-disk format of a camera's recordings: who writes it
// (Writer), who reads it (Scan), and what is dropped (retention).
package archive

import (
	"path/filepath"
	"strconv"
	"time"
)

// Names in a camera's folder; see CONTRACTS in DESIGN.md.
const (
	LiveName    = "live.m3u8"
	StatusName  = "status.json"
	LockName    = "session.lock"
	JournalName = "journal.jsonl"
	DaysFolder  = "days"
	DateLayout  = "2006-01-02"
)

// Timescale is the unit of Entry.Duration: ticks per second.
const Timescale = 90000

// Dir is one camera's archive folder.
type Dir string

// Hour is the folder of the UTC hour that t falls in: <dir>/<YYYY-MM-DD>/<HH>.
func (d Dir) Hour(t time.Time) string {
	t = t.UTC()
	return filepath.Join(string(d), t.Format(DateLayout), t.Format("15"))
}

// Segment is the path of the segment that starts at start.
func (d Dir) Segment(start time.Time) string {
	return filepath.Join(d.Hour(start), SegmentName(start))
}

// DayFile is the path of the MP4 of the site's local day, and Manifest that of its manifest.
func (d Dir) DayFile(date string) string {
	return filepath.Join(string(d), DaysFolder, date+".mp4")
}

// Manifest is the path of a day file's manifest.
func (d Dir) Manifest(date string) string {
	return filepath.Join(string(d), DaysFolder, date+".json")
}

// SegmentName is <unix milliseconds>.m4s.
func SegmentName(start time.Time) string {
	return strconv.FormatInt(start.UnixMilli(), 10) + ".m4s"
}

// InitName is init-<hash>.mp4; hash is of the initialization segment's bytes.
func InitName(hash string) string { return "init-" + hash + ".mp4" }

func parent(path string) string { return filepath.Dir(path) }
