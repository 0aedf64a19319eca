package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// commit makes a written segment part of the archive. The order is what makes
// it safe at every moment: data, name, journal, then what is derived.
//
//	died after…      found by recover…          becomes
//	write, fsync     a temporary file           removed
//	rename           a segment beyond the journal  removed
//	journal          everything                 kept; playlists made anew
func (st *store) commit(p Policy, s *Segment, e Entry) (Entry, error) {
	e, err := st.prepare(s, e)
	if err == nil {
		err = st.place(p, s)
	}
	if err != nil {
		_ = s.file.Close()
		st.undo(s.path + tempSuffix)
		return Entry{}, err
	}
	if err := st.journal(p, e); err != nil {
		st.undo(s.path)
		return Entry{}, err
	}
	st.noteMu.Lock()
	s.session.started, s.session.gap = true, nil
	st.noteMu.Unlock()
	st.remember(e, p)
	st.publish(p, e)
	if err := st.maintain(context.Background(), p, e.Start); err != nil {
		st.log.Warn("the archive's upkeep failed; it is tried again", "error", err)
	}
	return e, nil
}

// prepare fills in the entry.
func (st *store) prepare(s *Segment, e Entry) (Entry, error) {
	if st.closed {
		return e, errClosed
	}
	if err := st.lock.check(); err != nil {
		return e, err
	}
	if s.start <= st.floor {
		return e, fmt.Errorf("it starts at %d, the archive has come to %d: segments are committed in the order they were created", s.start, st.floor)
	}
	st.noteMu.Lock()
	e.Gap = s.session.gap
	st.noteMu.Unlock()
	e.Seq, e.Start, e.Bytes = st.next, s.start, s.bytes
	e.Session, e.Init = s.session.name, s.init.name
	e.Discontinuity = st.disc
	if last, ok := st.last(); !ok || last.Session != e.Session || last.Init != e.Init {
		e.Discontinuity++
	}
	return e, e.valid()
}

// place makes the data durable and gives it its name.
func (st *store) place(p Policy, s *Segment) error {
	if err := st.timed("segment", s.file.Sync); err != nil {
		if isFull(err) { // what an fsync refused is gone: only the next segment can profit
			st.makeRoom(context.Background(), p)
		}
		return err
	}
	if err := s.file.Close(); err != nil {
		return err
	}
	if err := st.openJournal(p, s.start); err != nil {
		return err
	}
	if err := st.placeInit(p, s); err != nil {
		return err
	}
	err := st.room(p, func() error { return st.fs.Rename("segment.rename", s.path+tempSuffix, s.path) })
	if err != nil {
		return err
	}
	err = st.timed("folder", func() error { return st.fs.SyncDir("segment.folder", filepath.Dir(s.path)) })
	if err != nil {
		st.undo(s.path)
	}
	return err
}

// placeInit puts the initialization segment beside the segments of the hour.
// It has its place for good with the folder's fsync after the segment's rename.
func (st *store) placeInit(p Policy, s *Segment) error {
	if st.current.inits[s.init.name] {
		return nil
	}
	path := filepath.Join(filepath.Dir(s.path), s.init.name)
	if have, err := st.fs.ReadFile("init.read", path); err != nil || initNameOf(have) != s.init.name {
		err := st.room(p, func() error { return replace(st.fs, "init", path, s.init.data, true) })
		if err != nil {
			return fmt.Errorf("write the initialization segment: %w", err)
		}
	}
	st.current.inits[s.init.name] = true
	return nil
}

// openJournal makes ready the journal of the hour that start falls in. It is
// opened again when it is not as we left it.
func (st *store) openJournal(p Policy, start int64) error {
	at := hourOf(start)
	path := st.journalPath(at)
	info, err := st.fs.Stat("journal.stat", path)
	found := err == nil
	var size int64
	if found {
		size = info.Size()
	}
	if st.current.at.Equal(at) && st.current.journal != nil && found && size == st.current.journalLen {
		return nil
	}
	st.closeHour()
	if st.unended.Before(at) {
		st.endHour(p)
	}
	if found && size > 0 {
		if err := st.adopt(p, at); err != nil {
			return err
		}
	}
	var f File
	err = st.room(p, func() (err error) {
		f, err = st.fs.OpenFile("journal", path, os.O_WRONLY|os.O_CREATE|os.O_APPEND)
		return err
	})
	if err != nil {
		return fmt.Errorf("open the journal: %w", err)
	}
	info, err = st.fs.Stat("journal.stat", path)
	if err != nil {
		_ = f.Close()
		return fmt.Errorf("open the journal: %w", err)
	}
	st.current = openHour{at: at, journal: f, journalLen: info.Size(), inits: map[string]bool{}}
	st.unended = at
	return nil
}

// journal appends the entry, durably. After an error the journal is as before.
func (st *store) journal(p Policy, e Entry) error {
	line := e.append(nil)
	err := st.room(p, func() error {
		if st.current.journal == nil { // making room did not go well
			return errors.New("the journal is closed")
		}
		_, err := st.current.journal.Write(line)
		if err != nil {
			err = errors.Join(err, st.cutJournal())
		}
		return err
	})
	if err == nil {
		if err = st.timed("journal", st.current.journal.Sync); err != nil {
			err = errors.Join(err, st.cutJournal())
		}
	}
	if err != nil {
		st.closeHour() // its length is looked at again before the next line
		return fmt.Errorf("write the journal: %w", err)
	}
	st.current.journalLen += int64(len(line))
	return nil
}

// cutJournal takes a half-written line off again.
func (st *store) cutJournal() error {
	if err := st.current.journal.Truncate(st.current.journalLen); err != nil {
		return fmt.Errorf("cut the journal back: %w", err)
	}
	return nil
}

// room is Writer.withRoom for those who hold the store already.
func (st *store) room(p Policy, step func() error) error {
	for {
		err := step()
		if err == nil || !isFull(err) {
			return err
		}
		if !st.makeRoom(context.Background(), p) {
			return fmt.Errorf("%w: %w", ErrFull, err)
		}
	}
}

// undo removes what did not become part of the archive.
func (st *store) undo(path string) {
	if err := st.fs.Remove("segment.undo", path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		st.log.Warn("cannot remove what was not recorded: the next start does", "error", err)
	}
}
