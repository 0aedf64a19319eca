package archive

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"
)

// contents is what lies in an hour's folder.
type contents struct {
	segments map[int64]int64 // start → size
	inits    map[string]bool
	temps    []string
	other    int
}

// listHour reads an hour's folder.
func (st *store) listHour(at time.Time) (contents, error) {
	c := contents{segments: map[int64]int64{}, inits: map[string]bool{}}
	entries, err := st.fs.ReadDir("hour.list", st.folder(at))
	if err != nil {
		return c, fmt.Errorf("list hour %s: %w", hourKey(at), err)
	}
	for _, e := range entries {
		name := e.Name()
		ms, isSegment := segmentStart(name)
		switch {
		case strings.HasSuffix(name, tempSuffix):
			c.temps = append(c.temps, name)
		case isInitName(name):
			c.inits[name] = true
		case isSegment:
			if info, err := e.Info(); err == nil {
				c.segments[ms] = info.Size()
			}
		case name != JournalName:
			c.other++
		}
	}
	return c, nil
}

// recoverHour makes an hour's journal and folder agree, and its playlist
// follow. Nobody may be writing into it when tidy is set. Segments that the
// journal does not know stay, except for those that a dead writer leaves: at
// most two beyond the journal's end, and any before its beginning, which
// retention had already struck out. After an error the hour is as it was; the
// entries are those that could be read.
func (st *store) recoverHour(p Policy, h *hour, tidy bool) ([]Entry, error) {
	c, err := st.listHour(h.at)
	if err != nil {
		return nil, err
	}
	data, err := st.fs.ReadFile("journal.read", st.journalPath(h.at))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the journal of %s: %w", hourKey(h.at), err)
	}
	entries, damage := ParseJournal(data)
	kept := st.present(h.at, entries, c)
	if damage != nil || len(kept) < len(entries) {
		st.log.Warn("the journal is put in order", "hour", hourKey(h.at),
			"damage", damage, "entries", len(entries), "missing", len(entries)-len(kept))
		if err := st.writeJournal(h.at, kept); err != nil {
			return kept, err
		}
	}
	if tidy {
		st.tidy(h.at, kept, &c)
	}
	h.count(kept, c)
	if err := st.recoverPlaylist(p, h, kept, tidy); err != nil {
		st.leave(h, err) // it is derived: what is recorded does not depend on it
		return kept, nil
	}
	st.heal(h)
	return kept, nil
}

func (st *store) writeJournal(at time.Time, entries []Entry) error {
	data := appendJournal(make([]byte, 0, 256*len(entries)), entries)
	if err := replace(st.fs, "journal.replace", st.journalPath(at), data, true); err != nil {
		return fmt.Errorf("write the journal of %s: %w", hourKey(at), err)
	}
	return nil
}

// present are the entries whose files are there, whole.
func (st *store) present(at time.Time, entries []Entry, c contents) []Entry {
	kept := entries[:0:0]
	for _, e := range entries {
		size, ok := c.segments[e.Start]
		if ok && size == e.Bytes && c.inits[e.Init] && hourOf(e.Start).Equal(at) {
			kept = append(kept, e)
		}
	}
	return kept
}

// tidy removes what a dead writer leaves.
func (st *store) tidy(at time.Time, entries []Entry, c *contents) {
	remove := c.temps
	var beyond []int64
	known := make(map[int64]bool, len(entries))
	for _, e := range entries {
		known[e.Start] = true
	}
	for ms := range c.segments {
		switch {
		case known[ms]:
		case len(entries) > 0 && ms < entries[0].Start:
			remove = append(remove, SegmentName(time.UnixMilli(ms)))
			delete(c.segments, ms)
		case len(entries) == 0 || ms > entries[len(entries)-1].Start:
			beyond = append(beyond, ms)
		}
	}
	if len(beyond) > strays {
		st.log.Warn("segments are not in the journal: they are left alone until the hour is dropped",
			"hour", hourKey(at), "segments", len(beyond))
	} else {
		for _, ms := range beyond {
			remove = append(remove, SegmentName(time.UnixMilli(ms)))
			delete(c.segments, ms)
		}
	}
	st.removeNames("leftover.remove", st.folder(at), remove)
}

// count takes an hour's sums, segments that the journal does not know included.
func (h *hour) count(entries []Entry, c contents) {
	h.known, h.segments, h.bytes, h.end = true, len(entries), 0, 0
	for _, size := range c.segments {
		h.bytes += size
	}
	if n := len(entries); n > 0 {
		h.end = endOf(entries[n-1])
	}
}

// recoverPlaylist makes the hour's playlist say what the journal does. An hour
// without anything is removed.
func (st *store) recoverPlaylist(p Policy, h *hour, entries []Entry, tidy bool) error {
	path := st.dir.HourPlaylist(h.at)
	if len(entries) == 0 {
		if err := st.fs.Remove("playlist.remove", path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove the playlist of an empty hour: %w", err)
		}
		if tidy && h.bytes == 0 {
			return st.trashHour(h)
		}
		return nil
	}
	data := hourPlaylist(entries, p.target(), st.over(h)).Marshal()
	_, err := st.fs.Stat("hour.playlist.stat", path)
	if errors.Is(err, fs.ErrNotExist) {
		st.indexDirty = true
	}
	err = st.replaceChanged("hour.playlist", path, data, false)
	if err != nil && !isFull(err) {
		return fmt.Errorf("write the playlist of %s: %w", hourKey(h.at), err)
	}
	return nil
}

// over tells whether nothing can be added to an hour any more.
func (st *store) over(h *hour) bool {
	newest := st.hours[len(st.hours)-1]
	return h != newest || !st.now().Before(h.at.Add(time.Hour+finishGrace))
}

// adopt puts in order the hour that is about to be written to, with a
// segment's temporary file in it.
func (st *store) adopt(p Policy, at time.Time) error {
	h := st.hourAt(at)
	if h == nil {
		h = &hour{at: at}
		st.hours = append(st.hours, h)
		st.indexDirty = true
	}
	_, err := st.recoverHour(p, h, false)
	return err
}
