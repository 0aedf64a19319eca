package archive

import (
	"log/slog"
	"time"
)

// Options are what a Writer is made of. Dir and Log must be set; everything
// else has a default.
type Options struct {
	Dir Dir
	Log *slog.Logger
	// Policy can be changed later with Writer.Update.
	Policy Policy
	// Now is the wall clock; time.Now when nil.
	Now func() time.Time
	// Uptime is a clock that never jumps; time since Open when nil.
	Uptime func() time.Duration
	// FS is the disk; OS{} when nil. A test puts its faults here.
	FS FS
	// Synced is told how long each fsync took, and of what: "segment",
	// "folder" or "journal". It must not block or call the Writer.
	Synced func(what string, took time.Duration)
	// Dropped is told what retention has taken away, and why. It must not
	// block or call the Writer.
	Dropped func(Drop)
	// Damaged is told, in words, which parts of the archive are damaged and left
	// as they are, and "" when none are any more. It must not block or call the Writer.
	Damaged func(message string)
}

// Policy is the part of a camera's configuration that its archive follows.
type Policy struct {
	// Segment is the configured length of a segment; 2 s when 0. It is the
	// least EXT-X-TARGETDURATION.
	Segment time.Duration
	// Window is the number of segments in live.m3u8; 7 when 0, at least 3.
	Window int
	// Segments and Days are the limits of segments and of day files.
	Segments, Days Limits
	// MinFree is how many bytes of the file system stay free: 0 means 1 % of
	// it, at most 1 GiB; a negative number switches this limit off.
	MinFree int64
	// Location is the site's time zone, in which day files are dated; UTC when nil.
	Location *time.Location
}

// Limits are when recordings are dropped, the oldest first; 0 is no limit.
type Limits struct {
	// Age counts from the end of a recorded hour or day.
	Age time.Duration
	// Bytes is of the segments' or day files' own sizes, without journals and playlists.
	Bytes int64
}

// Reason is why recordings were dropped; a label in metrics.
type Reason string

// The reasons of a Drop.
const (
	ReasonAge   Reason = "age"
	ReasonBytes Reason = "bytes"
	ReasonFree  Reason = "free" // Policy.MinFree
	ReasonFull  Reason = "full" // the disk refused a write
)

// Drop is what retention took away at one time.
type Drop struct {
	Reason   Reason
	Segments int
	Days     int // day files
	Bytes    int64
}

const (
	defaultSegment = 2 * time.Second
	defaultWindow  = 7
	minWindow      = 3
)

// window is the number of entries in live.m3u8.
func (p Policy) window() int {
	if p.Window == 0 {
		return defaultWindow
	}
	return max(p.Window, minWindow)
}

// protected is the number of newest segments that nothing drops: those in
// live.m3u8, and those that a player may still ask for because they were in
// the longest playlist it can hold (RFC 8216 §6.2.2).
func (p Policy) protected() int { return 2*p.window() + 1 }

// target is the least EXT-X-TARGETDURATION, in seconds.
func (p Policy) target() int {
	d := p.Segment
	if d <= 0 {
		d = defaultSegment
	}
	return max(1, int(d.Round(time.Second)/time.Second))
}

func (p Policy) location() *time.Location {
	if p.Location == nil {
		return time.UTC
	}
	return p.Location
}
