package metrics

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Camera is the metrics of one camera. All methods may be called at any time,
// by any goroutine, and on nil, which counts nothing.
type Camera struct {
	state    atomic.Pointer[string]
	keyframe atomic.Int64 // Unix nanoseconds; 0: none yet
	segment  atomic.Int64

	packets, lost, dropped atomic.Uint64
	received, recorded     atomic.Uint64

	desc       descriptions
	gaps       gaps
	reconnects *prometheus.CounterVec
	fsync      prometheus.Histogram
}

type descriptions struct {
	state, keyframe, segment, packets, lost, dropped, received, recorded, gap *prometheus.Desc
}

func newCamera(site, camera string) *Camera {
	labels := prometheus.Labels{"site": site, "camera": camera}
	desc := func(name, help string, variable ...string) *prometheus.Desc {
		return prometheus.NewDesc("camfleet_camera_"+name, help, variable, labels)
	}
	return &Camera{
		desc: descriptions{
			state:    desc("state", "1 for the state that the camera is in.", "state"),
			keyframe: desc("keyframe_age_seconds", "Time since the last key frame arrived."),
			segment:  desc("segment_age_seconds", "Time since the last segment was safely on disk."),
			packets:  desc("packets_total", "RTP packets received."),
			lost:     desc("packets_lost_total", "RTP packets that never arrived."),
			dropped:  desc("frames_dropped_total", "Video frames received but not used: broken, or not decodable without a key frame."),
			received: desc("received_bytes_total", "Bytes of access units received."),
			recorded: desc("recorded_bytes_total", "Bytes of segments safely on disk."),
			gap:      desc("gap_seconds_total", "Time that should have been recorded and was not.", "cause"),
		},
		reconnects: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "camfleet_camera_reconnects_total", Help: "Connections that ended or could not be made.",
			ConstLabels: labels,
		}, []string{"reason"}),
		fsync: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "camfleet_archive_fsync_seconds", Help: "Time to bring a segment safely to disk.",
			ConstLabels: labels,
			Buckets:     []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}),
	}
}

// State notes the state that the camera is in.
func (c *Camera) State(state string) {
	if c != nil {
		c.state.Store(&state)
	}
}

// Keyframe notes that a key frame arrived.
func (c *Camera) Keyframe(at time.Time) {
	if c != nil {
		c.keyframe.Store(at.UnixNano())
	}
}

// Segment notes that a segment of so many bytes is safely on disk.
func (c *Camera) Segment(at time.Time, bytes int64) {
	if c != nil {
		c.segment.Store(at.UnixNano())
		c.recorded.Add(uint64(max(bytes, 0)))
	}
}

// Unit notes an access unit of so many bytes.
func (c *Camera) Unit(bytes int) {
	if c != nil {
		c.received.Add(uint64(bytes))
	}
}

// Packets notes RTP packets that arrived.
func (c *Camera) Packets(n uint64) {
	if c != nil {
		c.packets.Add(n)
	}
}

// Lost notes RTP packets that did not arrive.
func (c *Camera) Lost(n uint64) {
	if c != nil {
		c.lost.Add(n)
	}
}

// Dropped notes a video frame that was received and not used.
func (c *Camera) Dropped() {
	if c != nil {
		c.dropped.Add(1)
	}
}

// Reconnect notes that a connection ended, or could not be made.
func (c *Camera) Reconnect(reason string) {
	if c != nil {
		c.reconnects.WithLabelValues(reason).Inc()
	}
}

// Fsync notes how long it took to bring a segment safely to disk.
func (c *Camera) Fsync(took time.Duration) {
	if c != nil {
		c.fsync.Observe(took.Seconds())
	}
}

// SegmentAge is the time since the last segment was safely on disk, and false
// when none was since the worker started.
func (c *Camera) SegmentAge(now time.Time) (time.Duration, bool) {
	if c == nil || c.segment.Load() == 0 {
		return 0, false
	}
	return now.Sub(time.Unix(0, c.segment.Load())), true
}

func (c *Camera) collect(ch chan<- prometheus.Metric, now time.Time) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count := func(d *prometheus.Desc, v *atomic.Uint64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v.Load()))
	}
	if state := c.state.Load(); state != nil {
		gauge(c.desc.state, 1, *state)
	}
	if at := c.keyframe.Load(); at != 0 {
		gauge(c.desc.keyframe, now.Sub(time.Unix(0, at)).Seconds())
	}
	if at := c.segment.Load(); at != 0 {
		gauge(c.desc.segment, now.Sub(time.Unix(0, at)).Seconds())
	}
	count(c.desc.packets, &c.packets)
	count(c.desc.lost, &c.lost)
	count(c.desc.dropped, &c.dropped)
	count(c.desc.received, &c.received)
	count(c.desc.recorded, &c.recorded)
	for cause, length := range c.gaps.snapshot(now) {
		ch <- prometheus.MustNewConstMetric(c.desc.gap, prometheus.CounterValue, length.Seconds(), cause)
	}
	c.reconnects.Collect(ch)
	c.fsync.Collect(ch)
}
