package rtsp2hls

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"

	"camfleet.dev/workers/media"
	"camfleet.dev/workers/metrics"
)

// ingest makes units of a connection's RTP packets and hands them to the
// sinks. The RTSP client's goroutines call it: one for TCP, one per track for
// UDP; the mutex makes them one.
type ingest struct {
	log     *slog.Logger
	metrics *metrics.Camera
	now     func() time.Time
	sink    media.Sink
	notify  func() // tells the camera's owner that there is news in view; must not block

	mutex sync.Mutex
	video *videoTrack
	audio *audioTrack // nil: none

	started bool // a session is open
	waiting bool // for a random frame
	changed bool // parameter sets, since the sinks were told
	resync  bool // the session's clock is wrong

	view atomic.Pointer[view]
	// Counters that the owner reads once a second.
	packets, randoms, frames, bytes atomic.Uint64
}

// view is what the stream was last seen to be.
type view struct {
	track   media.Track
	picture picture
	err     error // why it cannot be recorded
}

type videoTrack struct {
	depacketizer
	normal *normalizer
	pts    unwrap
	wall   wallClock

	lastPTS     int64
	lastArrival time.Time
}

func newIngest(log *slog.Logger, m *metrics.Camera, now func() time.Time, sink media.Sink, video *videoTrack, audio *audioTrack) *ingest {
	in := &ingest{log: log, metrics: m, now: now, sink: sink, video: video, audio: audio, waiting: true, notify: func() {}}
	in.look()
	return in
}

// look publishes what the stream is.
func (in *ingest) look() {
	n := in.video.normal
	in.view.Store(&view{track: n.track, picture: n.picture, err: n.err})
	in.notify()
}

// videoPacket takes an RTP packet of the video track.
func (in *ingest) videoPacket(pkt *rtp.Packet) {
	in.mutex.Lock()
	defer in.mutex.Unlock()
	in.packets.Add(1)
	au, ts, broken := in.video.push(pkt)
	if broken {
		in.metrics.Dropped()
	}
	if len(au) != 0 {
		in.videoUnit(au, in.video.pts.decode(ts), in.now())
	}
}

func (in *ingest) videoUnit(au [][]byte, pts int64, now time.Time) {
	n := in.video.normal
	nalus, random, changed := n.split(au)
	if changed {
		in.changed, in.waiting = true, true
		in.look()
	}
	if len(nalus) == 0 {
		return
	}
	in.checkTime(pts, now, random)
	if random {
		in.randoms.Add(1)
		in.metrics.Keyframe(now)
	}
	if in.waiting && !random || n.err != nil {
		in.metrics.Dropped()
		return
	}
	dts, err := n.dts(nalus, pts, random)
	if err != nil {
		in.log.Debug("frame dropped, waiting for the next key frame", "error", err)
		in.metrics.Dropped()
		in.waiting = true
		return
	}
	in.begin()
	in.write(media.Unit{
		Time: in.video.wall.time(pts, now), PTS: pts, DTS: dts, AU: nalus, Random: random,
	})
	in.resync = in.resync || in.video.wall.wrong()
}

// begin opens a session, or tells the sinks of changed parameter sets.
func (in *ingest) begin() {
	if !in.started {
		in.sink.Start(in.tracks(), true)
		in.notify()
	} else if in.changed {
		in.sink.Start(in.tracks(), false)
	}
	in.started, in.waiting, in.changed = true, false, false
}

func (in *ingest) tracks() []media.Track {
	tracks := []media.Track{in.video.normal.track}
	if in.audio != nil {
		tracks = append(tracks, in.audio.track)
	}
	return tracks
}

func (in *ingest) write(u media.Unit) {
	size := 0
	for _, n := range u.AU {
		size += len(n)
	}
	if u.Track == 0 {
		in.frames.Add(1)
	}
	in.bytes.Add(uint64(size))
	in.metrics.Unit(size)
	in.sink.Write(u)
}

const (
	// jumpSize and jumpMiss tell a jump of the timestamps from a pause or a
	// delay: they moved by more than a second, and by more than two seconds
	// otherwise than this machine's clock.
	jumpSize = time.Second
	jumpMiss = 2 * time.Second
	// longestFrame is how long a frame may be shown: beyond it time is
	// missing, and said to be, instead of shown as a picture that stands still.
	longestFrame = 5 * time.Second
)

// checkTime ends the session where the timestamps jump, or where its clock
// was found to be wrong and a random frame makes it possible to begin anew at once.
func (in *ingest) checkTime(pts int64, now time.Time, random bool) {
	v := in.video
	moved, passed := v.wall.duration(pts-v.lastPTS), now.Sub(v.lastArrival)
	first := v.lastArrival.IsZero()
	v.lastPTS, v.lastArrival = pts, now
	if first || !in.started {
		return
	}
	switch {
	case moved.Abs() > jumpSize && (moved-passed).Abs() > jumpMiss, in.resync && random:
		in.log.Warn("timestamps jumped: a new session begins", "moved", moved, "passed", passed)
		in.end(media.CauseStream)
	case moved > longestFrame:
		in.log.Warn("no frames for a while: a new session begins", "paused", moved)
		in.end(media.CauseStalled)
	}
}

// end closes the session, if one is open.
func (in *ingest) end(cause media.Cause) {
	if in.started {
		in.sink.Stop(cause)
	}
	in.started, in.waiting, in.resync = false, true, false
	in.video.wall.reset()
	in.video.normal.restart()
	if in.audio != nil {
		in.audio.restart()
	}
}

// Close ends the session; no packet may follow.
func (in *ingest) Close(cause media.Cause) {
	in.mutex.Lock()
	defer in.mutex.Unlock()
	in.end(cause)
}

// audioTrack is the one audio track that is carried.
type audioTrack struct {
	track  media.Track
	decode func(*rtp.Packet) ([][]byte, error) // access units of a packet
	step   int64                               // ticks of an access unit
	pts    unwrap
	offset int64 // from its own PTS to the video's, in its own ticks
	based  bool
}

func (a *audioTrack) restart() { a.based = false }

// audioPacket takes an RTP packet of the audio track. Audio has no time
// before the session's first video frame.
func (in *ingest) audioPacket(pkt *rtp.Packet) {
	in.mutex.Lock()
	defer in.mutex.Unlock()
	in.packets.Add(1)
	a := in.audio
	aus, err := a.decode(pkt)
	pts := a.pts.decode(pkt.Timestamp)
	if err != nil || !in.started {
		return // more packets are needed, or this one is broken: audio goes on with the next
	}
	now := in.now()
	off := in.video.wall.at(pts+a.offset, int64(a.track.ClockRate)).Sub(now).Abs()
	if !a.based || off > jumpMiss {
		a.base(pts, now, &in.video.wall)
	}
	for i, au := range aus {
		at := pts + a.offset + int64(i)*a.step
		in.write(media.Unit{
			Track: 1, Time: in.video.wall.at(at, int64(a.track.ClockRate)),
			PTS: at, DTS: at, AU: [][]byte{au}, Random: true,
		})
	}
}

// base puts the audio's times on the video's: what arrives together belongs together.
func (a *audioTrack) base(pts int64, now time.Time, wall *wallClock) {
	a.based = true
	since := now.Sub(wall.anchor)
	rate := int64(a.track.ClockRate)
	a.offset = int64(since/time.Second)*rate + int64(since%time.Second)*rate/int64(time.Second) - pts
}
