package rtsp2hls

import (
	"math/rand/v2"
	"time"
)

// backoff is how long to wait before the next attempt: doubling, with jitter,
// so that cameras that failed together do not come back together.
type backoff struct {
	min, max time.Duration
	last     time.Duration
}

func (b *backoff) next() time.Duration {
	b.last = min(max(2*b.last, b.min), b.max)
	return jitter(b.last)
}

func (b *backoff) reset() { b.last = 0 }

// jitter is d, a fifth more or less.
func jitter(d time.Duration) time.Duration {
	if d < 5 {
		return d
	}
	return d*4/5 + rand.N(d*2/5)
}
