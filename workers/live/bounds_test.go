package live

import (
	"net/http"
	"testing"

	"camfleet.dev/workers/media"
)

func TestKeptIsBounded(t *testing.T) {
	t.Parallel()
	var k keptUnits
	key := func(random bool, size int) media.Unit {
		return media.Unit{Random: random, AU: [][]byte{make([]byte, size)}}
	}
	k.add(key(false, 1), true)
	if len(k.units) != 0 {
		t.Error("kept a frame without its key frame")
	}
	k.add(key(true, 100), true)
	for range maxKeptUnits - 1 {
		k.add(key(false, 100), true)
	}
	if len(k.units) != maxKeptUnits || k.bytes != 100*maxKeptUnits {
		t.Errorf("%d units, %d bytes", len(k.units), k.bytes)
	}
	k.add(key(false, 100), true)
	if len(k.units) != 0 || k.bytes != 0 {
		t.Error("too many units are kept")
	}
	k.add(key(true, maxKeptBytes/2), true)
	k.add(key(true, 10), false) // audio is no beginning
	if len(k.units) != 2 {
		t.Errorf("%d units", len(k.units))
	}
	k.add(key(false, maxKeptBytes/2), true)
	if len(k.units) != 0 {
		t.Error("too many bytes are kept")
	}
	k.add(key(true, maxKeptBytes+1), true)
	if len(k.units) != 0 {
		t.Error("a huge frame is kept")
	}
}

// TestUnwatchedCostsNothing: no output, no allocation per frame.
func TestUnwatchedCostsNothing(t *testing.T) {
	src := clip(t, "motion.h264")
	s := New(Options{})
	s.Start(src.tracks, true)
	src.feed(s, 100)
	units := make([]media.Unit, 1000)
	for i := range units {
		units[i] = src.next()
	}
	i := 0
	if n := testing.AllocsPerRun(len(units)-1, func() { s.Write(units[i]); i++ }); n > 0 {
		t.Errorf("%v allocations for a frame", n)
	}
	if s.Watched() {
		t.Error("an output runs")
	}
}

func BenchmarkUnwatchedWrite(b *testing.B) {
	src := clip(b, "motion.h264")
	s := New(Options{})
	s.Start(src.tracks, true)
	u := src.next()
	for b.Loop() {
		s.Write(u)
	}
}

// TestBehind: an output that hangs (a slow disk) never blocks the camera, holds
// a bounded number of frames, and goes on at a key frame.
func TestBehind(t *testing.T) {
	t.Parallel()
	src := clip(t, "motion.h264")
	s := streaming(t, src, Options{})
	v := watch(t, s)
	uri := started(t, s, v, src)
	before, _ := edge(v.media(uri, nil))
	s.out.mu.Lock()
	src.feed(s, 3*queueLength)
	if n := s.out.pending.Load(); n > queueLength+1 || n < queueLength {
		t.Errorf("%d frames wait", n)
	}
	if !s.out.behind {
		t.Error("it does not know that it is behind")
	}
	s.out.mu.Unlock()
	settled(t, s)
	src.untilKey(s)
	src.feed(s, 60)
	settled(t, s)
	if after, _ := edge(v.media(uri, nil)); after <= before {
		t.Errorf("went from segment %d to %d", before, after)
	}
}

// TestPanicEndsTheOutputOnly: the Stream and its camera go on; the next viewer gets a new output.
func TestPanicEndsTheOutputOnly(t *testing.T) {
	t.Parallel()
	src := clip(t, "motion.h264")
	s := streaming(t, src, Options{})
	v := watch(t, s)
	uri := started(t, s, v, src)
	out := s.out
	out.mu.Lock()
	out.muxer.tracks = nil // a bug
	out.mu.Unlock()
	src.feed(s, 1)
	receive(t, out.done)
	v.want(http.StatusNotFound, uri)
	if again := started(t, s, v, src); again == uri {
		t.Error("the old generation came back")
	}
}

// TestMemoryIsBounded: however long it is watched, an output holds a fixed number of segments.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	src := clip(t, "motion.h264")
	s := streaming(t, src, Options{})
	v := watch(t, s)
	uri := started(t, s, v, src)
	for range 20 {
		src.feed(s, 300)
		settled(t, s)
		if n := len(v.media(uri, nil).Segments); n != segmentCount {
			t.Fatalf("%d segments", n)
		}
	}
}
