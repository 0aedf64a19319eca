package rtsp2hls

import (
	"encoding/binary"
	"log/slog"
	"sync/atomic"
	"time"

	"camfleet.dev/schema"
	"camfleet.dev/workers/archive"
	"camfleet.dev/workers/media"
)

const (
	// maxFragment is the number of bytes at which a fragment is written out
	// before its segment ends: what a camera holds in memory.
	maxFragment = 256 << 10
	// maxSegment is where a segment is cut even without a key frame.
	maxSegment = time.Minute
	// early is the share of the configured length by which a key frame may
	// come too early and still end the segment: camera clocks jitter.
	early = 0.05
	// defaultStep is the length of a session's only frame.
	defaultStep = archive.Timescale / 25
)

// recorder cuts a camera's stream into segments. It is a media.Sink: the
// stream's side (this file) only fills memory; the writer goroutine brings it
// to disk, so that a slow disk delays neither the camera nor who watches.
type recorder struct {
	log     *slog.Logger
	writer  *segmentWriter
	length  atomic.Int64 // time.Duration
	enabled atomic.Bool

	tracks   []media.Track
	init     []byte
	fresh    bool // the next segment begins a new session
	ready    bool // Start was called
	dropping bool // up to the next random frame
	behind   bool // dropping because the disk is too slow
	recut    bool // parameter sets changed: the next frame begins a segment

	origin   int64 // DTS of the session's first video frame: 0 in the files
	last     int64 // DTS of the last video frame
	lastStep uint32
	lastEnd  int64 // greatest PTS in the segment, plus a frame
	audio    struct {
		origin int64
		held   []byte // the last frame: its duration is not known yet
		dts    int64  // of held
		step   uint32
	}

	open     bool
	start    time.Time // of the segment
	startPTS int64
	frames   int
	sequence uint32
	current  *fragment
}

func newRecorder(log *slog.Logger, w *segmentWriter, c schema.Recording) *recorder {
	r := &recorder{log: log, writer: w, fresh: true}
	r.update(c)
	return r
}

// update follows the configuration; any goroutine may call it.
func (r *recorder) update(c schema.Recording) {
	r.length.Store(int64(c.Segment))
	r.enabled.Store(c.Enabled)
}

// Start implements media.Sink.
func (r *recorder) Start(tracks []media.Track, fresh bool) {
	init, err := initSegment(tracks)
	if err != nil {
		r.log.Error("not recorded", "error", err)
		r.ready = false
		return
	}
	if fresh {
		r.endSession()
	}
	r.tracks, r.init, r.ready, r.recut = tracks, init, true, true
}

// Stop implements media.Sink: the last frame is taken to be as long as the one before.
func (r *recorder) Stop(cause media.Cause) {
	r.endSession()
	r.ready = false
	r.writer.gap(cause)
}

func (r *recorder) endSession() {
	if r.open && r.audio.held != nil {
		r.appendAudio()
	}
	r.audio.held = nil
	r.finish(r.lastEnd)
	r.fresh = true
}

// Write implements media.Sink.
func (r *recorder) Write(u media.Unit) {
	switch {
	case !r.ready:
	case !r.enabled.Load():
		if r.open {
			r.endSession()
			r.writer.gap(media.CauseNone)
		}
	case u.Track != 0:
		r.writeAudio(u)
	default:
		r.writeVideo(u)
	}
}

func (r *recorder) writeVideo(u media.Unit) {
	if r.dropping && !u.Random {
		return
	}
	r.dropping = false
	if r.open {
		r.closeSample(u.DTS)
	}
	if r.open && r.cuts(u) {
		r.finish(u.PTS)
	}
	if !r.open {
		if !r.begin(u) {
			return
		}
	} else if r.current.size() >= maxFragment {
		r.flush()
	}
	t := &r.current.tracks[0]
	if len(t.samples) == 0 {
		t.start = u.DTS - r.origin
	}
	size := len(t.data)
	for _, n := range u.AU {
		t.data = binary.BigEndian.AppendUint32(t.data, uint32(len(n)))
		t.data = append(t.data, n...)
	}
	t.samples = append(t.samples, sample{
		size: uint32(len(t.data) - size), offset: int32(u.PTS - u.DTS), sync: u.Random, duration: r.lastStep,
	})
	r.last = u.DTS
	r.lastEnd = max(r.lastEnd, u.PTS+int64(r.lastStep))
	r.frames++
}

// closeSample gives the last video frame its duration, now that the next is known.
func (r *recorder) closeSample(next int64) {
	r.lastStep = uint32(max(next-r.last, 0))
	if s := r.current.tracks[0].samples; len(s) > 0 {
		s[len(s)-1].duration = r.lastStep
	}
}

// cuts tells whether the segment ends before u.
func (r *recorder) cuts(u media.Unit) bool {
	passed := time.Duration(u.PTS-r.startPTS) * time.Second / archive.Timescale
	length := time.Duration(r.length.Load())
	return u.Random && (r.recut || passed >= length-time.Duration(float64(length)*early)) || passed >= max(maxSegment, 2*length)
}

// begin opens a segment with u as its first frame.
func (r *recorder) begin(u media.Unit) bool {
	if r.writer.behind() {
		if !r.behind {
			r.writer.gap(media.CauseStorage)
		}
		r.behind, r.dropping, r.fresh = true, true, true
		return false
	}
	r.behind = false
	if r.fresh && !u.Random { // recording was switched on
		r.dropping = true
		return false
	}
	if r.fresh {
		r.origin, r.lastStep = u.DTS, defaultStep
		r.audio.held, r.audio.origin = nil, r.audioTicks(u.DTS)
	}
	r.start, r.startPTS, r.frames, r.lastEnd = u.Time, u.PTS, 0, u.PTS
	r.current = r.writer.fragment()
	r.writer.open(u.Time, r.init, r.fresh)
	r.open, r.fresh, r.recut = true, false, false
	return true
}

// audioTicks is a video time in the audio track's ticks.
func (r *recorder) audioTicks(t int64) int64 {
	if len(r.tracks) < 2 {
		return 0
	}
	rate := int64(r.tracks[1].ClockRate)
	return t/archive.Timescale*rate + t%archive.Timescale*rate/archive.Timescale
}

// writeAudio keeps a frame until the next one tells how long it is, so that
// the file's audio has neither holes nor overlaps, whatever fragment it is in.
func (r *recorder) writeAudio(u media.Unit) {
	a := &r.audio
	if !r.open || len(u.AU) != 1 || u.DTS < a.origin || a.held != nil && u.DTS <= a.dts {
		return
	}
	if a.held != nil {
		a.step = uint32(u.DTS - a.dts)
		r.appendAudio()
	}
	a.held, a.dts = u.AU[0], u.DTS
}

// appendAudio moves the held frame to the fragment.
func (r *recorder) appendAudio() {
	a, t := &r.audio, &r.current.tracks[1]
	if len(t.samples) == 0 {
		t.start = a.dts - a.origin
	}
	t.samples = append(t.samples, sample{size: uint32(len(a.held)), duration: a.step})
	t.data = append(t.data, a.held...)
}

// flush hands the fragment to the writer and begins the next one.
func (r *recorder) flush() {
	r.sequence++
	r.writer.write(r.current, r.sequence)
	r.current = r.writer.fragment()
}

// finish ends the segment; end is the PTS at which it does.
func (r *recorder) finish(end int64) {
	if !r.open {
		return
	}
	r.open = false
	r.sequence++
	r.writer.write(r.current, r.sequence)
	r.current = nil
	r.writer.commit(archive.Entry{Duration: max(end-r.startPTS, 1), Frames: r.frames})
}
