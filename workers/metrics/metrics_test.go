package metrics

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// at is a clock that a test sets.
type at struct{ t time.Time }

func (a *at) now() time.Time { return a.t }

func newSet(t *testing.T) (*Set, *prometheus.Registry, *at) {
	t.Helper()
	clock := &at{time.Unix(1000, 0)}
	registry := prometheus.NewPedanticRegistry()
	set, err := New(registry, clock.now)
	if err != nil {
		t.Fatal(err)
	}
	return set, registry, clock
}

func expect(t *testing.T, r *prometheus.Registry, want string, names ...string) {
	t.Helper()
	if err := testutil.GatherAndCompare(r, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
}

func TestAgesGrowWithTheClock(t *testing.T) {
	set, registry, clock := newSet(t)
	c := set.Camera("gate", "north")
	c.Keyframe(clock.t)
	c.Segment(clock.t, 500)
	c.Segment(clock.t, 500)
	clock.t = clock.t.Add(7 * time.Second)
	expect(t, registry, `
# HELP camfleet_camera_keyframe_age_seconds Time since the last key frame arrived.
# TYPE camfleet_camera_keyframe_age_seconds gauge
camfleet_camera_keyframe_age_seconds{camera="north",site="gate"} 7
# HELP camfleet_camera_recorded_bytes_total Bytes of segments safely on disk.
# TYPE camfleet_camera_recorded_bytes_total counter
camfleet_camera_recorded_bytes_total{camera="north",site="gate"} 1000
# HELP camfleet_camera_segment_age_seconds Time since the last segment was safely on disk.
# TYPE camfleet_camera_segment_age_seconds gauge
camfleet_camera_segment_age_seconds{camera="north",site="gate"} 7
`, "camfleet_camera_keyframe_age_seconds", "camfleet_camera_segment_age_seconds", "camfleet_camera_recorded_bytes_total")
	if age, ok := c.SegmentAge(clock.t); !ok || age != 7*time.Second {
		t.Errorf("segment age %v, %v", age, ok)
	}
}

func TestGapsAddUpByCauseWhileTheyLast(t *testing.T) {
	set, registry, clock := newSet(t)
	c := set.Camera("gate", "north")
	c.GapBegins("stalled", clock.t)
	clock.t = clock.t.Add(10 * time.Second)
	c.GapBegins("unreachable", clock.t)
	clock.t = clock.t.Add(5 * time.Second)
	const want = `
# HELP camfleet_camera_gap_seconds_total Time that should have been recorded and was not.
# TYPE camfleet_camera_gap_seconds_total counter
camfleet_camera_gap_seconds_total{camera="north",cause="stalled",site="gate"} 10
camfleet_camera_gap_seconds_total{camera="north",cause="unreachable",site="gate"} 5
`
	expect(t, registry, want, "camfleet_camera_gap_seconds_total")
	c.GapEnds(clock.t)
	clock.t = clock.t.Add(time.Hour)
	c.GapEnds(clock.t)
	expect(t, registry, want, "camfleet_camera_gap_seconds_total")
}

func TestARemovedCameraTakesItsSeriesWithIt(t *testing.T) {
	set, registry, _ := newSet(t)
	set.Camera("gate", "north").State("live")
	set.Camera("yard", "south").State("stale")
	set.Remove("gate", "north")
	expect(t, registry, `
# HELP camfleet_camera_state 1 for the state that the camera is in.
# TYPE camfleet_camera_state gauge
camfleet_camera_state{camera="south",site="yard",state="stale"} 1
`, "camfleet_camera_state")
}

func TestCountersAndHistogram(t *testing.T) {
	set, registry, _ := newSet(t)
	c := set.Camera("gate", "north")
	if c != set.Camera("gate", "north") {
		t.Fatal("the same camera has two sets of metrics")
	}
	c.Packets(5)
	c.Lost(2)
	c.Dropped()
	c.Unit(300)
	c.Reconnect("stalled")
	c.Fsync(3 * time.Millisecond)
	for name, want := range map[string]int{
		"camfleet_camera_packets_total": 1, "camfleet_camera_packets_lost_total": 1,
		"camfleet_camera_frames_dropped_total": 1, "camfleet_camera_received_bytes_total": 1,
		"camfleet_camera_reconnects_total": 1, "camfleet_archive_fsync_seconds": 1,
	} {
		if n, err := testutil.GatherAndCount(registry, name); err != nil || n != want {
			t.Errorf("%s: %d series, %v", name, n, err)
		}
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
}

func TestNilCountsNothing(t *testing.T) {
	var c *Camera
	now := time.Unix(0, 0)
	c.State("live")
	c.Keyframe(now)
	c.Segment(now, 1)
	c.Packets(1)
	c.Lost(1)
	c.Dropped()
	c.Unit(1)
	c.Reconnect("x")
	c.Fsync(1)
	c.GapBegins("x", now)
	c.GapEnds(now)
	if _, ok := c.SegmentAge(now); ok {
		t.Error("nil has an age")
	}
}
