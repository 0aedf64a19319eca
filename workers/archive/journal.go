package archive

import "time"

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
