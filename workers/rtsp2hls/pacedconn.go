package rtsp2hls

import (
	"net"
	"sync/atomic"
	"time"
)

// pacedBuffer is how much is read at once: a second of 0.5 Mbit/s, or a large key frame.
const pacedBuffer = 64 << 10

// pacedConn lets data gather for a moment before it reads, because what costs
// is not the bytes but waking up for each packet of them: a 1080p camera sends
// 350 a second, a frame has 14. Waits of all cameras end at the same moments,
// so that they share wake-ups. It begins when a session plays; requests
// before that are not delayed.
type pacedConn struct {
	net.Conn
	pace    time.Duration
	playing *atomic.Bool

	buffer  []byte
	from    int
	to      int
	drained bool
}

func newPacedConn(c net.Conn, pace time.Duration, playing *atomic.Bool) *pacedConn {
	return &pacedConn{Conn: c, pace: pace, playing: playing, buffer: make([]byte, pacedBuffer)}
}

// Read implements net.Conn.
func (c *pacedConn) Read(p []byte) (int, error) {
	if c.from == c.to {
		if c.drained && c.pace > 0 && c.playing.Load() {
			time.Sleep(c.pace - time.Duration(time.Now().UnixNano())%c.pace)
		}
		n, err := c.Conn.Read(c.buffer)
		c.from, c.to, c.drained = 0, n, n < len(c.buffer)
		if n == 0 {
			return 0, err
		}
	}
	n := copy(p, c.buffer[c.from:c.to])
	c.from += n
	return n, nil
}
