package rtsp2hls

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"camfleet.dev/workers/media"
)

// baseline is a track without reordering: 1080p, H.264 Baseline.
func baseline() media.Track {
	return media.Track{
		Codec: media.H264, ClockRate: videoClock,
		SPS: []byte{0x67, 0x42, 0xc0, 0x28, 0xd9, 0x00, 0x78, 0x02, 0x27, 0xe5, 0x84, 0, 0, 3, 0, 4, 0, 0, 3, 0, 0xf0, 0x3c, 0x60, 0xc9, 0x20},
		PPS: []byte{0x68, 0xce, 0x38},
	}
}

// TestSessionsOfAStream gives frames at their times and looks at what the sinks are told.
func TestSessionsOfAStream(t *testing.T) {
	t.Parallel()
	key, delta := [][]byte{{0x65, 0x88}}, [][]byte{{0x41, 0x9a}}
	type step struct {
		au      [][]byte
		pts, at time.Duration
	}
	seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	both := func(au [][]byte, at float64) step { return step{au, seconds(at), seconds(at)} }
	for _, c := range []struct {
		name  string
		steps []step
		units int
		want  []media.Cause // of the sessions' ends
	}{
		{"begins with a key frame", []step{both(delta, 0), both(key, .04), both(delta, .08)}, 2, nil},
		{"a short pause", []step{both(key, 0), both(delta, 4)}, 2, nil},
		{"a long pause", []step{both(key, 0), both(delta, 6), both(key, 6.04)}, 2, []media.Cause{media.CauseStalled}},
		{"a network that catches up", []step{both(key, 0), {delta, seconds(.04), seconds(8)}, {delta, seconds(.08), seconds(8)}}, 3, nil},
		{"a jump", []step{both(key, 0), {delta, seconds(100), seconds(.04)}, {key, seconds(100.04), seconds(.08)}}, 2, []media.Cause{media.CauseStream}},
		{"a jump back", []step{both(key, 50), {delta, seconds(1), seconds(50.04)}, {key, seconds(1.04), seconds(50.08)}}, 2, []media.Cause{media.CauseStream}},
		{"a frame that goes back a little", []step{both(key, 1), {delta, seconds(.9), seconds(1.04)}, {delta, seconds(1.08), seconds(1.08)}, {key, seconds(1.12), seconds(1.12)}}, 2, nil},
		{"other parameters at a key frame", []step{both(key, 0), both([][]byte{{0x68, 0xce, 0x3c}, {0x65, 0x88}}, .04)}, 2, nil},
		{"other parameters between key frames", []step{both(key, 0), both([][]byte{{0x68, 0xce, 0x3c}, {0x41, 0x9a}}, .04), both(delta, .08), both(key, .12)}, 2, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			sink := &tape{}
			video := &videoTrack{wall: wallClock{rate: videoClock}, normal: newNormalizer(baseline())}
			in := newIngest(slog.New(slog.DiscardHandler), nil, time.Now, sink, video, nil)
			begin := time.Unix(5000, 0)
			for _, s := range c.steps {
				in.videoUnit(s.au, int64(s.pts.Seconds()*videoClock), begin.Add(s.at))
			}
			if len(sink.units) != c.units || !slices.Equal(sink.stops, c.want) {
				t.Errorf("%d units, sessions ended by %v; want %d, %v", len(sink.units), sink.stops, c.units, c.want)
			}
			if n := len(sink.units); n > 0 && !sink.units[0].Random {
				t.Error("the first unit is not a key frame")
			}
			in.Close(media.CauseStopped)
			if last := sink.stops[len(sink.stops)-1]; last != media.CauseStopped {
				t.Errorf("closed by %q", last)
			}
		})
	}
}

// TestGapCauses: what is switched off is not missing, and what ended a
// session is what its gap is for.
func TestGapCauses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		causes []media.Cause
		want   media.Cause
	}{
		{[]media.Cause{media.CauseStalled, media.CauseUnreachable}, media.CauseStalled},
		{[]media.Cause{media.CauseConfig, media.CauseUnauthorized}, media.CauseUnauthorized},
		{[]media.Cause{media.CauseStopped, media.CauseNotFound, media.CauseStream}, media.CauseNotFound},
		{[]media.Cause{media.CauseStalled, media.CauseNone}, media.CauseNone},
		{[]media.Cause{media.CauseStalled, media.CauseNone, media.CauseUnreachable}, media.CauseUnreachable},
	} {
		t.Run(fmt.Sprint(c.causes), func(t *testing.T) {
			t.Parallel()
			w := &segmentWriter{clock: newFakeClock()}
			for _, cause := range c.causes {
				w.noteGap(cause)
			}
			if w.cause != c.want {
				t.Errorf("cause %q, want %q", w.cause, c.want)
			}
		})
	}
}
