package fakecam

import (
	"crypto/rand"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
)

// Camera is how a simulated camera is set up.
type Camera struct {
	// Clip is the name of the clip it plays; empty: quiet.
	Clip string
	// Username and Password for digest authentication; none without a name.
	Username, Password string
	// Faults it starts with.
	Faults Faults
	// PCMU adds a G.711 track of silence, which a recorder in MP4 cannot keep.
	PCMU bool
	// Stagger sends the camera's frames that much later than the wall clock
	// says, so that many cameras do not all send at one moment; SentAt is off by it.
	Stagger time.Duration
}

// camera is a Camera at work.
type camera struct {
	server  *Server
	path    string
	pcmu    *track // nil: none
	stagger time.Duration
	own     *Clip // of the configuration

	mu       sync.Mutex
	username string
	password string
	faults   Faults
	clip     *Clip         // to be played: own, or the faults' one
	changed  chan struct{} // closed when faults change
	stream   *stream       // nil until somebody asks
	readers  map[*gortsplib.ServerSession]bool
	conns    map[*gortsplib.ServerConn]bool
	feeding  bool
	sequence []uint16 // of each track, from one feed to the next
	stats    Stats
}

// stream is what gortsplib distributes a camera's packets with.
type stream struct {
	*gortsplib.ServerStream
	ssrcs []uint32 // of each media
}

func newCamera(s *Server, path string, config Camera) (*camera, error) {
	if config.Clip == "" {
		config.Clip = Quiet
	}
	own, err := s.clip(config.Clip)
	if err != nil {
		return nil, err
	}
	c := &camera{
		server: s, path: path, stagger: config.Stagger, own: own, clip: own,
		username: config.Username, password: config.Password,
		changed: make(chan struct{}),
		readers: map[*gortsplib.ServerSession]bool{}, conns: map[*gortsplib.ServerConn]bool{},
	}
	if config.PCMU {
		c.pcmu = silence()
	}
	return c, c.setFaults(config.Faults)
}

// silence is a G.711 track, 20 ms a packet (RFC 3551 §4.5.14).
func silence() *track {
	payload := make([]byte, 160)
	for i := range payload {
		payload[i] = 0xff
	}
	return &track{
		codec: "pcmu", clock: 8000, step: 160,
		units: []unit{{packets: []packet{{payload: payload}}, key: true}},
		newFormat: func() format.Format {
			return &format.G711{PayloadTyp: 0, MULaw: true, SampleRate: 8000, ChannelCount: 1}
		},
	}
}

// tracks are the clip's, and the camera's own.
func (c *camera) tracks(clip *Clip) []*track {
	all := clip.tracks
	if c.pcmu != nil {
		all = append(all[:len(all):len(all)], c.pcmu)
	}
	return all
}

func (c *camera) setFaults(f Faults) error {
	if err := f.check(); err != nil {
		return err
	}
	clip := c.own
	if f.Clip != "" {
		var err error
		if clip, err = c.server.clip(f.Clip); err != nil {
			return err
		}
		if !clip.matches(c.own) {
			return fmt.Errorf("the clip %s has other tracks than %s", f.Clip, c.own.name)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults, c.clip = f, clip
	close(c.changed)
	c.changed = make(chan struct{})
	return nil
}

func (c *camera) setCredentials(username, password string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.username, c.password = username, password
}

func (c *camera) getFaults() Faults {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.faults
}

// hang waits while the camera is half open: whoever calls it does not answer.
func (c *camera) hang() {
	for {
		c.mu.Lock()
		halfOpen, changed := c.faults.HalfOpen, c.changed
		c.mu.Unlock()
		if !halfOpen {
			return
		}
		select {
		case <-changed:
		case <-c.server.ctx.Done():
			return
		}
	}
}

// authorized checks a request's credentials.
func (c *camera) authorized(conn *gortsplib.ServerConn, req *base.Request) bool {
	c.mu.Lock()
	username, password, refuse := c.username, c.password, c.faults.Unauthorized
	c.mu.Unlock()
	if refuse {
		username, password = "nobody", rand.Text()
	}
	return username == "" || conn.VerifyCredentials(req, username, password)
}

// open returns the camera's stream, making it when it is asked for first.
func (c *camera) open() (*gortsplib.ServerStream, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stream == nil {
		desc := &description.Session{Title: "camfleet " + c.path}
		for _, t := range c.tracks(c.clip) {
			kind := description.MediaTypeAudio
			if t.codec.IsVideo() {
				kind = description.MediaTypeVideo
			}
			desc.Medias = append(desc.Medias, &description.Media{Type: kind, Formats: []format.Format{t.newFormat()}})
		}
		st := &gortsplib.ServerStream{Server: c.server.rtsp, Desc: desc}
		if err := st.Initialize(); err != nil {
			return nil, fmt.Errorf("making a stream of clip %s: %w", c.clip.name, err)
		}
		made := &stream{ServerStream: st}
		counts := st.Stats()
		for _, m := range desc.Medias {
			made.ssrcs = append(made.ssrcs, counts.Medias[m].Formats[m.Formats[0]].LocalSSRC)
		}
		c.stream = made
	}
	if !c.feeding {
		c.stream.describe(c.clip, c.faults)
	}
	return c.stream.ServerStream, nil
}

// describe puts a clip's parameter sets into the SDP of those who ask from now
// on. It is called by the feed, or with the camera locked when there is none.
func (st *stream) describe(clip *Clip, f Faults) {
	switch own := st.Desc.Medias[0].Formats[0].(type) {
	case *format.H264:
		to := clip.tracks[0].newFormat().(*format.H264)
		own.SPS, own.PPS = to.SPS, to.PPS
		if f.StreamOnly {
			own.SPS, own.PPS = nil, nil
		}
	case *format.H265:
		to := clip.tracks[0].newFormat().(*format.H265)
		own.VPS, own.SPS, own.PPS = to.VPS, to.SPS, to.PPS
		if f.StreamOnly {
			own.VPS, own.SPS, own.PPS = nil, nil, nil
		}
	}
	st.ReloadDesc()
}

// play adds a reader, and starts to feed the stream when it is the first.
func (c *camera) play(session *gortsplib.ServerSession) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readers[session] = true
	if c.feeding || c.server.ctx.Err() != nil {
		return
	}
	c.feeding = true
	f := newFeed(c)
	c.server.feeds.Go(func() { f.run(c.server.ctx) })
}

func (c *camera) leave(session *gortsplib.ServerSession) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.readers, session)
}

// request notes a request and the connection it came by.
func (c *camera) request(conn *gortsplib.ServerConn, method string, authorized bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.request(method, authorized)
	if !c.conns[conn] {
		c.conns[conn] = true
		c.stats.Connections++
	}
}

func (c *camera) closed(conn *gortsplib.ServerConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.conns, conn)
}

func (c *camera) disconnect() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.conns {
		conn.Close()
		conn.NetConn().Close() // at once, even if its request hangs
	}
	if c.stream != nil { // and the sessions over UDP
		c.stream.Close()
		c.stream = nil
	}
}

func (c *camera) snapshotStats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Requests = maps.Clone(s.Requests)
	s.Open, s.Readers = len(c.conns), len(c.readers)
	return s
}
