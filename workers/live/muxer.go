package live

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/bluenviron/gohlslib/v2"
	"github.com/bluenviron/gohlslib/v2/pkg/codecs"

	"camfleet.dev/workers/media"
)

const (
	// segmentCount is the least that gohlslib allows for LL-HLS.
	segmentCount = 7
	// segmentMin is the least duration of a segment; the camera's key frame
	// interval decides when it is longer. It is less than a second, so that an
	// interval of about a second makes one segment, not sometimes two.
	segmentMin = 900 * time.Millisecond
	// segmentMax bounds the memory of one segment: 8 s of 32 Mbit/s. A camera
	// with more than that between two key frames cannot be shown live.
	segmentMax = 32 << 20

	opusRate = 48000
)

// muxer feeds units to gohlslib: it turns tracks into its tracks, puts the
// parameter sets in front of key frames (gohlslib takes the timing of B-frames
// from there) and shifts timestamps so that sessions follow each other.
type muxer struct {
	*gohlslib.Muxer
	tracks []media.Track
	hls    []*gohlslib.Track // by index in tracks; nil: left out
	shift  int64             // added to the video's timestamps, in ticks of its clock
	next   int64             // shifted DTS at which the last video frame ends
	step   int64             // the last frame's duration
	late   int64             // ticks that a frame is shown after it is decoded, at most
	wait   bool              // for a key frame
	fresh  bool              // that key frame begins a session
}

func newMuxer(o Options, tracks []media.Track) (*muxer, error) {
	m := &muxer{tracks: tracks, wait: true, fresh: true, step: 1}
	if len(tracks) == 0 || !tracks[0].Codec.IsVideo() {
		return nil, errors.New("the stream has no video")
	}
	m.Muxer = &gohlslib.Muxer{
		Variant:            gohlslib.MuxerVariantLowLatency,
		SegmentCount:       segmentCount,
		SegmentMinDuration: segmentMin,
		PartMinDuration:    o.Part,
		SegmentMaxSize:     segmentMax,
		Directory:          o.Dir,
		OnEncodeError:      func(err error) { o.Log.Debug("live view", "note", err) },
	}
	for _, t := range tracks {
		h := hlsTrack(t, o.Log)
		m.hls = append(m.hls, h)
		if h != nil {
			m.Tracks = append(m.Tracks, h)
		}
	}
	if err := m.Start(); err != nil {
		return nil, fmt.Errorf("starting LL-HLS: %w", err)
	}
	return m, nil
}

// hlsTrack is t for gohlslib, or nil when it cannot carry t.
func hlsTrack(t media.Track, log *slog.Logger) *gohlslib.Track {
	h := &gohlslib.Track{ClockRate: t.ClockRate}
	want := t.ClockRate
	switch t.Codec {
	case media.H264:
		h.Codec = &codecs.H264{SPS: t.SPS, PPS: t.PPS}
	case media.H265:
		h.Codec = &codecs.H265{VPS: t.VPS, SPS: t.SPS, PPS: t.PPS}
	case media.AAC:
		if t.AAC != nil {
			h.Codec, want = &codecs.MPEG4Audio{Config: *t.AAC}, t.AAC.SampleRate
		}
	case media.Opus:
		h.Codec, want = &codecs.Opus{ChannelCount: t.Channels}, opusRate
	}
	if h.Codec == nil || t.ClockRate != want || t.ClockRate <= 0 {
		log.Warn("live view leaves out a track", "codec", t.Codec, "clockRate", t.ClockRate)
		return nil
	}
	return h
}

// errSkip says that units are left out until the next key frame.
var errSkip = errors.New("frames are left out until the next key frame")

// session begins a new session: the next key frame follows the last frame.
func (m *muxer) session() { m.wait, m.fresh = true, true }

// write hands u to gohlslib. After errSkip it goes on at the next key frame;
// after any other error it is of no use any more.
func (m *muxer) write(u media.Unit) error {
	if u.Track >= len(m.hls) || m.hls[u.Track] == nil {
		return nil
	}
	t := m.tracks[u.Track]
	if !t.Codec.IsVideo() {
		return m.writeAudio(u, t)
	}
	key := u.Random
	if m.wait && !key {
		return nil
	}
	if m.wait && m.fresh {
		m.shift, m.fresh = m.next-u.DTS, false
	}
	m.wait = false
	err := m.writeVideo(u, t)
	switch {
	case err == nil:
		m.advance(u.DTS + m.shift)
		m.late = max(m.late, min(u.PTS-u.DTS, int64(t.ClockRate)))
		return nil
	case key:
		return fmt.Errorf("writing a key frame: %w", err)
	}
	m.wait = true
	return fmt.Errorf("%w: %w", errSkip, err)
}

// reorder is the longest time that a frame is shown after it is decoded: more
// than none where there are B-frames.
func (m *muxer) reorder() time.Duration {
	return time.Duration(m.late) * time.Second / time.Duration(m.tracks[0].ClockRate)
}

func (m *muxer) advance(dts int64) {
	if step := dts - m.next + m.step; step > 0 && step < int64(m.tracks[0].ClockRate) {
		m.step = step
	}
	m.next = dts + m.step
}

func (m *muxer) writeVideo(u media.Unit, t media.Track) error {
	au := make([][]byte, 0, len(u.AU)+3)
	if u.Random {
		au = appendNALs(au, t.VPS, t.SPS, t.PPS)
	}
	if au = appendNALs(au, u.AU...); len(au) == 0 {
		return errors.New("the frame is empty")
	}
	if t.Codec == media.H265 {
		return m.WriteH265(m.hls[u.Track], u.Time, u.PTS+m.shift, au)
	}
	return m.WriteH264(m.hls[u.Track], u.Time, u.PTS+m.shift, au)
}

// appendNALs leaves empty NAL units out: gohlslib reads the first byte of each.
func appendNALs(au [][]byte, nals ...[]byte) [][]byte {
	for _, n := range nals {
		if len(n) > 0 {
			au = append(au, n)
		}
	}
	return au
}

func (m *muxer) writeAudio(u media.Unit, t media.Track) error {
	if m.wait && m.fresh || len(u.AU) == 0 {
		return nil // the session's shift is not known yet
	}
	pts := u.PTS + m.shift*int64(t.ClockRate)/int64(m.tracks[0].ClockRate)
	var err error
	if t.Codec == media.Opus {
		err = m.WriteOpus(m.hls[u.Track], u.Time, pts, u.AU)
	} else {
		err = m.WriteMPEG4Audio(m.hls[u.Track], u.Time, pts, u.AU)
	}
	if err != nil {
		return fmt.Errorf("%w: audio: %w", errSkip, err)
	}
	return nil
}
