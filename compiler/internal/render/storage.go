package render

import (
	"fmt"
	"math"
	"sort"

	"camfleet.dev/schema"
)

const day = 86400 // seconds

// load is what one camera keeps on the site's storage, in bytes and days.
type load struct {
	perDay            float64 // bytes that a day of recording takes
	segments, files   float64 // days that are kept, as segments and as day files
	maxSegs, maxFiles float64 // bytes; +Inf without a limit
}

func loadOf(c schema.Camera) load {
	if c.Disabled || !c.Recording.Enabled {
		return load{}
	}
	l := load{
		perDay:   float64(c.Bitrate) / 8 * day,
		segments: inDays(c.Recording.Retention.Age),
		maxSegs:  limit(c.Recording.Retention.Bytes),
	}
	if c.Recording.Days.Enabled {
		l.files = inDays(c.Recording.Days.Retention.Age)
		l.maxFiles = limit(c.Recording.Days.Retention.Bytes)
	}
	return l
}

func inDays(d schema.Duration) float64 { return d.Std().Seconds() / day }

func limit(s schema.Size) float64 {
	if s == 0 {
		return math.Inf(1)
	}
	return float64(s)
}

// during is the most that the camera takes up on a day of recording, counted
// from 1. A day is joined when it is over; while that goes on, its file exists
// beside the oldest one, which goes only when the new one is safe.
func (l load) during(day int) float64 {
	bytes := math.Min(l.perDay*math.Min(float64(day), l.segments), l.maxSegs)
	if over := float64(day - 1); l.files > 0 && over >= 1 {
		bytes += math.Min(l.perDay*math.Min(over-1, l.files), l.maxFiles) + l.perDay
	}
	return bytes
}

// settled is the day from which on nothing grows any more.
func (l load) settled() int { return int(math.Ceil(math.Max(l.segments, l.files))) + 3 }

type loads []load

func (ls loads) during(day int) (bytes float64) {
	for _, l := range ls {
		bytes += l.during(day)
	}
	return bytes
}

func (ls loads) settled() (day int) {
	for _, l := range ls {
		day = max(day, l.settled())
	}
	return day
}

// most is what all cameras take up in the end.
func (ls loads) most() float64 { return ls.during(ls.settled()) }

// fullOn is the day on which the storage is full, if it ever is.
func (ls loads) fullOn(size float64) (int, bool) {
	if ls.most() <= size {
		return 0, false
	}
	return 1 + sort.Search(ls.settled(), func(before int) bool { return ls.during(before+1) > size }), true
}

// keep is ls with no more than so many days of segments and of day files.
func (ls loads) keep(segments, files float64) loads {
	out := make(loads, len(ls))
	for i, l := range ls {
		l.segments, l.files = math.Min(l.segments, segments), math.Min(l.files, files)
		out[i] = l
	}
	return out
}

// fitting is the largest whole number of days, up to most, with which it fits
// (0: not even with one).
func fitting(most float64, fits func(days float64) bool) int {
	return sort.Search(int(math.Ceil(most)), func(days int) bool { return !fits(float64(days + 1)) })
}

// storageFits checks what the cameras keep against what the site has.
func (r *renderer) storageFits() {
	var ls loads
	for _, c := range r.Site.Cameras {
		ls = append(ls, loadOf(c))
	}
	size := float64(r.Site.Storage.Size)
	day, full := ls.fullOn(size)
	if !full {
		return
	}
	need := ls.most()
	r.problem("site.storage.size", fmt.Sprintf("%s cannot hold what the cameras keep: it is full on day %d of recording, and %s are needed; %s",
		r.Site.Storage.Size, day, gibi(need), ls.wayOut(size, need)))
}

// wayOut says what would fit: more storage, fewer days of day files, or fewer days of both.
func (ls loads) wayOut(size, need float64) string {
	out := fmt.Sprintf("give it size: %q", gibi(need))
	var segments, files float64
	for _, l := range ls {
		segments, files = math.Max(segments, l.segments), math.Max(files, l.files)
	}
	fits := func(s, f float64) bool { return ls.keep(s, f).most() <= size }
	if n := fitting(files, func(d float64) bool { return fits(segments, d) }); n > 0 {
		return out + fmt.Sprintf(", or keep day files at most %d days (recording.days.retention.age: \"%dd\")", n, n)
	}
	if n := fitting(math.Max(segments, files), func(d float64) bool { return fits(d, d) }); n > 0 {
		return out + fmt.Sprintf(", or keep both segments and day files at most %d days (recording.retention.age and recording.days.retention.age: \"%dd\")", n, n)
	}
	return out + ", or lower bitrate, limit recording.retention.bytes, or switch recording.days.enabled off"
}

// gibi writes a number of bytes as storage.size would be written, rounded up.
func gibi(bytes float64) string {
	if gi := math.Ceil(bytes / (1 << 30)); gi > 4096 {
		return fmt.Sprintf("%.0fTi", math.Ceil(bytes/(1<<40)))
	} else {
		return fmt.Sprintf("%.0fGi", gi)
	}
}
