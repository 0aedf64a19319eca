package rtsp2hls

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"camfleet.dev/schema"
	"camfleet.dev/workers/archive"
	"camfleet.dev/workers/media"
	"camfleet.dev/workers/metrics"
)

// Options are what a Camera is made of. Config, ArchiveDir and Log must be
// set; everything else has a default.
type Options struct {
	Config     schema.WorkerCamera
	ArchiveDir archive.Dir
	// SecretDir is the folder with the files username and password (and
	// ca.crt, for RTSPS) of a configuration's credentials; "" or nil: none.
	SecretDir func(schema.WorkerCamera) string
	// Live gets every unit beside the recorder; nil: nobody. If it has a method
	// Watched() bool, data is read in larger pieces while that is false.
	Live    media.Sink
	Metrics *metrics.Camera // nil: not counted
	Log     *slog.Logger
	Clock   Clock
	// Dial opens a TCP connection to an address (IP and port) that was
	// checked before.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Resolve finds a host's addresses.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// FS is the archive's disk.
	FS     archive.FS
	Timing Timing
}

// Timing is how long a Camera waits for what; zero fields have the defaults named here.
type Timing struct {
	Connect   time.Duration // an answer from the camera: 10 s
	Stale     time.Duration // no packets: the state becomes stale: 5 s
	Stalled   time.Duration // no packets: connect again: 10 s
	NoKey     time.Duration // no key frame: the state becomes stale: 30 s
	RetryMin  time.Duration // first wait before connecting again: 1 s
	RetryMax  time.Duration // longest: 30 s
	RetrySlow time.Duration // after 401, 404 and what else needs a person: 2 min
	Healthy   time.Duration // a connection that held this long resets the wait: 60 s
	Secrets   time.Duration // how often, after 401, the credentials are read again: 2 s
	Tick      time.Duration // how often a connection is looked at: 1 s
	// Pace is how long arriving data may gather before it is read (< 0: not at
	// all): 20 ms, but PaceAlone, 100 ms, while nobody watches, if Options.Live can tell.
	Pace, PaceAlone time.Duration
}

func (t Timing) defaults() Timing {
	set := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	set(&t.Connect, 10*time.Second)
	set(&t.Stale, 5*time.Second)
	set(&t.Stalled, 10*time.Second)
	set(&t.NoKey, 30*time.Second)
	set(&t.RetryMin, time.Second)
	set(&t.RetryMax, 30*time.Second)
	set(&t.RetrySlow, 2*time.Minute)
	set(&t.Healthy, time.Minute)
	set(&t.Secrets, 2*time.Second)
	set(&t.Tick, time.Second)
	set(&t.Pace, 20*time.Millisecond)
	set(&t.PaceAlone, 100*time.Millisecond)
	return t
}

// Camera does one camera's work. Run owns its state; the other methods may be
// called at any time, by any goroutine.
type Camera struct {
	o     Options
	log   *slog.Logger
	clock Clock

	// in
	mutex   sync.Mutex
	next    *schema.WorkerCamera // set by Update, taken by Run
	updated chan struct{}
	wake    chan struct{}

	// out
	health atomic.Pointer[Health]

	// Run's own:
	cfg     schema.WorkerCamera
	status  archive.Status
	written archive.Status
	writer  *segmentWriter
	rec     *recorder
	sink    media.Sink
	used    credentials                    // of the last connection
	watched func() bool                    // nil: not known
	once    func(context.Context) *failure // runOnce; a test's own
}

// New makes a Camera; an error says what in the options or the configuration cannot work.
func New(o Options) (*Camera, error) {
	if o.Log == nil || o.ArchiveDir == "" {
		return nil, errors.New("rtsp2hls: Log and ArchiveDir must be set")
	}
	if _, err := parseURL(o.Config.URL); err != nil {
		return nil, fmt.Errorf("camera %s/%s: %w", o.Config.Site, o.Config.Name, err)
	}
	if o.Clock == nil {
		o.Clock = systemClock{}
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	if o.Resolve == nil {
		o.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	if o.SecretDir == nil {
		o.SecretDir = func(schema.WorkerCamera) string { return "" }
	}
	o.Timing = o.Timing.defaults()
	c := &Camera{
		o: o, log: o.Log, clock: o.Clock, cfg: o.Config,
		updated: make(chan struct{}, 1), wake: make(chan struct{}, 1),
	}
	c.once = c.runOnce
	if live, ok := o.Live.(interface{ Watched() bool }); ok {
		c.watched = live.Watched
	} else if o.Live == nil {
		c.watched = func() bool { return false }
	}
	c.health.Store(&Health{State: string(archive.Connecting), Since: c.clock.Now()})
	return c, nil
}

// Update tells the camera that its configuration changed. It does not block.
// Only another URL, other credentials or another transport make it connect
// again; what is worse than the present configuration is said and not used.
func (c *Camera) Update(cfg schema.WorkerCamera) {
	c.mutex.Lock()
	c.next = &cfg
	c.mutex.Unlock()
	poke(c.updated)
}

// poke leaves a message for a goroutine that looks at everything when it wakes.
func poke(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// Run works until ctx is done and then finishes the open segment. It returns
// an error only when it cannot do anything at all.
func (c *Camera) Run(ctx context.Context) error {
	options := archive.Options{
		Dir: c.o.ArchiveDir, Log: c.log, Policy: policy(c.cfg, c.log), Now: c.clock.Now, FS: c.o.FS,
	}
	c.writer = newSegmentWriter(c.log, c.o.Metrics, c.clock, options)
	c.writer.changed = func() { poke(c.wake) }
	c.rec = newRecorder(c.log, c.writer, recording(c.cfg))
	c.sink = sinks(c.rec, c.o.Live)
	go c.writer.run(ctx)
	defer c.writer.stop()
	<-c.writer.ready // opening tidies the folder up, and finds out whose it is

	wait := backoff{min: c.o.Timing.RetryMin, max: c.o.Timing.RetryMax}
	c.setState(archive.Connecting, "")
	for ctx.Err() == nil {
		if c.cfg.Disabled {
			c.rest(ctx)
			continue
		}
		began := c.clock.Now()
		f := c.once(ctx)
		if f == nil || ctx.Err() != nil {
			continue // stopped, or configured anew
		}
		if f.lived && c.clock.Now().Sub(began) >= c.o.Timing.Healthy {
			wait.reset()
		}
		c.failed(f)
		c.pause(ctx, f, wait.next())
	}
	return nil
}

// rest waits while the camera is disabled.
func (c *Camera) rest(ctx context.Context) {
	c.setState(archive.Disabled, "")
	c.writer.gap(media.CauseNone)
	for c.cfg.Disabled {
		select {
		case <-ctx.Done():
			return
		case <-c.updated:
			c.apply()
		}
	}
	c.setState(archive.Connecting, "")
}

// failed says what happened and counts it.
func (c *Camera) failed(f *failure) {
	c.o.Metrics.Reconnect(f.reason)
	if f.state != c.status.State || f.message != c.status.Message {
		c.log.Warn("camera failed", "state", f.state, "reason", f.message)
	}
	c.setState(f.state, f.message)
	if recording(c.cfg).Enabled {
		c.writer.gap(f.cause)
	}
}

// pause waits before the next connection. Another configuration ends it, and
// so do other credentials after they were refused.
func (c *Camera) pause(ctx context.Context, f *failure, d time.Duration) {
	if f.slow {
		d = max(d, jitter(c.o.Timing.RetrySlow))
	}
	refused := c.used // not what the files hold now: they may have changed since
	over := c.clock.After(d)
	reread := c.clock.After(c.o.Timing.Secrets)
	for {
		select {
		case <-ctx.Done():
			return
		case <-over:
			return
		case <-c.updated:
			if c.apply() {
				return
			}
		case <-reread:
			if now, _ := c.credentials(); f.state == archive.Unauthorized && now != refused {
				c.log.Info("the credentials changed, connecting again")
				return
			}
			reread = c.clock.After(c.o.Timing.Secrets)
		}
	}
}

// apply takes what Update left; restart tells that the connection has to be made anew.
func (c *Camera) apply() (restart bool) {
	c.mutex.Lock()
	next := c.next
	c.next = nil
	c.mutex.Unlock()
	if next == nil {
		return false
	}
	if _, err := parseURL(next.URL); err != nil {
		c.log.Error("the new configuration is not used, the last one goes on", "error", err)
		return false
	}
	old := c.cfg
	c.cfg = *next
	c.writer.policy(policy(c.cfg, c.log))
	c.rec.update(recording(c.cfg))
	return old.URL != next.URL || old.Credentials != next.Credentials ||
		old.Transport != next.Transport || old.Disabled != next.Disabled
}

// recording is the configuration of the recording, with its defaults.
func recording(cfg schema.WorkerCamera) schema.Recording {
	r := cfg.Recording
	if r.Segment <= 0 {
		r.Segment = schema.Duration(2 * time.Second)
	}
	r.Enabled = r.Enabled && !cfg.Disabled
	return r
}

// policy is what the archive follows of a configuration.
func policy(cfg schema.WorkerCamera, log *slog.Logger) archive.Policy {
	limits := func(r schema.Retention) archive.Limits {
		return archive.Limits{Age: r.Age.Std(), Bytes: int64(r.Bytes)}
	}
	p := archive.Policy{
		Segment:  recording(cfg).Segment.Std(),
		Segments: limits(cfg.Recording.Retention), Days: limits(cfg.Recording.Days.Retention),
	}
	if cfg.TimeZone == "" {
		return p
	}
	zone, err := time.LoadLocation(cfg.TimeZone)
	if err != nil {
		log.Error("day files are dated in UTC", "error", fmt.Errorf("time zone of the site: %w", err))
		return p
	}
	p.Location = zone
	return p
}
