package rtsp2hls

import (
	"errors"
	"path/filepath"
	"time"

	"camfleet.dev/workers/archive"
)

// othersRest is how long nothing new may be recorded before a writer that lost
// its archive takes the other one for gone: over ten of the longest segments.
const othersRest = 2 * time.Minute

// yield gives the archive up when err says that another writer has taken it
// over. That happens where a lock does not reach other machines: a Pod was
// moved off a node that was only cut off. The newest writer wins; two that
// took turns would each cut off the other's session.
func (w *segmentWriter) yield(err error) {
	if !errors.Is(err, archive.ErrLost) || w.archive == nil {
		return
	}
	if err := w.archive.Close(); err != nil {
		w.log.Warn("the archive was not closed properly", "error", err)
	}
	w.archive, w.lost = nil, true
	w.foreign.Store(true) // status.json is the other's from now on
	w.log.Warn("another worker records this camera now; this one waits until it stops", "for", othersRest)
}

// othersAlive tells whether the writer that took the archive over still
// records: its newest segments are in live.m3u8.
func (w *segmentWriter) othersAlive() bool {
	if !w.lost {
		return false
	}
	var fs archive.FS = archive.OS{}
	if w.options.FS != nil {
		fs = w.options.FS
	}
	info, err := fs.Stat("handover", filepath.Join(string(w.options.Dir), archive.LiveName))
	w.lost = err == nil && w.clock.Now().Sub(info.ModTime()) < othersRest
	return w.lost
}
