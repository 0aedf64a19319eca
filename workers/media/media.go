// Package media is what a camera's stream is made of between the part that
// receives it (rtsp2hls) and the sinks that keep or show it (archive, live).
package media

import (
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
)

// Codec names a track's coding, as status.json and logs print it.
type Codec string

// The codecs that camfleet carries. Any other audio is left out and said so;
// any other video makes the camera unsupported.
const (
	H264 Codec = "h264"
	H265 Codec = "h265"
	AAC  Codec = "aac"
	Opus Codec = "opus"
)

// IsVideo tells video from audio.
func (c Codec) IsVideo() bool { return c == H264 || c == H265 }

// Track describes one elementary stream of a session. A video track is first;
// at most one audio track follows.
type Track struct {
	Codec     Codec
	ClockRate int // of PTS and DTS, ticks per second: 90000 for video
	// Parameter sets of video, as NAL units without start codes.
	VPS, SPS, PPS []byte
	// AAC is set for Codec AAC.
	AAC *mpeg4audio.AudioSpecificConfig
	// Channels is set for Codec Opus.
	Channels int
}

// Unit is one access unit: a video frame, or one audio frame.
type Unit struct {
	// Track indexes the tracks that the session was started with.
	Track int
	// Time is when the frame was captured, on this machine's clock: arrival
	// anchored to PTS, so that it neither jumps nor runs backwards in a session.
	Time time.Time
	// PTS and DTS are in the track's ClockRate, from an origin that the
	// tracks of a session share.
	PTS, DTS int64
	// AU holds the NAL units (no start codes, no AUD, no parameter sets:
	// those are in the Track), or the single audio frame. Sinks may keep it
	// but must not change it.
	AU [][]byte
	// Random is true for a frame that decoding can start at (IDR/IRAP), and for audio.
	Random bool
}

// Sink takes one camera's stream. One goroutine calls it; no call may block for
// long: a sink that is behind drops and says so.
type Sink interface {
	// Start begins a session, or goes on in the same one with changed
	// parameter sets (same tracks otherwise). The next video Unit is Random.
	Start(tracks []Track, fresh bool)
	// Write takes the next unit, in decoding order per track.
	Write(u Unit)
	// Stop ends the session; cause says why (a gap begins). Start may follow.
	Stop(cause Cause)
}

// Cause is why a camera's recording has a gap; a label in metrics and the journal.
type Cause string

// The causes of gaps.
const (
	CauseNone         Cause = ""
	CauseKilled       Cause = "killed" // the worker did not end its session by itself
	CauseStopped      Cause = "stopped"
	CauseUnreachable  Cause = "unreachable"
	CauseUnauthorized Cause = "unauthorized"
	CauseNotFound     Cause = "notFound"
	CauseStalled      Cause = "stalled"
	CauseUnsupported  Cause = "unsupported"
	CauseStorage      Cause = "storage"
	CauseStream       Cause = "stream" // broken timestamps, lost packets, no key frame
	CauseConfig       Cause = "config" // reconnected because the configuration changed
)
