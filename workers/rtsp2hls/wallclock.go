package rtsp2hls

import "time"

const (
	// maxSlew is how fast a session's clock follows this machine's: no frame
	// may seem more than 0.05 % longer than the camera made it.
	maxSlew = 500e-6
	// clockWindow is the media time over which the least delayed frame is
	// looked for. Its arrival is what is nearest to its capture.
	clockWindow = 10 * time.Second
	// clockLost is a difference that slewing cannot follow in reasonable time;
	// seen for clockLostWindows windows on end, the session begins anew.
	clockLost        = 2 * time.Second
	clockLostWindows = 3
)

// wallClock gives frames the time they were captured at: arrival anchored to
// PTS, so that the network's jitter does not show, the time never jumps in a
// session, and a camera whose clock runs wrong is followed slowly.
type wallClock struct {
	rate int64 // PTS ticks per second

	started bool
	anchor  time.Time // of PTS 0, on this machine's clock
	goal    time.Duration
	last    int64 // PTS up to which the anchor was moved

	windowEnd int64
	least     time.Duration // least delay in this window
	lost      int           // windows on end that were off by more than clockLost
}

// time is when the frame of pts was captured; arrived is now.
func (c *wallClock) time(pts int64, arrived time.Time) time.Time {
	arrived = arrived.Round(0) // the wall clock, also when somebody sets it
	if !c.started {
		c.started = true
		c.anchor = arrived.Add(-c.duration(pts))
		c.last = pts
		c.beginWindow(pts)
	}
	c.slew(pts)
	at := c.anchor.Add(c.duration(pts))
	c.least = min(c.least, arrived.Sub(at))
	if pts >= c.windowEnd {
		c.endWindow(pts)
	}
	return at
}

// wrong tells that the session's times are so far off that it had better begin anew.
func (c *wallClock) wrong() bool { return c.lost >= clockLostWindows }

// reset forgets everything: a new session.
func (c *wallClock) reset() { *c = wallClock{rate: c.rate} }

// slew moves the anchor towards the goal, by as much as the time since the last frame allows.
func (c *wallClock) slew(pts int64) {
	passed := c.duration(pts - c.last)
	if passed <= 0 {
		return // a B-frame
	}
	c.last = pts
	most := time.Duration(float64(passed) * maxSlew)
	step := min(max(c.goal, -most), most)
	c.anchor = c.anchor.Add(step)
	c.goal -= step
}

func (c *wallClock) beginWindow(pts int64) {
	c.windowEnd = pts + int64(clockWindow/time.Second)*c.rate
	c.least = time.Duration(1<<63 - 1)
}

func (c *wallClock) endWindow(pts int64) {
	c.goal = c.least
	if c.least.Abs() > clockLost {
		c.lost++
	} else {
		c.lost = 0
	}
	c.beginWindow(pts)
}

// duration is ticks as time, without overflow for any stream shorter than 292 years.
func (c *wallClock) duration(ticks int64) time.Duration {
	return time.Duration(ticks/c.rate)*time.Second + time.Duration(ticks%c.rate)*time.Second/time.Duration(c.rate)
}

// at is the wall-clock time of a PTS in another track's ticks.
func (c *wallClock) at(pts, rate int64) time.Time {
	return c.anchor.Add((&wallClock{rate: rate}).duration(pts))
}
