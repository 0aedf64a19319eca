package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// trashName is the folder in which dropped hours are deleted bit by bit.
	trashName = ".trash"
	// recoverHours is how many of the newest hours Open puts in order itself;
	// older ones follow, a few at each commit, because reading a month of
	// journals would be a gap in the recording.
	recoverHours = 3
	// strays is how many segments a dead writer can leave beyond the journal.
	strays = 2
	// maxSequence keeps sequence numbers in what players can count exactly.
	maxSequence = 1 << 53
)

// recover brings the folder in order and finds out where it goes on.
func (st *store) recover(ctx context.Context, p Policy) error {
	if err := st.findTrash(); err != nil {
		st.odd("dropped recordings cannot be deleted", err)
	}
	var unread time.Time // the newest date whose folder cannot be read
	hours, err := listHours(st.fs, st.dir, func(date time.Time, err error) error {
		st.odd("the recordings of "+date.Format(DateLayout)+" cannot be read", err)
		unread = date
		return nil
	})
	if err != nil {
		return err
	}
	for _, at := range hours {
		st.hours = append(st.hours, &hour{at: at})
	}
	st.blind = !unread.IsZero() && (len(hours) == 0 || hours[len(hours)-1].Before(unread.AddDate(0, 0, 1)))
	if err := st.recoverNewest(ctx, p); err != nil {
		return err
	}
	st.goOn()
	st.removeTemps(string(st.dir), LiveName, IndexName, StatusName)
	st.removeLoosePlaylists()
	if err := st.recoverLive(p); err != nil && !isFull(err) {
		st.log.Error("cannot write the live playlist: it is tried again with the next segment", "error", err)
		st.liveBad = err
	}
	st.indexDirty = true
	st.publishIndex()
	st.sayDamage()
	st.damaged(st.saidDamage) // also that there is none, any more
	st.clock.start(st.now(), st.end.Load(), st.uptime())
	return nil
}

// recoverNewest puts the newest hours in order: what the live playlist and the
// sequence need, and what a dead writer can have touched.
func (st *store) recoverNewest(ctx context.Context, p Policy) error {
	var newest [][]Entry
	count := 0
	for i, done := len(st.hours)-1, 0; i >= 0 && (done < recoverHours || count == 0); i, done = i-1, done+1 {
		if err := ctx.Err(); err != nil {
			return err
		}
		h := st.hours[i]
		entries, err := st.recoverHour(p, h, true)
		if err != nil {
			st.leave(h, err)
			st.blind = st.blind || count+len(entries) == 0
		}
		newest = append(newest, entries)
		count += len(entries)
	}
	slices.Reverse(newest)
	st.tail = slices.Concat(newest...)
	if keep := p.protected() + 1; len(st.tail) > keep {
		st.tail = slices.Clone(st.tail[len(st.tail)-keep:])
	}
	st.hours = slices.DeleteFunc(st.hours, func(h *hour) bool { return h.known && h.segments == 0 && h.bytes == 0 })
	return nil
}

// goOn decides the next sequence, discontinuity and start. The journals say
// it; live.m3u8 and what lies in the newest folder say it when somebody has
// removed journals. Without either, counting begins at the clock, so that a
// player who knew an archive that was emptied sees its numbers grow; and so it
// does where the newest journal is there and cannot be read.
func (st *store) goOn() {
	now := uint64(max(0, st.now().Unix()))
	last, ok := st.last()
	if ok {
		if newest := st.hours[len(st.hours)-1]; !st.over(newest) {
			st.unended = newest.at
		}
		st.next, st.disc, st.floor = last.Seq+1, last.Discontinuity, last.Start
		st.end.Store(endOf(last))
	}
	if live, err := st.readLive(); err == nil && live.Sequence < maxSequence && live.Discontinuity < maxSequence {
		st.next = max(st.next, live.Sequence+uint64(len(live.Items)))
		disc := live.Discontinuity
		for _, it := range live.Items {
			if it.Discontinuity {
				disc++
			}
			st.floor = max(st.floor, it.Start)
			st.end.Store(max(st.end.Load(), it.Start+(it.Duration*1000+Timescale-1)/Timescale))
		}
		if len(live.Items) == 0 && disc > 0 {
			disc-- // recoverLive has counted the one to come
		}
		st.disc = max(st.disc, disc)
	}
	if st.next == 0 || st.blind {
		st.next, st.disc = max(st.next, now), max(st.disc, now)
	}
	if n := len(st.hours); n > 0 {
		st.floor = max(st.floor, st.newestName(st.hours[n-1].at))
		st.end.Store(max(st.end.Load(), st.floor+1))
	}
}

func (st *store) readLive() (Playlist, error) {
	data, err := st.fs.ReadFile("live.read", filepath.Join(string(st.dir), LiveName))
	if err != nil {
		return Playlist{}, err
	}
	return ParsePlaylist(data)
}

// newestName is the newest start among the segments that lie in a folder,
// journalled or not; 0 when there is none.
func (st *store) newestName(at time.Time) int64 {
	var newest int64
	entries, err := st.fs.ReadDir("hour.list", st.folder(at))
	if err != nil {
		return 0
	}
	for _, e := range entries {
		if ms, ok := segmentStart(e.Name()); ok && hourOf(ms).Equal(at) {
			newest = max(newest, ms)
		}
	}
	return newest
}

// segmentStart reads a segment's name.
func segmentStart(name string) (int64, bool) {
	s, ok := strings.CutSuffix(name, ".m4s")
	if !ok {
		return 0, false
	}
	ms, err := strconv.ParseInt(s, 10, 64)
	return ms, err == nil && ms > 0 && ms <= maxTime && strconv.FormatInt(ms, 10) == s
}

// listHours lists the hours that have a folder, oldest first. bad is asked what
// becomes of a date whose folder cannot be read; dates come in their order.
func listHours(fsys FS, dir Dir, bad func(date time.Time, err error) error) ([]time.Time, error) {
	dates, err := fsys.ReadDir("list", string(dir))
	if err != nil {
		return nil, fmt.Errorf("list the archive: %w", err)
	}
	var hours []time.Time
	for _, d := range dates {
		date, err := time.Parse(DateLayout, d.Name())
		if err != nil || !d.IsDir() {
			continue
		}
		inside, err := fsys.ReadDir("list", filepath.Join(string(dir), d.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // retention took it
		}
		if err != nil {
			if err := bad(date, err); err != nil {
				return nil, fmt.Errorf("list the archive: %w", err)
			}
			continue
		}
		for _, h := range inside {
			if at, ok := parseHourKey(d.Name() + "/" + h.Name()); ok && h.IsDir() {
				hours = append(hours, at)
			}
		}
	}
	slices.SortFunc(hours, time.Time.Compare)
	return hours, nil
}

// findTrash lists what the last writer was deleting.
func (st *store) findTrash() error {
	bin := filepath.Join(string(st.dir), trashName)
	list := func() ([]fs.DirEntry, error) {
		if err := makeFolders(st.fs, "trash", bin); err != nil {
			return nil, err
		}
		return st.fs.ReadDir("trash.list", bin)
	}
	entries, err := list()
	if err != nil && st.fs.Remove("trash.clear", bin) == nil { // a file, or a link that leads nowhere
		entries, err = list()
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		st.trash = append(st.trash, filepath.Join(bin, e.Name()))
	}
	return nil
}

// removeTemps removes the temporary files of named files.
func (st *store) removeTemps(folder string, names ...string) {
	for _, n := range names {
		err := st.fs.Remove("temp.remove", filepath.Join(folder, n+tempSuffix))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			st.log.Warn("cannot remove a leftover", "error", err)
		}
	}
}

// removeLoosePlaylists removes playlists of hours that are not there, and
// leftovers of writing them, in the folders of the dates.
func (st *store) removeLoosePlaylists() {
	dates, err := st.fs.ReadDir("list", string(st.dir))
	if err != nil {
		return
	}
	for _, d := range dates {
		if _, err := time.Parse(DateLayout, d.Name()); err != nil || !d.IsDir() {
			continue
		}
		folder := filepath.Join(string(st.dir), d.Name())
		inside, err := st.fs.ReadDir("list", folder)
		if err != nil {
			continue
		}
		var loose []string
		for _, f := range inside {
			hh, ok := strings.CutSuffix(f.Name(), ".m3u8")
			at, isHour := parseHourKey(d.Name() + "/" + hh)
			if strings.HasSuffix(f.Name(), ".m3u8"+tempSuffix) || ok && isHour && st.hourAt(at) == nil {
				loose = append(loose, f.Name())
			}
		}
		st.removeNames("playlist.remove", folder, loose)
		if len(inside) == len(loose) {
			_ = st.fs.Remove("date.remove", folder) // only when empty
		}
	}
}
