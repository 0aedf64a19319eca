package fakecam

import "maps"

// Stats are what was asked of a camera, or of a whole server, since it started.
type Stats struct {
	// Connections is the number of TCP connections that were opened (a
	// camera's: that named it in a request).
	Connections int
	// Open is how many of them are open now.
	Open int
	// Requests are counted by their method, such as DESCRIBE.
	Requests map[string]int
	// Authorized is the number of requests with an Authorization header,
	// whether it was right or not.
	Authorized int
	// Readers is the number of sessions that play now; a server's: of all its cameras.
	Readers int
	// Frames, Packets and Dropped count what was sent, and what a fault left
	// out: video frames, and RTP packets.
	Frames, Packets, Dropped uint64
}

func (s *Stats) request(method string, authorized bool) {
	if s.Requests == nil {
		s.Requests = map[string]int{}
	}
	s.Requests[method]++
	if authorized {
		s.Authorized++
	}
}

// Stats returns a camera's counts; those of a path that was never known are zero.
func (s *Server) Stats(path string) Stats {
	s.mu.Lock()
	c := s.cameras[path]
	s.mu.Unlock()
	if c == nil {
		return Stats{}
	}
	return c.snapshotStats()
}

// Total returns the whole server's counts, unknown paths included.
func (s *Server) Total() Stats {
	s.mu.Lock()
	sum := s.stats
	sum.Requests = maps.Clone(s.stats.Requests)
	cameras := make([]*camera, 0, len(s.cameras))
	for _, c := range s.cameras {
		cameras = append(cameras, c)
	}
	s.mu.Unlock()
	for _, c := range cameras {
		one := c.snapshotStats()
		sum.Readers += one.Readers
		sum.Frames += one.Frames
		sum.Packets += one.Packets
		sum.Dropped += one.Dropped
	}
	return sum
}
