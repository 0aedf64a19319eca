package rtsp2hls

import (
	"fmt"
	"math"
	"strings"
	"time"

	"camfleet.dev/workers/archive"
	"camfleet.dev/workers/media"
)

// Health is what /healthz shows of a camera. Reason tells why it is not
// healthy: not the camera's mood (one that is away is healthy), but work that
// is not done.
type Health struct {
	State   string    `json:"state"`
	Since   time.Time `json:"since,omitzero"`
	Message string    `json:"message,omitempty"` // about State
	Reason  string    `json:"reason,omitempty"`
}

// setState changes the camera's state; status.json is written only when it says something new.
func (c *Camera) setState(s archive.State, message string) {
	if c.status.State != s {
		c.status.State, c.status.Since = s, c.clock.Now()
		c.health.Store(&Health{State: string(s), Since: c.status.Since}) // lookHealth finds out what is wrong, if anything is
		c.log.Info("camera state", "state", s, "reason", message)
	}
	c.status.Message = message
	c.o.Metrics.State(string(s))
	health := Health{State: string(s), Since: c.status.Since, Message: message, Reason: c.Health().Reason}
	c.health.Store(&health)
	c.publish()
}

func (c *Camera) publish() {
	if c.status == c.written || c.writer.foreign.Load() {
		return // the archive's other owner writes status.json
	}
	if err := archive.WriteStatus(c.o.ArchiveDir, c.status); err != nil {
		c.log.Warn("status not written", "error", err)
		return
	}
	c.written = c.status
}

// Health may be called at any time.
func (c *Camera) Health() Health {
	return *c.health.Load()
}

// lateAfter is how many target durations a playlist may be old.
const lateAfter = 3

// lookHealth works Health out.
func (c *Camera) lookHealth(s *session) {
	h := Health{State: string(c.status.State), Since: c.status.Since, Message: c.status.Message}
	if recording(c.cfg).Enabled && c.writer != nil {
		h.Reason = c.lateness(s)
	}
	c.health.Store(&h)
}

// lateness says what is wrong when frames arrive and no segments are made of them.
func (c *Camera) lateness(s *session) string {
	if s == nil || !s.flowing {
		return ""
	}
	last := s.flowingSince
	if at := c.writer.committed.Load(); at > last.UnixNano() {
		last = time.Unix(0, at)
	}
	target := max(recording(c.cfg).Segment.Std(), time.Duration(c.writer.longest.Load()))
	target = time.Duration(math.Ceil(target.Seconds())) * time.Second
	if age := c.clock.Now().Sub(last); age > lateAfter*target {
		return fmt.Sprintf("frames arrive but the last segment is %s old", age.Round(time.Second))
	}
	return ""
}

// observe looks at a connection and says what state the camera is in. A
// failure means that the connection is of no use any more.
func (c *Camera) observe(s *session) *failure {
	defer c.lookHealth(s)
	in := s.ingest.Load()
	if in == nil {
		return nil // still connecting: the client has its own deadline
	}
	now := c.clock.Now()
	s.sample(in, now)
	v := in.view.Load()
	c.describe(v, s)
	t := c.o.Timing
	silent := now.Sub(s.lastPacket)
	switch {
	case silent >= t.Stalled:
		return stalled(silent)
	case silent >= t.Stale:
		s.flowing = false
		c.setState(archive.Stale, fmt.Sprintf("no packets for %s", silent.Round(time.Second)))
	case s.frames == 0 && v.err != nil && v.err != errNoParameters:
		return &failure{state: archive.Unsupported, cause: media.CauseUnsupported, reason: "unsupported", slow: true, message: v.err.Error()}
	case now.Sub(s.lastRandom) >= t.NoKey:
		s.flowing = false
		c.setState(archive.Stale, fmt.Sprintf("packets arrive, but no key frame for %s: set a key frame (I-frame) interval of a few seconds and switch off intra refresh and \"smart\" codecs in the camera",
			now.Sub(s.lastRandom).Round(time.Second)))
	case s.frames > 0:
		c.flow(s, now)
	}
	return nil
}

// flow is the state of a camera whose frames arrive.
func (c *Camera) flow(s *session, now time.Time) {
	if !s.flowing {
		s.flowing, s.flowingSince, s.lived = true, now, true
	}
	state, message := archive.Live, s.note()
	if recording(c.cfg).Enabled {
		message = strings.Trim(message+"; "+c.writer.note(), "; ")
	}
	if t := c.writer.trouble.Load(); t != nil && recording(c.cfg).Enabled {
		c.writer.calm(false)
		state, message = archive.StorageFull, t.message
	}
	c.setState(state, message)
}

// describe fills in what the stream is; rates are noted once they are measured.
func (c *Camera) describe(v *view, s *session) {
	st := &c.status
	st.Codec, st.Width, st.Height = string(v.track.Codec), v.picture.width, v.picture.height
	if st.FPS == 0 {
		st.FPS = roundRate(v.picture.fps)
	}
	if s.fps != 0 {
		st.FPS, st.Bitrate = s.fps, s.bitrate
	}
}

func roundRate(fps float64) float64 {
	if math.IsNaN(fps) || math.IsInf(fps, 0) || fps > 1000 {
		return 0
	}
	return math.Round(fps*100) / 100
}
