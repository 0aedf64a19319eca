package live

import (
	"log/slog"
	"net/http"
	"sync"
	"time"

	"camfleet.dev/workers/media"
)

// Defaults of Options, and bounds that are not options.
const (
	DefaultIdle = 30 * time.Second
	DefaultWait = 10 * time.Second
	DefaultPart = 200 * time.Millisecond

	// The units kept for a fast start: one group of pictures, 2 s of 16 Mbit/s.
	// A longer one is not kept; the first viewer then waits for the next key
	// frame. Keeping costs 1.3 MB of RSS for each camera of 4 Mbit/s with a key
	// frame every 2 s (3.9 → 5.2 MB with 20 cameras); a second group, so that
	// nobody waits, would cost as much again.
	maxKeptBytes = 4 << 20
	maxKeptUnits = 2000
)

// Options are what a Stream needs; the zero value of each has a default, except Log.
type Options struct {
	Log *slog.Logger
	// Idle is how long the output goes on when nobody asks for anything.
	Idle time.Duration
	// Wait bounds how long a request for index.m3u8 may block, until the first
	// segment is there. Others block for a fifth of it at most, and not at all
	// while the camera is away: a browser has six connections for all cameras.
	Wait time.Duration
	// Part is the least duration of a partial segment.
	Part time.Duration
	// Dir is an existing folder for segments; empty keeps them in memory
	// (eight groups of pictures, at least eight seconds).
	Dir string
	// Now is the clock of the idle rule; Tick is how often it is looked at.
	Now  func() time.Time
	Tick time.Duration
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Idle == 0 {
		o.Idle = DefaultIdle
	}
	if o.Wait == 0 {
		o.Wait = DefaultWait
	}
	if o.Part == 0 {
		o.Part = DefaultPart
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Tick == 0 {
		o.Tick = time.Second
	}
	return o
}

// Stream is one camera's live view: a sink for its frames and the HTTP handler
// of its playlists and segments.
type Stream struct {
	o Options

	mu     sync.Mutex
	closed bool
	tracks []media.Track // nil while the camera is away
	cause  media.Cause   // why it is away
	ended  time.Time     // when it went away
	kept   keptUnits
	out    *output // nil while nobody watches
	asked  time.Time
}

var (
	_ media.Sink   = (*Stream)(nil)
	_ http.Handler = (*Stream)(nil)
)

// New returns a Stream of a camera that has not connected yet.
func New(o Options) *Stream { return &Stream{o: o.withDefaults()} }

// Start implements media.Sink.
func (s *Stream) Start(tracks []media.Track, fresh bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tracks, s.cause = tracks, media.CauseNone
	s.kept.clear()
	switch {
	case s.out == nil || s.closed:
	case sameTracks(s.out.tracks, tracks):
		if fresh {
			s.out.session()
		}
	default:
		s.o.Log.Info("live view starts anew: the stream's parameters changed")
		s.out.end()
		s.out = s.open()
	}
}

// Write implements media.Sink. While nobody watches it keeps the unit until the next key frame.
func (s *Stream) Write(u media.Unit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u.Track < 0 || u.Track >= len(s.tracks) {
		return
	}
	s.kept.add(u, s.tracks[u.Track].Codec.IsVideo())
	if s.out != nil {
		s.out.push(u)
	}
}

// Stop implements media.Sink. Those who watch keep their output for Options.Idle,
// so that a camera which comes back soon goes on where it was.
func (s *Stream) Stop(cause media.Cause) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tracks, s.cause, s.ended = nil, cause, s.o.Now()
	s.kept.clear()
}

// Close ends the output and answers every later request with 503.
func (s *Stream) Close() {
	s.mu.Lock()
	out := s.out
	s.closed, s.out = true, nil
	s.kept.clear()
	s.mu.Unlock()
	if out != nil {
		out.end()
		<-out.done
	}
}

// Watched tells whether an output runs.
func (s *Stream) Watched() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out != nil
}

// open starts an output, fed with what is kept. The caller holds mu.
func (s *Stream) open() *output {
	out, err := newOutput(s.o, s.tracks)
	if err != nil {
		s.o.Log.Error("live view cannot start", "error", err)
		return nil
	}
	s.asked = s.o.Now()
	go out.run(s.kept.snapshot(), s.expired)
	return out
}

// watch notes that somebody asks for the index, and starts an output if none
// runs; nil means that there is nothing to show, because of cause.
func (s *Stream) watch() (*output, media.Cause) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tracks == nil || s.closed {
		return nil, s.cause
	}
	s.asked = s.o.Now()
	if s.out == nil {
		s.out = s.open()
	}
	return s.out, s.cause
}

// running is the output that ok accepts, if one runs, and how long it may be
// waited for; that somebody asks is noted.
func (s *Stream) running(ok func(*output) bool) (*output, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out == nil || !ok(s.out) {
		return nil, 0
	}
	s.asked = s.o.Now()
	if s.tracks == nil {
		return s.out, 0
	}
	return s.out, s.o.Wait / 5
}

// expired is asked by an output on every tick, and when it failed: it tells
// whether the output has to end, and forgets it then.
func (s *Stream) expired(out *output, failed bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out != out {
		return true
	}
	now := s.o.Now()
	idle := now.Sub(s.asked) >= s.o.Idle
	away := s.tracks == nil && now.Sub(s.ended) >= s.o.Idle
	if !failed && !idle && !away {
		return false
	}
	s.out = nil
	return true
}
