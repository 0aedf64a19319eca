package fakecam

import (
	"image"
	"time"

	"camfleet.dev/workers/fakecam/counter"
)

// The built-in clips quiet and motion, for SentAt.
const (
	clipFPS    = 25
	clipFrames = 1000
)

// ReadCounter reads the frame counter of a built-in clip from an image of it,
// such as a screenshot of a video element at any scale; crop to one camera.
func ReadCounter(img image.Image) (frame int, ok bool) { return counter.Read(img) }

// SentAt tells when the frame with this counter was sent, for the clips quiet
// and motion (Clip.SentAt for others): latency, glass to glass, is now minus
// that. Frames repeat every 40 s; the newest such time is meant.
func SentAt(frame int, now time.Time) time.Time {
	return counter.SentAt(frame, clipFrames, clipFPS, now)
}
