package fakecam

import (
	"bytes"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5"
)

// noon is when the clip starts again: the frame counter is 0.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// stepped starts one camera on a clock of its own, and somebody who plays it.
func stepped(t *testing.T, config Camera) (*Server, *stepClock, *viewer) {
	t.Helper()
	clock := newStepClock(noon.Add(-7 * time.Millisecond))
	s := start(t, &Server{Clock: clock, Cameras: map[string]Camera{"/a": config}})
	return s, clock, play(t, s.URL("/a"), gortsplib.ProtocolTCP)
}

// TestPacing: frame n is due at n/25 s, shows the clip's frame n, with the
// timestamp that n gives.
func TestPacing(t *testing.T) {
	t.Parallel()
	s, clock, v := stepped(t, Camera{Clip: Motion})
	clip, err := s.clip(Motion)
	if err != nil {
		t.Fatal(err)
	}
	var last uint16
	for i := range 30 {
		due := clock.step(t, 3*time.Millisecond)
		if want := noon.Add(time.Duration(i) * 40 * time.Millisecond); !due.Equal(want) {
			t.Fatalf("frame %d is due at %v, want %v", i, due, want)
		}
		n := due.UnixMilli() / 40
		f := v.frame(t)
		if f.stamp != uint32(n*3600) {
			t.Fatalf("frame %d has timestamp %d, want %d", i, f.stamp, uint32(n*3600))
		}
		unit := clip.tracks[0].at(n)
		if f.idr != unit.key || f.idr != (i%10 == 0) || f.sets != f.idr {
			t.Fatalf("frame %d: key %v with parameters %v, want a key frame each 10 with parameters", i, f.idr, f.sets)
		}
		if i > 0 && f.first != last+1 {
			t.Fatalf("frame %d starts at packet %d after %d", i, f.first, last)
		}
		if !unit.key && len(unit.packets) == 1 && !bytes.Equal(unit.packets[0].payload, f.nalus[0]) {
			t.Fatalf("frame %d is not the clip's frame %d", i, n%1000)
		}
		last = f.last
		if got := SentAt(int(n%1000), due.Add(3*time.Millisecond)); !got.Equal(due) {
			t.Fatalf("frame %d was sent at %v, says SentAt, but it was at %v", i, got, due)
		}
	}
	if st := s.Stats("/a"); st.Frames < 29 || st.Readers != 1 || st.Open != 1 || st.Requests["PLAY"] != 1 {
		t.Errorf("stats: %+v", st)
	}
}

// TestReconnectSeesTheSame: frame and timestamp come from the clock, not from the connection.
func TestReconnectSeesTheSame(t *testing.T) {
	t.Parallel()
	s := start(t, &Server{Any: true})
	one, two := play(t, s.URL("/a"), gortsplib.ProtocolTCP), play(t, s.URL("/a"), gortsplib.ProtocolUDP)
	var second []frame
	for range 25 {
		second = append(second, two.frame(t))
	}
	// The first joined earlier: it has all that the second has.
	seen := map[uint32][]byte{}
	for last := second[24].stamp; seen[last] == nil; {
		f := one.frame(t)
		seen[f.stamp] = f.nalus[0]
		if int32(f.stamp-last) > 0 {
			t.Fatalf("timestamp %d is not on the first connection", last)
		}
	}
	for _, f := range second {
		if !bytes.Equal(seen[f.stamp], f.nalus[0]) {
			t.Errorf("timestamp %d is another frame on the second connection", f.stamp)
		}
	}
	if age := time.Since(SentAt(int(time.Now().UnixMilli()/40%1000), time.Now())); age > 41*time.Millisecond {
		t.Errorf("the newest frame is %v old", age)
	}
}

// TestIdleAndSleep: the feed ends with the last reader, and a machine that
// slept does not send what it missed.
func TestIdleAndSleep(t *testing.T) {
	t.Parallel()
	s, clock, v := stepped(t, Camera{})
	clock.step(t, 0)
	first := v.frame(t)
	clock.step(t, time.Hour) // asleep in the middle of a frame: nothing is sent
	clock.step(t, 0)
	if f := v.frame(t); f.stamp-first.stamp < 3600*25*3600 || f.first != first.last+1 {
		t.Errorf("after an hour's sleep: timestamp %d after %d, packet %d after %d", f.stamp, first.stamp, f.first, first.last)
	}
	v.Close()
	waitFor(t, "the reader to be gone", func() bool { return s.Stats("/a").Readers == 0 })
	clock.step(t, 0)
	c := s.lookup("/a")
	waitFor(t, "the feed to end", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return !c.feeding
	})
	// And it starts again.
	again := play(t, s.URL("/a"), gortsplib.ProtocolTCP)
	clock.step(t, 0)
	again.frame(t)
}

func TestStagger(t *testing.T) {
	t.Parallel()
	_, clock, v := stepped(t, Camera{Stagger: 13 * time.Millisecond})
	// The clock starts 7 ms before noon, when the frame before noon's has been
	// due for 20 ms.
	due := clock.step(t, 0)
	if want := noon.Add(13 * time.Millisecond); !due.Equal(want) {
		t.Errorf("due at %v, want 13 ms after a frame's time", due)
	}
	if f := v.frame(t); f.stamp != uint32(due.Add(-13*time.Millisecond).UnixMilli()/40*3600) {
		t.Errorf("timestamp %d is not the frame's", f.stamp)
	}
}

// waitFor polls until something is true.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited too long for %s", what)
		}
	}
}
