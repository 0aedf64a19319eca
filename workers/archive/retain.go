package archive

import (
	"context"
	"errors"
	"slices"
	"time"
)

const (
	// ageSpeed is how many times faster than real time the clock of retention
	// may run after the newest recording: a wall clock that is wrong by a year
	// for an hour costs a day of recordings, and not all of them.
	ageSpeed = 24
	// finishGrace is how long after its hour a segment may still be committed.
	finishGrace = time.Minute
	// spaceEvery and daysEvery are how often the free space and the day files are looked at.
	spaceEvery = 10 * time.Second
	daysEvery  = time.Hour
	// surveyHours and drainFiles bound what one commit does for the past.
	surveyHours = 2
	drainFiles  = 64
	// freeStep and freeSteps bound what is dropped before the free space is
	// looked at again: other cameras are making room at the same time.
	freeStep  = 64 << 20
	freeSteps = 8
	// slack is the part of a limit in bytes that is freed beyond it, so that
	// an hour is not worked on at every segment.
	slack = 64
	// fullSegments is how many segments are dropped at once on a full disk.
	fullSegments = 4
)

// ageClock is the time that ages are counted from. It follows the wall clock,
// never faster than ageSpeed.
type ageClock struct {
	ref time.Time
	at  time.Duration
}

func (c *ageClock) start(now time.Time, newest int64, uptime time.Duration) {
	c.ref, c.at = now, uptime
	if t := time.UnixMilli(newest); newest > 0 && t.Before(now) {
		c.ref = t
	}
}

func (c *ageClock) advance(now time.Time, uptime time.Duration) time.Time {
	c.ref = c.ref.Add(ageSpeed * max(0, uptime-c.at))
	c.at = uptime
	if now.Before(c.ref) {
		c.ref = now
	}
	return c.ref
}

// maintain is the upkeep between two segments; open is the start of the oldest
// segment that is not committed, 0 when there is none.
func (st *store) maintain(ctx context.Context, p Policy, open int64) error {
	if at := st.unended; !st.now().Before(at.Add(time.Hour+finishGrace)) && (open == 0 || !hourOf(open).Equal(at)) {
		st.endHour(p)
	}
	err := st.survey(ctx, p, surveyHours)
	if ctx.Err() == nil {
		err = errors.Join(err, st.retain(ctx, p))
	}
	st.drain(ctx, drainFiles)
	st.publishIndex()
	return err
}

// survey puts older hours in order and counts them, the newest first.
func (st *store) survey(ctx context.Context, p Policy, n int) error {
	for i := len(st.hours) - 1; i >= 0 && n > 0; i-- {
		h := st.hours[i]
		if (h.known && h.order.err == nil) || h.order.waits(st.uptime()) || h.at.Equal(st.current.at) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		h.known = false
		if err := st.know(p, h); isFull(err) {
			return err
		}
		n--
		i = min(i, len(st.hours)) // an empty hour is gone now
	}
	return nil
}

// know makes sure that an hour is in order and counted. An hour that is damaged
// stays as it is, and the error says why.
func (st *store) know(p Policy, h *hour) error {
	if h.known {
		return nil
	}
	if h.order.waits(st.uptime()) {
		return h.order.err
	}
	// From the newest recording on, a segment may be in the making.
	_, err := st.recoverHour(p, h, h.at.Before(hourOf(st.floor)))
	if err != nil && !isFull(err) {
		st.leave(h, err)
	}
	return err
}

// retain drops what the policy does not want kept.
func (st *store) retain(ctx context.Context, p Policy) error {
	now := st.clock.advance(st.now(), st.uptime())
	if err := st.retainAge(ctx, p, now); err != nil {
		return err
	}
	if err := st.retainBytes(ctx, p); err != nil {
		return err
	}
	if err := st.retainFree(ctx, p); err != nil {
		return err
	}
	if up := st.uptime(); st.lastDays == 0 || up-st.lastDays >= daysEvery {
		st.lastDays = max(up, 1)
		return st.retainDays(p, now)
	}
	return nil
}

// retainAge drops hours whose last segment is too old.
func (st *store) retainAge(ctx context.Context, p Policy, now time.Time) error {
	if p.Segments.Age <= 0 {
		return nil
	}
	limit := now.Add(-p.Segments.Age)
	for h := st.oldest(); h != nil && ctx.Err() == nil; h = st.oldest() {
		if !st.droppable(p, h) || h.at.Add(time.Hour).After(limit) {
			return nil
		}
		if err := st.know(p, h); isFull(err) {
			return err
		}
		if !slices.Contains(st.hours, h) {
			continue // it was empty
		}
		if time.UnixMilli(h.end).After(limit) {
			return nil
		}
		if err := st.dropHour(h, ReasonAge); err != nil && !st.stick(h, err) {
			return err
		}
	}
	return ctx.Err()
}

// retainBytes drops the oldest while there is more than wanted.
func (st *store) retainBytes(ctx context.Context, p Policy) error {
	limit := p.Segments.Bytes
	if limit <= 0 || st.sparable() <= limit {
		return nil
	}
	for ctx.Err() == nil {
		over := st.sparable() - (limit - limit/slack)
		if over <= 0 || !st.dropOldest(p, over, ReasonBytes) {
			return nil
		}
	}
	return ctx.Err()
}

// minFree is how much of a file system of this size is to stay free.
func (p Policy) minFree(size int64) int64 {
	switch {
	case p.MinFree < 0:
		return 0
	case p.MinFree > 0:
		return p.MinFree
	}
	return min(size/100, 1<<30)
}

// retainFree drops the oldest while too little of the file system is free.
func (st *store) retainFree(ctx context.Context, p Policy) error {
	up := st.uptime()
	if p.MinFree < 0 || st.lastSpace != 0 && up-st.lastSpace < spaceEvery {
		return nil
	}
	st.lastSpace = max(up, 1)
	for range freeSteps {
		size, free, err := st.fs.Space("space", string(st.dir))
		if err != nil {
			return err
		}
		missing := p.minFree(size) - free
		if missing <= 0 || ctx.Err() != nil {
			return ctx.Err()
		}
		if st.drain(ctx, drainFiles) > 0 {
			continue
		}
		if !st.dropAny(p, min(missing, freeStep), ReasonFree) {
			return nil
		}
		st.drain(ctx, drainFiles)
	}
	return nil
}

// makeRoom drops a little of the oldest because the disk refused a write. It
// is false when nothing more may be dropped.
func (st *store) makeRoom(ctx context.Context, p Policy) bool {
	if st.closed {
		return false
	}
	if st.drain(ctx, 16*drainFiles) > 0 {
		return true
	}
	want := int64(64 << 10)
	if last, ok := st.last(); ok {
		want = max(want, fullSegments*last.Bytes)
	}
	if !st.dropAny(p, want, ReasonFull) {
		return false
	}
	st.drain(ctx, 16*drainFiles)
	return true
}

// dropAny drops the oldest, be it segments or a day file. Segments of days that
// have their day file go first: they are kept twice.
func (st *store) dropAny(p Policy, want int64, why Reason) bool {
	days := st.spareDays(p)
	if len(days) == 0 {
		return st.dropOldest(p, want, why)
	}
	if h := st.oldest(); h != nil {
		if twice := st.inDayFile(p, h.at); twice || !h.at.Add(time.Hour).After(days[0].end) {
			if st.dropOldest(p, want, why) {
				return true
			}
		}
	}
	if err := st.dropDay(days[0], why); err != nil {
		st.log.Warn("cannot drop a day file", "date", days[0].date, "error", err)
		return st.dropOldest(p, want, why)
	}
	return true
}
