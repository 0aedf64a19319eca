package archive

import (
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"camfleet.dev/workers/media"
)

// store is what is on disk and the little of it that is kept in memory: sums
// per hour and the newest entries. Everything else is read from the journals
// when it is needed, so that a camera costs the same after a year.
type store struct {
	dir     Dir
	fs      FS
	log     *slog.Logger
	now     func() time.Time
	uptime  func() time.Duration
	synced  func(string, time.Duration)
	dropped func(Drop)
	damaged func(string)
	lock    *lock

	mu     sync.Mutex // everything below, and every change on disk
	closed bool

	hours   []*hour // oldest first
	tail    []Entry // the newest, oldest first
	next    uint64  // sequence of the next segment
	disc    uint64  // discontinuities so far
	floor   int64   // no segment may start at or before it, Unix milliseconds
	current openHour

	unended    time.Time // the hour whose playlist waits to be ended; zero: none
	liveTarget int
	indexDirty bool
	trash      []string // folders that are being deleted, a few files at a time
	blind      bool     // what was recorded last cannot be read
	oddities   []string // what is damaged beside the hours
	liveBad    error    // why live.m3u8 is not written
	saidDamage string

	clock     ageClock
	lastSpace time.Duration // uptime of the last look at the free space
	lastDays  time.Duration // uptime of the last look at the day files; 0 is never

	noteMu sync.Mutex // session.gap and session.started
	// end of the newest entry in Unix milliseconds, for Create, which must not
	// wait for a commit.
	end atomic.Int64
}

// hour is what is known about one hour's folder.
type hour struct {
	at       time.Time
	segments int
	bytes    int64
	end      int64  // of its last entry, Unix milliseconds
	known    bool   // counted and put in order since Open
	order    damage // why it cannot be put in order
	drop     damage // why it cannot be dropped
}

// openHour is the hour that is being written: its journal, and its playlist
// as long as that can be added to.
type openHour struct {
	at         time.Time // zero: none is open
	journal    File
	journalLen int64
	playlist   File // nil: must be written anew
	listLen    int64
	target     int
	last       Entry // the last entry in the playlist
	inits      map[string]bool
}

func newStore(o Options, l *lock) *store {
	return &store{
		dir: o.Dir, fs: o.FS, log: o.Log, now: o.Now, uptime: o.Uptime,
		synced: o.Synced, dropped: o.Dropped, damaged: o.Damaged, lock: l,
	}
}

func hourOf(ms int64) time.Time { return time.UnixMilli(ms).UTC().Truncate(time.Hour) }

// key is the hour's name in index.json: "2026-11-23/04".
func hourKey(at time.Time) string { return at.Format(DateLayout + "/15") }

func (st *store) folder(at time.Time) string { return st.dir.Hour(at) }

func (st *store) journalPath(at time.Time) string {
	return filepath.Join(st.dir.Hour(at), JournalName)
}

// parseHourKey reads what hourKey writes.
func parseHourKey(key string) (time.Time, bool) {
	at, err := time.Parse(DateLayout+"/15", key)
	return at, err == nil && hourKey(at) == key
}

// HourPlaylist is the path of an hour's playlist: <dir>/<YYYY-MM-DD>/<HH>.m3u8.
func (d Dir) HourPlaylist(t time.Time) string { return d.Hour(t) + ".m3u8" }

func (st *store) last() (Entry, bool) {
	if len(st.tail) == 0 {
		return Entry{}, false
	}
	return st.tail[len(st.tail)-1], true
}

func (st *store) bytes() int64 {
	var sum int64
	for _, h := range st.hours {
		sum += h.bytes
	}
	return sum
}

// sparable is bytes without the hours that cannot be dropped: the newest
// recordings do not go because of them.
func (st *store) sparable() int64 {
	sum := st.bytes()
	for _, h := range st.hours {
		if h.drop.waits(st.uptime()) {
			sum -= h.bytes
		}
	}
	return sum
}

// interruption is the gap between the last entry and now, if there is one.
func (st *store) interruption() *Gap {
	last, ok := st.last()
	if !ok {
		return nil
	}
	cause := media.CauseKilled
	if st.lock.before.Closed {
		cause = media.CauseStopped
	}
	return &Gap{Since: endOf(last), Cause: string(cause)}
}

// endOf is the entry's end, rounded up to a millisecond.
func endOf(e Entry) int64 {
	return e.Start + (e.Duration*1000+Timescale-1)/Timescale
}

// remember takes a committed entry into memory.
func (st *store) remember(e Entry, p Policy) {
	st.tail = append(st.tail, e)
	if keep := p.protected() + 1; len(st.tail) > 2*keep {
		st.tail = append(st.tail[:0:0], st.tail[len(st.tail)-keep:]...)
	}
	st.next = e.Seq + 1
	st.disc = e.Discontinuity
	st.floor = e.Start
	st.end.Store(endOf(e))
	at := hourOf(e.Start)
	h := st.hourAt(at)
	if h == nil {
		h = &hour{at: at, known: true}
		st.hours = append(st.hours, h)
		st.indexDirty = true
	}
	h.segments++
	h.bytes += e.Bytes
	h.end = endOf(e)
}

// hourAt finds an hour, usually the newest.
func (st *store) hourAt(at time.Time) *hour {
	for i := len(st.hours) - 1; i >= 0; i-- {
		if st.hours[i].at.Equal(at) {
			return st.hours[i]
		}
	}
	return nil
}

func (st *store) closeHour() {
	if st.current.journal != nil {
		_ = st.current.journal.Close() // synced at each commit
	}
	if st.current.playlist != nil {
		_ = st.current.playlist.Close()
	}
	st.current = openHour{}
}

func (st *store) close() error {
	if st.closed {
		return nil
	}
	st.closed = true
	st.closeHour()
	return st.lock.release()
}

// makeFolders makes a folder and those above it, and makes their names durable.
func makeFolders(fsys FS, op, path string) error {
	err := fsys.Mkdir(op+".mkdir", path)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if errors.Is(err, fs.ErrNotExist) && parent(path) != path {
		if err := makeFolders(fsys, op, parent(path)); err != nil {
			return err
		}
		// Once: above may be a link that leads nowhere, which is there and is not. Another camera
		// of the site may have been quicker; its name is made durable here all the same.
		if err = fsys.Mkdir(op+".mkdir", path); errors.Is(err, fs.ErrExist) {
			err = nil
		}
	}
	if err != nil {
		return err
	}
	return fsys.SyncDir(op+".mkdir.folder", parent(path))
}

// timed does an fsync and reports how long it took.
func (st *store) timed(what string, sync func() error) error {
	began := time.Now()
	err := sync()
	st.synced(what, time.Since(began))
	return err
}
