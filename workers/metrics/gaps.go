package metrics

import (
	"sync"
	"time"
)

// gaps adds up missing time by cause. The one that is going on grows while
// it lasts, so that a camera that is away for a day is seen before it is back.
type gaps struct {
	mutex sync.Mutex
	total map[string]time.Duration
	cause string
	since time.Time // zero: no gap is going on
}

// GapBegins notes that from now on recording is missing; a gap that is going
// on already keeps its beginning and goes on with the new cause.
func (c *Camera) GapBegins(cause string, now time.Time) {
	if c == nil {
		return
	}
	g := &c.gaps
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.close(now)
	g.cause, g.since = cause, now
}

// GapEnds notes that recording goes on.
func (c *Camera) GapEnds(now time.Time) {
	if c == nil {
		return
	}
	g := &c.gaps
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.close(now)
}

// close adds what is going on to its cause's total.
func (g *gaps) close(now time.Time) {
	if g.since.IsZero() {
		return
	}
	if g.total == nil {
		g.total = map[string]time.Duration{}
	}
	g.total[g.cause] += max(now.Sub(g.since), 0)
	g.since = time.Time{}
}

// snapshot is the missing time by cause up to now.
func (g *gaps) snapshot(now time.Time) map[string]time.Duration {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	out := make(map[string]time.Duration, len(g.total)+1)
	for cause, length := range g.total {
		out[cause] = length
	}
	if !g.since.IsZero() {
		out[g.cause] += max(now.Sub(g.since), 0)
	}
	return out
}
