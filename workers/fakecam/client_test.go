package fakecam

import (
	"context"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// patience bounds every wait in these tests.
const patience = 20 * time.Second

// stepClock is a clock that a test moves from one moment at which somebody
// waits to the next.
type stepClock struct {
	now     chan time.Time // holds the time
	waiting chan waiter
}

type waiter struct {
	until time.Time
	wake  chan struct{}
}

func newStepClock(now time.Time) *stepClock {
	c := &stepClock{now: make(chan time.Time, 1), waiting: make(chan waiter)}
	c.now <- now
	return c
}

func (c *stepClock) Now() time.Time {
	now := <-c.now
	c.now <- now
	return now
}

func (c *stepClock) set(now time.Time) {
	<-c.now
	c.now <- now
}

func (c *stepClock) SleepUntil(ctx context.Context, t time.Time) error {
	w := waiter{t, make(chan struct{})}
	select {
	case c.waiting <- w:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-w.wake:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// step lets the one who waits go on, late by so much, and returns what it waited for.
func (c *stepClock) step(t *testing.T, late time.Duration) time.Time {
	t.Helper()
	select {
	case w := <-c.waiting:
		c.set(w.until.Add(late))
		close(w.wake)
		return w.until
	case <-time.After(patience):
		t.Fatal("nobody waits for the clock")
		return time.Time{}
	}
}

// viewer plays a camera with gortsplib's client.
type viewer struct {
	*gortsplib.Client
	desc    *description.Session
	packets chan *rtp.Packet // of the video
	audio   chan *rtp.Packet
	reports chan *rtcp.SenderReport
	lost    chan uint64
	nalus   func(*rtp.Packet) ([][]byte, error)
}

// dial connects, without playing.
func dial(t *testing.T, raw string, protocol gortsplib.Protocol) (*viewer, error) {
	t.Helper()
	u, err := base.ParseURL(raw)
	if err != nil {
		t.Fatal(err)
	}
	v := &viewer{
		packets: make(chan *rtp.Packet, 4096), audio: make(chan *rtp.Packet, 4096),
		reports: make(chan *rtcp.SenderReport, 64), lost: make(chan uint64, 4096),
	}
	v.Client = &gortsplib.Client{
		Scheme: u.Scheme, Host: u.Host, Protocol: &protocol,
		OnPacketsLost: func(n uint64) { v.lost <- n },
		OnDecodeError: func(error) {},
	}
	if err := v.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	if v.desc, _, err = v.Describe(u); err != nil {
		return v, err
	}
	return v, v.SetupAll(v.desc.BaseURL, v.desc.Medias)
}

// play connects and plays.
func play(t *testing.T, raw string, protocol gortsplib.Protocol) *viewer {
	t.Helper()
	v, err := dial(t, raw, protocol)
	if err != nil {
		t.Fatalf("connecting to %s: %v", raw, err)
	}
	v.OnPacketRTPAny(func(m *description.Media, _ format.Format, p *rtp.Packet) {
		if m.Type == description.MediaTypeVideo {
			v.packets <- p
		} else {
			v.audio <- p
		}
	})
	v.OnPacketRTCPAny(func(_ *description.Media, p rtcp.Packet) {
		if sr, ok := p.(*rtcp.SenderReport); ok {
			v.reports <- sr
		}
	})
	switch f := v.desc.Medias[0].Formats[0].(type) {
	case *format.H264:
		dec, err := f.CreateDecoder()
		if err != nil {
			t.Fatal(err)
		}
		v.nalus = dec.Decode
	case *format.H265:
		dec, err := f.CreateDecoder()
		if err != nil {
			t.Fatal(err)
		}
		v.nalus = dec.Decode
	}
	if _, err := v.Play(nil); err != nil {
		t.Fatalf("playing %s: %v", raw, err)
	}
	return v
}

// get takes the next thing from a channel.
func get[T any](t *testing.T, ch <-chan T, what string) T {
	t.Helper()
	select {
	case x := <-ch:
		return x
	case <-time.After(patience):
		t.Fatalf("no %s came", what)
		panic("unreachable")
	}
}

// frame is a video frame as a viewer has it.
type frame struct {
	stamp     uint32
	first     uint16 // sequence number
	last      uint16
	nalus     [][]byte
	idr, sets bool // has a key frame, has parameter sets
	sps       []byte
}

// frame takes the next frame.
func (v *viewer) frame(t *testing.T) frame {
	t.Helper()
	var f frame
	for first := true; ; first = false {
		p := get(t, v.packets, "video packet")
		if first {
			f.stamp, f.first = p.Timestamp, p.SequenceNumber
		}
		f.last = p.SequenceNumber
		nalus, err := v.nalus(p)
		if err != nil {
			continue
		}
		f.nalus = nalus
		for _, n := range nalus {
			switch h264.NALUType(n[0] & 0x1f) {
			case h264.NALUTypeSPS:
				f.sets, f.sps = true, n
			case h264.NALUTypeIDR:
				f.idr = true
			}
		}
		return f
	}
}
