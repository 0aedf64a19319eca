package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// protectedFrom is the start of the oldest segment that nothing drops.
func (st *store) protectedFrom(p Policy) int64 {
	if len(st.tail) == 0 {
		return 0
	}
	return st.tail[max(0, len(st.tail)-p.protected())].Start
}

// droppable tells whether nothing in an hour is protected.
func (st *store) droppable(p Policy, h *hour) bool {
	if h == st.hours[len(st.hours)-1] || h.at.Equal(st.current.at) {
		return false
	}
	return len(st.tail) == 0 || h.at.Before(hourOf(st.protectedFrom(p)))
}

// dropOldest drops about want bytes of the oldest segments: their hour when
// that is not more, or else the oldest in it. It is false when nothing was dropped.
func (st *store) dropOldest(p Policy, want int64, why Reason) bool {
	for h := st.oldest(); h != nil; h = st.oldest() {
		if st.dropFrom(p, h, want, why) {
			return true
		}
		if !h.drop.waits(st.uptime()) {
			return false
		}
	}
	return false
}

// dropFrom is dropOldest for one hour.
func (st *store) dropFrom(p Policy, h *hour, want int64, why Reason) bool {
	whole := st.droppable(p, h)
	if err := st.know(p, h); err != nil {
		return whole && st.said(st.dropHour(h, why), h)
	}
	if !slices.Contains(st.hours, h) {
		return true // it was empty, and is gone
	}
	if whole && h.bytes <= want {
		return st.said(st.dropHour(h, why), h)
	}
	entries, err := st.readHour(h.at)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		if whole {
			err = st.dropHour(h, why)
		}
		return st.said(err, h)
	}
	n, sum := oldest(entries, want, st.protectedFrom(p))
	switch {
	case n == len(entries) && whole:
		err = st.dropHour(h, why)
	case n == 0:
		return false
	default:
		err = st.dropPart(p, h, entries, n)
		if err == nil {
			st.report(Drop{Reason: why, Segments: n, Bytes: sum})
		} else if isFull(err) && whole { // no room even to say what goes
			err = st.dropHour(h, why)
		}
	}
	return st.said(err, h)
}

func (st *store) said(err error, h *hour) bool {
	if err != nil && !st.stick(h, err) {
		st.log.Warn("cannot drop recordings", "hour", hourKey(h.at), "error", err)
	}
	return err == nil
}

// oldest counts the first entries that together have want bytes and start before limit.
func oldest(entries []Entry, want, limit int64) (n int, sum int64) {
	for n < len(entries) && sum < want && entries[n].Start < limit {
		sum += entries[n].Bytes
		n++
	}
	return n, sum
}

// dropHour drops a whole hour: its playlist, then all else in one step.
func (st *store) dropHour(h *hour, why Reason) error {
	err := st.fs.Remove("drop.playlist", st.dir.HourPlaylist(h.at))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("drop hour: %w", err)
	}
	if err := st.trashHour(h); err != nil {
		return err
	}
	st.report(Drop{Reason: why, Segments: h.segments, Bytes: h.bytes})
	return nil
}

// trashHour moves an hour's folder to where no reader looks. Its files are
// deleted later, a few at a time.
func (st *store) trashHour(h *hour) error {
	folder := st.folder(h.at)
	bin := filepath.Join(string(st.dir), trashName)
	to := filepath.Join(bin, h.at.Format("20060102T15"))
	for n := 1; slices.Contains(st.trash, to); n++ {
		to = filepath.Join(bin, h.at.Format("20060102T15-")+strconv.Itoa(n))
	}
	err := st.fs.Rename("drop.rename", folder, to)
	if errors.Is(err, fs.ErrNotExist) { // the folder is gone, or the bin
		if err = makeFolders(st.fs, "trash", bin); err == nil {
			err = st.fs.Rename("drop.rename", folder, to)
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("drop hour: %w", err)
	}
	if err == nil {
		st.trash = append(st.trash, to)
	}
	st.hours = slices.DeleteFunc(st.hours, func(x *hour) bool { return x == h })
	st.indexDirty = true
	st.sayDamage()
	if !st.dateInUse(h.at) {
		_ = st.fs.Remove("drop.date", parent(folder)) // only when empty
	}
	return nil
}

// dateInUse tells whether the recorder may be about to use a date's folder.
func (st *store) dateInUse(at time.Time) bool {
	for _, h := range st.hours {
		if h.at.Format(DateLayout) == at.Format(DateLayout) {
			return true
		}
	}
	return len(st.hours) == 0
}

// dropPart drops the n oldest entries of an hour: struck out of the playlist,
// then of the journal, then deleted, so that neither ever names what is gone.
func (st *store) dropPart(p Policy, h *hour, entries []Entry, n int) error {
	gone := make([]string, n)
	for i, e := range entries[:n] {
		gone[i] = SegmentName(e.Time())
	}
	if err := st.shorten(p, h, entries[n:]); err != nil {
		return err
	}
	err := st.strikeOut(h, entries[n:])
	if isFull(err) && !st.droppable(p, h) {
		// Nothing else can go and there is no room for a new journal. For as
		// long as that takes, the journal names files that are not there;
		// a start in between strikes them out.
		st.removeNames("drop.segment", st.folder(h.at), gone)
		err = st.strikeOut(h, entries[n:])
	}
	if err != nil {
		return err
	}
	h.segments -= n
	for _, e := range entries[:n] {
		h.bytes -= e.Bytes
	}
	st.removeNames("drop.segment", st.folder(h.at), gone)
	return nil
}

// shorten writes an hour's playlist without what is about to go. When that
// cannot be, there is none until it is made again.
func (st *store) shorten(p Policy, h *hour, rest []Entry) error {
	if h.at.Equal(st.current.at) && st.current.playlist != nil {
		_ = st.current.playlist.Close()
		st.current.playlist = nil
	}
	path := st.dir.HourPlaylist(h.at)
	data := hourPlaylist(rest, p.target(), !h.at.Equal(st.unended)).Marshal()
	err := st.replaceChanged("hour.playlist", path, data, false)
	if err == nil {
		return nil
	}
	if rerr := st.fs.Remove("drop.playlist", path); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
		return errors.Join(err, rerr)
	}
	st.log.Warn("cannot write the hour's playlist: the next start does", "hour", hourKey(h.at), "error", err)
	return nil
}

// strikeOut writes an hour's journal anew; when it is the one being written, it
// is opened again.
func (st *store) strikeOut(h *hour, rest []Entry) error {
	if !h.at.Equal(st.current.at) {
		return st.writeJournal(h.at, rest)
	}
	inits := st.current.inits
	st.closeHour()
	if err := st.writeJournal(h.at, rest); err != nil {
		return errors.Join(err, st.reopen(h.at, inits))
	}
	return st.reopen(h.at, inits)
}

func (st *store) reopen(at time.Time, inits map[string]bool) error {
	path := st.journalPath(at)
	f, err := st.fs.OpenFile("journal", path, os.O_WRONLY|os.O_APPEND)
	if err != nil {
		return err
	}
	info, err := st.fs.Stat("journal.stat", path)
	if err != nil {
		_ = f.Close()
		return err
	}
	st.current = openHour{at: at, journal: f, journalLen: info.Size(), inits: inits}
	return nil
}

// report tells the caller and the log what was dropped.
func (st *store) report(d Drop) {
	level := st.log.Info
	if d.Reason == ReasonFull {
		level = st.log.Warn
	}
	level("recordings were dropped, the oldest first", "reason", string(d.Reason),
		"segments", d.Segments, "days", d.Days, "bytes", d.Bytes)
	st.dropped(d)
}

// drain deletes up to n files of what was dropped; it returns how many.
func (st *store) drain(ctx context.Context, n int) int {
	gone := 0
	for len(st.trash) > 0 && gone < n && ctx.Err() == nil {
		folder := st.trash[0]
		entries, err := st.fs.ReadDir("trash.list", folder)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			st.log.Warn("cannot delete dropped recordings: the next start tries again", "error", err)
			st.trash = st.trash[1:]
			continue
		}
		var names []string
		for _, e := range entries[:min(len(entries), n-gone)] {
			names = append(names, e.Name())
		}
		done := st.removeNames("trash.remove", folder, names)
		gone += done
		if len(names) < len(entries) && done > 0 {
			continue
		}
		if err := st.fs.Remove("trash.remove", folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
			st.log.Warn("cannot delete dropped recordings: the next start tries again", "error", err)
		}
		st.trash = st.trash[1:]
	}
	return gone
}
