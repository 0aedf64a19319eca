package fakecam

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/ntp"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

const (
	// reportPeriod is the time between two RTCP sender reports.
	reportPeriod = time.Second
	// tooLate is from when frames that should have been sent are left out
	// instead: the machine was asleep.
	tooLate = 2 * time.Second
)

// feed sends a camera's frames while somebody reads. It is one goroutine's.
type feed struct {
	camera *camera
	clip   *Clip
	tracks []feedTrack
	random *rand.Rand
	seed   uint64
	report time.Time // when the last reports were sent

	target   *Clip     // what the clip is to become, nil for no change
	switchAt time.Time // when it does
	midGOP   bool      // it has just done so between key frames
}

// feedTrack is where a track stands.
type feedTrack struct {
	*track
	next     int64 // unit to be sent, counted since 1970
	sequence uint16
	packets  uint32 // sent, and their octets, for sender reports
	octets   uint32
	held     *rtp.Packet // to be overtaken
}

// view is what a feed knows of its camera at one moment.
type view struct {
	stream *stream
	clip   *Clip
	faults Faults
}

// newFeed is called with the camera locked.
func newFeed(c *camera) *feed {
	f := &feed{camera: c, clip: c.clip}
	now := c.server.Clock.Now()
	for i, t := range c.tracks(c.clip) {
		ft := feedTrack{track: t, next: f.index(t, now)}
		if i < len(c.sequence) {
			ft.sequence = c.sequence[i]
		}
		f.tracks = append(f.tracks, ft)
	}
	return f
}

// due is when unit n of a track is to be sent.
func (f *feed) due(t *track, n int64) time.Time {
	ticks, clock := n*t.step, int64(t.clock)
	return time.Unix(ticks/clock, ticks%clock*int64(time.Second)/clock).Add(f.camera.stagger)
}

// index is the first unit of a track that is due at a time or later.
func (f *feed) index(t *track, at time.Time) int64 {
	at = at.Add(-f.camera.stagger)
	clock := int64(t.clock)
	// Rounded up twice: due rounds down to nanoseconds.
	ticks := at.Unix()*clock + (int64(at.Nanosecond())*clock+int64(time.Second)-1)/int64(time.Second)
	return (ticks + t.step - 1) / t.step
}

func (f *feed) run(ctx context.Context) {
	for {
		i, at := f.earliest()
		if f.camera.server.Clock.SleepUntil(ctx, at) != nil {
			return
		}
		if now := f.camera.server.Clock.Now(); now.Sub(at) > tooLate {
			for i := range f.tracks {
				f.tracks[i].next = f.index(f.tracks[i].track, now)
			}
			continue
		}
		v, ok := f.look()
		if !ok {
			return
		}
		if f.change(v, at) {
			continue
		}
		f.reports(v, at)
		f.send(v, i)
		f.tracks[i].next++
	}
}

// earliest is the track whose next unit is due first.
func (f *feed) earliest() (track int, at time.Time) {
	for i := range f.tracks {
		t := f.due(f.tracks[i].track, f.tracks[i].next)
		if i == 0 || t.Before(at) {
			track, at = i, t
		}
	}
	return track, at
}

// look returns the camera's state; not ok: the feed has ended, nobody reads.
func (f *feed) look() (view, bool) {
	c := f.camera
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.readers) == 0 || c.stream == nil {
		c.feeding = false
		c.sequence = c.sequence[:0]
		for i := range f.tracks {
			c.sequence = append(c.sequence, f.tracks[i].sequence)
		}
		return view{}, false
	}
	return view{c.stream, c.clip, c.faults}, true
}

// change switches to another clip when it is wanted and its time has come.
func (f *feed) change(v view, at time.Time) bool {
	if v.clip == f.clip {
		f.target = nil
		return false
	}
	video := v.clip.tracks[0]
	if f.target != v.clip {
		f.target = v.clip
		n := f.index(video, at)
		for range video.units { // one turn at most: all may be key frames
			if video.at(n).key != v.faults.MidGOP {
				break
			}
			n++
		}
		f.switchAt = f.due(video, n)
	}
	if at.Before(f.switchAt) {
		return false
	}
	f.clip, f.target, f.midGOP = v.clip, nil, v.faults.MidGOP
	for i, t := range v.clip.tracks {
		f.tracks[i].track = t
		f.tracks[i].next = f.index(t, at)
	}
	v.stream.describe(v.clip, v.faults)
	return true
}

// at is unit n since 1970 of the loop.
func (t *track) at(n int64) *unit { return &t.units[n%int64(len(t.units))] }

// timestamp is the RTP timestamp of a moment in a track, in ticks since 1970.
func (t *track) timestamp(since int64, f Faults) uint32 {
	return uint32(since + ticks(f.Jump, t.clock))
}

// send sends a track's next unit.
func (f *feed) send(v view, i int) {
	t := &f.tracks[i]
	u := t.at(t.next)
	if v.faults.Stall || v.faults.HalfOpen || i == 0 && u.key && v.faults.NoIDR {
		return
	}
	packets := u.packets
	if i == 0 && (u.key || f.midGOP) && !v.faults.SDPOnly {
		packets = append(t.params[:len(t.params):len(t.params)], packets...)
		f.midGOP = false
	}
	stamp := t.timestamp(t.next*t.step+u.offset, v.faults)
	at := f.due(t.track, t.next)
	var sent, dropped uint64
	for _, p := range packets {
		t.sequence++
		if f.chance(v.faults.Seed, v.faults.Drop) {
			dropped++
			continue
		}
		sent++
		pkt := &rtp.Packet{
			Header: rtp.Header{
				Version: 2, Marker: p.marker, SequenceNumber: t.sequence, Timestamp: stamp,
				PayloadType: v.stream.Desc.Medias[i].Formats[0].PayloadType(),
			},
			Payload: p.payload,
		}
		if t.held == nil && f.chance(v.faults.Seed, v.faults.Reorder) {
			t.held = pkt
			continue
		}
		f.write(v, i, pkt, at)
		if t.held != nil {
			f.write(v, i, t.held, at)
			t.held = nil
		}
	}
	f.count(i, sent, dropped)
}

func (f *feed) write(v view, i int, pkt *rtp.Packet, at time.Time) {
	f.tracks[i].packets++
	f.tracks[i].octets += uint32(len(pkt.Payload))
	if err := v.stream.WritePacketRTPWithNTP(v.stream.Desc.Medias[i], pkt, at); err != nil {
		f.camera.server.Log.Debug("a packet was not sent", "path", f.camera.path, "error", err)
	}
}

func (f *feed) count(i int, sent, dropped uint64) {
	f.camera.mu.Lock()
	defer f.camera.mu.Unlock()
	f.camera.stats.Packets += sent
	f.camera.stats.Dropped += dropped
	if i == 0 {
		f.camera.stats.Frames++
	}
}

// chance throws the dice of a fault; the same seed gives the same throws.
func (f *feed) chance(seed uint64, share float64) bool {
	if share == 0 {
		return false
	}
	if f.random == nil || f.seed != seed {
		f.random, f.seed = rand.New(rand.NewPCG(seed, hash(f.camera.path))), seed
	}
	return f.random.Float64() < share
}

// reports sends a sender report for each track once a second (RFC 3550 §6.4.1).
func (f *feed) reports(v view, at time.Time) {
	if v.faults.NoReports || v.faults.Stall || v.faults.HalfOpen || at.Sub(f.report) < reportPeriod {
		return
	}
	f.report = at
	for i := range f.tracks {
		t := &f.tracks[i]
		since := at.Add(-f.camera.stagger)
		stamp := since.Unix()*int64(t.clock) + int64(since.Nanosecond())*int64(t.clock)/int64(time.Second)
		sr := &rtcp.SenderReport{
			SSRC: v.stream.ssrcs[i], NTPTime: ntp.Encode(at.Add(v.faults.Skew)),
			RTPTime: t.timestamp(stamp, v.faults), PacketCount: t.packets, OctetCount: t.octets,
		}
		if err := v.stream.WritePacketRTCP(v.stream.Desc.Medias[i], sr); err != nil {
			f.camera.server.Log.Debug("a sender report was not sent", "path", f.camera.path, "error", err)
		}
	}
}
