package rtsp2hls

import (
	"net"
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
	pace func() time.Duration // 0: do not wait

	buffer  []byte
	from    int
	to      int
	drained bool
}

func newPacedConn(c net.Conn, pace func() time.Duration) *pacedConn {
	return &pacedConn{Conn: c, pace: pace, buffer: make([]byte, pacedBuffer)}
}

// Read implements net.Conn.
func (c *pacedConn) Read(p []byte) (int, error) {
	if c.from == c.to {
		if c.drained {
			wait(c.pace())
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

// wait sleeps up to the next multiple of d on the clock.
func wait(d time.Duration) {
	if d > 0 {
		time.Sleep(d - time.Duration(time.Now().UnixNano())%d)
	}
}
