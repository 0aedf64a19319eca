package rtsp2hls

import (
	"context"
	"fmt"
	"math"
	"net"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"

	"camfleet.dev/schema"
	"camfleet.dev/workers/archive"
	"camfleet.dev/workers/media"
)

// session is one connection to a camera. Its run is a goroutine of its own;
// what is below ingest belongs to the Camera.
type session struct {
	c           *Camera
	cfg         schema.WorkerCamera
	credentials credentials
	scrub       func(string) string
	playing     atomic.Bool

	basic                       atomic.Bool // the password was sent unencrypted
	leftOut                     atomic.Pointer[string]
	ingest                      atomic.Pointer[ingest]
	guard                       atomic.Pointer[guard]
	began                       time.Time
	lived                       bool
	flowing                     bool
	packets, datagrams, randoms uint64
	frames                      uint64
	fps                         float64 // measured; 0: not yet
	bitrate                     int64
	measured                    struct {
		at            time.Time
		frames, bytes uint64
	}
	flowingSince, lastPacket, lastRandom time.Time
}

// runOnce makes one connection and stays with it until it ends. nil means
// that it was ended from here: by ctx, or for another configuration.
func (c *Camera) runOnce(ctx context.Context) *failure {
	s := &session{c: c, cfg: c.cfg, began: c.clock.Now(), scrub: scrubber(credentials{})}
	var err error
	s.credentials, err = c.credentials()
	if c.used = s.credentials; err != nil {
		return &failure{state: archive.Unauthorized, cause: media.CauseUnauthorized, reason: "unauthorized", slow: true, message: err.Error()}
	}
	s.scrub = scrubber(s.credentials)
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- s.run(ctx) }()
	f, cause := c.attend(ctx, s, done)
	cancel()
	<-done // no packet comes any more
	if f != nil {
		f.lived, cause = s.lived, f.cause
	}
	if in := s.ingest.Load(); in != nil {
		in.Close(cause)
	}
	c.lookHealth(nil)
	return f
}

// attend looks after a connection: until it ends by itself, is of no use any
// more (both a failure), or is not wanted any more (none).
func (c *Camera) attend(ctx context.Context, s *session, done chan error) (*failure, media.Cause) {
	tick := c.clock.After(c.o.Timing.Tick)
	for {
		select {
		case err := <-done:
			close(done)
			if ctx.Err() != nil {
				return nil, media.CauseStopped
			}
			return classify(err, s.credentials != credentials{}, s.scrub), media.CauseNone
		case <-ctx.Done():
			return nil, media.CauseStopped
		case <-c.updated:
			if c.apply() {
				c.setState(archive.Connecting, "the configuration changed")
				return nil, media.CauseConfig
			}
		case <-c.wake:
			if f := c.observe(s); f != nil {
				return f, f.cause
			}
		case <-tick:
			if f := c.observe(s); f != nil {
				return f, f.cause
			}
			tick = c.clock.After(c.o.Timing.Tick)
		}
	}
}

// run connects, plays, and returns why that ended.
func (s *session) run(ctx context.Context) error {
	u, err := parseURL(s.cfg.URL)
	if err != nil {
		return err
	}
	g := s.newGuard(u)
	s.guard.Store(g)
	client := s.client(u, g)
	if err := client.Start(); err != nil {
		return fmt.Errorf("start the RTSP client: %w", err)
	}
	defer client.Close()
	defer context.AfterFunc(ctx, client.Close)()
	if err := s.play(client, u); err != nil {
		if refused := g.lastRefusal(); refused != nil {
			return refused
		}
		return err
	}
	return client.Wait()
}

func (s *session) newGuard(u *base.URL) *guard {
	return &guard{dial: s.c.o.Dial, resolve: s.c.o.Resolve, allowed: hostPort(u), wrap: func(c net.Conn) net.Conn {
		return newPacedConn(c, s.pace)
	}}
}

// pace is how long arriving data may gather at this moment.
func (s *session) pace() time.Duration {
	switch {
	case !s.playing.Load():
		return 0
	case s.c.watched == nil || s.c.watched():
		return s.c.o.Timing.Pace
	}
	return s.c.o.Timing.PaceAlone
}

// client is the library's, which is good for one connection.
func (s *session) client(u *base.URL, g *guard) *gortsplib.Client {
	protocol := gortsplib.ProtocolTCP
	if s.cfg.Transport == "udp" {
		protocol = gortsplib.ProtocolUDP
	}
	client := &gortsplib.Client{
		Scheme: u.Scheme, Host: u.Host, Protocol: &protocol, UserAgent: "camfleet",
		ReadTimeout: s.c.o.Timing.Connect, WriteTimeout: s.c.o.Timing.Connect,
		DialContext: g.DialContext, ListenPacket: g.listenUDP, ResolveIPAddr: noResolve,
		OnRequest:         s.onRequest,
		OnPacketsLost:     s.c.o.Metrics.Lost,
		OnDecodeError:     func(error) {}, // counted as lost or dropped where it matters
		OnTransportSwitch: func(error) {},
	}
	if u.Scheme == "rtsps" {
		client.TLSConfig = tlsConfig(s.c.o.SecretDir(s.cfg), s.cfg.Credentials)
	}
	return client
}

// onRequest looks for a password that goes over the network as it is.
func (s *session) onRequest(req *base.Request) {
	value := req.Header["Authorization"]
	if len(value) == 0 || req.URL.Scheme == "rtsps" || len(value[0]) < 6 || value[0][:6] != "Basic " {
		return
	}
	if !s.basic.Swap(true) {
		s.c.log.Warn("the camera asks for Basic authentication over plain RTSP: its password can be read by anybody on the way; switch it to digest, or use rtsps://")
	}
}

// play asks for the camera's video and the audio that can be carried.
func (s *session) play(client *gortsplib.Client, u *base.URL) error {
	asked := *u
	if s.credentials != (credentials{}) {
		asked.User = s.credentials.userinfo()
	}
	desc, _, err := client.Describe(&asked)
	if err != nil {
		return fmt.Errorf("describe: %w", err)
	}
	t, err := choose(desc)
	if err != nil {
		return err
	}
	if t.leftOut != "" {
		s.leftOut.Store(&t.leftOut)
		s.c.log.Warn("a track is not recorded", "reason", t.leftOut)
	}
	in := newIngest(s.c.log, s.c.o.Metrics, s.c.clock.Now, s.c.sink, t.video, t.audio)
	in.notify = func() { poke(s.c.wake) }
	for _, m := range t.medias {
		if _, err := client.Setup(desc.BaseURL, m, 0, 0); err != nil {
			return fmt.Errorf("set up the %s track: %w", m.Type, err)
		}
	}
	client.OnPacketRTP(t.medias[0], t.videoFormat, in.videoPacket)
	if t.audio != nil {
		client.OnPacketRTP(t.medias[1], t.audioFormat, in.audioPacket)
	}
	s.ingest.Store(in)
	if _, err := client.Play(nil); err != nil {
		return fmt.Errorf("play: %w", err)
	}
	s.playing.Store(true)
	return nil
}

// sample reads the ingest's counters.
func (s *session) sample(in *ingest, now time.Time) {
	packets, randoms, datagrams := in.packets.Load(), in.randoms.Load(), s.guard.Load().datagrams.Load()
	if s.lastPacket.IsZero() || packets != s.packets || datagrams != s.datagrams {
		s.c.o.Metrics.Packets(packets - s.packets)
		s.packets, s.datagrams, s.lastPacket = packets, datagrams, now
	}
	if s.lastRandom.IsZero() || randoms != s.randoms {
		s.randoms, s.lastRandom = randoms, now
	}
	s.frames = in.frames.Load()
	s.measure(in, now)
}

// measured rates are noted once, so that status.json is not written all the time.
const measureFor = 10 * time.Second

func (s *session) measure(in *ingest, now time.Time) {
	m := &s.measured
	if s.frames == 0 || s.fps != 0 {
		return
	}
	if m.at.IsZero() {
		m.at, m.frames, m.bytes = now, s.frames, in.bytes.Load()
		return
	}
	passed := now.Sub(m.at)
	if passed < measureFor {
		return
	}
	s.fps = math.Round(float64(s.frames-m.frames) / passed.Seconds())
	const step = 10_000 // bit/s: no more than what is meant
	s.bitrate = int64(float64(in.bytes.Load()-m.bytes)*8/passed.Seconds()/step) * step
}

// note is what a person should know of a connection that works.
func (s *session) note() string {
	text := ""
	if left := s.leftOut.Load(); left != nil {
		text = *left
	}
	if s.basic.Load() {
		if text != "" {
			text += "; "
		}
		text += "the password is sent unencrypted (Basic authentication over plain RTSP)"
	}
	return text
}
