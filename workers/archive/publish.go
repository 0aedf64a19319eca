package archive

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// playlistOf lists entries; uri is what comes before their file names.
func playlistOf(entries []Entry, target int, prefix func(Entry) string) Playlist {
	p := Playlist{Target: target, Items: make([]Item, 0, len(entries))}
	for i, e := range entries {
		if i == 0 {
			p.Sequence, p.Discontinuity = e.Seq, e.Discontinuity
		}
		it := itemOf(e, prefix(e))
		it.Discontinuity = i > 0 && e.Discontinuity != entries[i-1].Discontinuity
		p.Items = append(p.Items, it)
		p.Target = max(p.Target, targetOf(e.Duration))
	}
	return p
}

func itemOf(e Entry, prefix string) Item {
	return Item{URI: prefix + SegmentName(e.Time()), Map: prefix + e.Init, Start: e.Start, Duration: e.Duration}
}

// Playlists stand in the camera's folder and in the date's: their entries are relative to that.
func fromCamera(e Entry) string { return hourKey(hourOf(e.Start)) + "/" }
func fromDate(e Entry) string   { return e.Time().Format("15") + "/" }

func hourPlaylist(entries []Entry, target int, over bool) Playlist {
	p := playlistOf(entries, target, fromDate)
	p.Type = Event
	if over {
		p.Type, p.Ended = VOD, true
	}
	return p
}

// publish brings the playlists to the newest entry. They are derived: what
// fails is said and done again with the next entry.
func (st *store) publish(p Policy, e Entry) {
	if err := st.publishHour(p, e); err != nil {
		st.log.Warn("cannot write the hour's playlist: it is tried again with the next segment", "error", err)
	}
	err := st.publishLive(p, e)
	if err != nil {
		st.log.Warn("cannot write the live playlist: it is tried again with the next segment", "error", err)
	}
	if (err == nil) != (st.liveBad == nil) {
		st.liveBad = err
		st.sayDamage()
	}
	st.publishIndex()
}

// publishHour adds the entry to the hour's playlist with one small write. A
// whole new file every two seconds would be as much again as the video's tenth.
func (st *store) publishHour(p Policy, e Entry) error {
	c := &st.current
	if c.playlist == nil || targetOf(e.Duration) > c.target {
		return st.startHourPlaylist(p, e)
	}
	it := itemOf(e, fromDate(e))
	it.Discontinuity = e.Discontinuity != c.last.Discontinuity
	line := it.append(nil, fromDate(c.last)+c.last.Init)
	for _, part := range [][]byte{filler(c.listLen, len(line)), line} {
		if _, err := c.playlist.Write(part); err != nil {
			err = errors.Join(err, c.playlist.Truncate(c.listLen), c.playlist.Close())
			c.playlist = nil
			return err
		}
		c.listLen += int64(len(part))
	}
	c.last = e
	return nil
}

// pageSize is the piece of a file that one write changes at once: a process
// can be killed between two of them, and not within one.
const pageSize = 4096

// filler is a comment that fills a page up, when n bytes do not fit into it any
// more: so what is added to a playlist is there as a whole or not at all.
func filler(at int64, n int) []byte {
	left := int(pageSize - at%pageSize)
	if n <= left || n > pageSize {
		return nil
	}
	return append(bytes.Repeat([]byte{'#'}, left-1), '\n')
}

// startHourPlaylist writes the playlist of the current hour anew, and opens it
// for what comes.
func (st *store) startHourPlaylist(p Policy, e Entry) error {
	c := &st.current
	if c.playlist != nil {
		_ = c.playlist.Close()
		c.playlist = nil
	}
	entries, err := st.readHour(c.at)
	if err != nil {
		return err
	}
	list := hourPlaylist(entries, p.target(), false)
	path, data := st.dir.HourPlaylist(c.at), list.Marshal()
	if err := replace(st.fs, "hour.playlist", path, data, false); err != nil {
		return err
	}
	f, err := st.fs.OpenFile("hour.playlist", path, os.O_WRONLY|os.O_APPEND)
	if err != nil {
		return err
	}
	c.playlist, c.listLen, c.target, c.last = f, int64(len(data)), list.Target, e
	return nil
}

// endHour ends the playlist of the hour that waits for it: nothing is added any more.
func (st *store) endHour(p Policy) {
	at := st.unended
	if at.IsZero() {
		return
	}
	if at.Equal(st.current.at) {
		st.closeHour()
	}
	st.unended = time.Time{}
	if err := st.writeHourPlaylist(p, at, true); err != nil && !errors.Is(err, fs.ErrNotExist) {
		st.log.Warn("cannot end the hour's playlist: the next start does", "hour", hourKey(at), "error", err)
	}
}

// writeHourPlaylist writes an hour's playlist from its journal, if it says anything else.
func (st *store) writeHourPlaylist(p Policy, at time.Time, over bool) error {
	entries, err := st.readHour(at)
	if err != nil || len(entries) == 0 {
		return err
	}
	data := hourPlaylist(entries, p.target(), over).Marshal()
	return st.replaceChanged("hour.playlist", st.dir.HourPlaylist(at), data, over)
}

// replaceChanged writes a file unless it holds data already.
func (st *store) replaceChanged(op, path string, data []byte, durable bool) error {
	if have, err := st.fs.ReadFile(op+".read", path); err == nil && bytes.Equal(have, data) {
		return nil
	}
	return replace(st.fs, op, path, data, durable)
}

// readHour reads an hour's journal as it is.
func (st *store) readHour(at time.Time) ([]Entry, error) {
	data, err := st.fs.ReadFile("journal.read", st.journalPath(at))
	if err != nil {
		return nil, err
	}
	entries, _ := ParseJournal(data) // recoverHour has put it in order
	return entries, nil
}

// window are the entries of live.m3u8: the newest, as far back as their
// sequence has no hole.
func (st *store) window(p Policy) []Entry {
	from := len(st.tail)
	for from > 0 && len(st.tail)-from < p.window() {
		if from < len(st.tail) && st.tail[from-1].Seq+1 != st.tail[from].Seq {
			break
		}
		from--
	}
	return st.tail[from:]
}

// publishLive writes live.m3u8. Its target duration only grows within a
// session (RFC 8216 §6.2.1: it must not change), and only when a segment is
// longer than what was configured; a new session takes it back.
func (st *store) publishLive(p Policy, e Entry) error {
	window := st.window(p)
	list := playlistOf(window, p.target(), fromCamera)
	fresh := len(window) < 2 || window[len(window)-2].Session != e.Session
	if !fresh {
		list.Target = max(list.Target, st.liveTarget)
	}
	st.liveTarget = list.Target
	return replace(st.fs, "live", filepath.Join(string(st.dir), LiveName), list.Marshal(), false)
}

// recoverLive writes live.m3u8 as the journals know it. When they know less
// than it says (somebody removed folders), it is empty and goes on from there:
// a sequence that runs backwards freezes players for good.
func (st *store) recoverLive(p Policy) error {
	window := st.window(p)
	list := playlistOf(window, p.target(), fromCamera)
	if last, ok := st.last(); !ok || last.Seq+1 != st.next {
		list = Playlist{Target: p.target(), Sequence: st.next, Discontinuity: st.disc + 1}
	}
	st.liveTarget = list.Target
	return st.replaceChanged("live", filepath.Join(string(st.dir), LiveName), list.Marshal(), false)
}

// publishIndex writes index.json when an hour or a day came or went.
func (st *store) publishIndex() {
	if !st.indexDirty {
		return
	}
	if err := updateIndex(st.fs, st.dir); err != nil {
		st.log.Warn("cannot write index.json: it is tried again with the next segment", "error", err)
		return
	}
	st.indexDirty = false
}

// removeNames removes files from a folder and keeps going; it returns how many are gone.
func (st *store) removeNames(op, folder string, names []string) int {
	gone := 0
	for _, n := range slices.Sorted(slices.Values(names)) {
		if err := st.fs.Remove(op, filepath.Join(folder, n)); err != nil {
			st.log.Warn("cannot remove a file", "error", err)
			continue
		}
		gone++
	}
	return gone
}
