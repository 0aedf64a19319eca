package rtsp2hls

import (
	"errors"

	"github.com/bluenviron/gortsplib/v5/pkg/format/rtph264"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtph265"
	"github.com/pion/rtp"
)

// decodeFunc puts RTP packets together to access units. An error that says
// that more packets are needed is no error.
type decodeFunc func(*rtp.Packet) ([][]byte, error)

// depacketizer makes whole access units of a video track's RTP packets, with
// the right timestamp, and drops those of which a packet is missing: half a
// frame would be recorded as a broken one.
type depacketizer struct {
	renew  func() (decodeFunc, error) // a new decoder, without the old one's remains
	starts func(payload []byte) bool  // tells a packet that can be a frame's first

	decode    decodeFunc
	seen      bool
	seq       uint16
	pending   bool // the decoder holds a part of the frame of pendingTS
	pendingTS uint32
	skipping  bool // the rest of the frame of skipTS is of no use
	skipTS    uint32
}

// push takes the next packet. It returns an access unit and its RTP timestamp
// when one is complete; broken tells that a frame was lost.
func (d *depacketizer) push(pkt *rtp.Packet) (au [][]byte, ts uint32, broken bool) {
	gap := d.seen && pkt.SequenceNumber != d.seq+1
	d.seen, d.seq = true, pkt.SequenceNumber
	if gap || d.decode == nil {
		broken = d.reset(pkt, gap)
	}
	if d.skipping && pkt.Timestamp == d.skipTS || d.decode == nil {
		return nil, 0, broken
	}
	d.skipping = false
	nalus, err := d.decode(pkt)
	switch {
	case err == nil:
		return nalus, d.complete(pkt.Timestamp), broken
	case errors.Is(err, rtph264.ErrMorePacketsNeeded), errors.Is(err, rtph265.ErrMorePacketsNeeded):
		if !d.pending {
			d.pending, d.pendingTS = true, pkt.Timestamp
		}
		return nil, 0, broken
	default:
		d.reset(pkt, false)
		d.skipping, d.skipTS = true, pkt.Timestamp
		return nil, 0, true
	}
}

// reset begins anew, without what is left of a frame that misses a packet.
func (d *depacketizer) reset(pkt *rtp.Packet, gap bool) (broken bool) {
	broken = gap && d.pending
	d.pending = false
	decode, err := d.renew()
	if err != nil {
		decode = nil // only options that the format was checked for can fail
	}
	d.decode = decode
	if gap && !d.starts(pkt.Payload) {
		d.skipping, d.skipTS = true, pkt.Timestamp
		broken = true
	}
	return broken
}

// complete is the timestamp of the access unit that the packet of ts has
// completed. A camera without marker bits completes a frame with the first
// packet of the next one.
func (d *depacketizer) complete(ts uint32) uint32 {
	if d.pending && d.pendingTS != ts {
		old := d.pendingTS
		d.pendingTS = ts
		return old
	}
	d.pending = false
	return ts
}

// startsH264 tells a packet that can be the first of an access unit:
// everything but a slice that is not its picture's first (first_mb_in_slice
// is 0 when its Exp-Golomb code begins with a 1), RFC 6184.
func startsH264(p []byte) bool {
	if len(p) < 2 {
		return false
	}
	switch t := p[0] & 0x1f; t {
	case 1, 5:
		return p[1]&0x80 != 0
	case 28: // FU-A
		return p[1]&0x80 != 0 && len(p) > 2 && (!isSliceH264(p[1]&0x1f) || p[2]&0x80 != 0)
	default:
		return true
	}
}

func isSliceH264(t byte) bool { return t == 1 || t == 5 }

// startsH265 is startsH264 for RFC 7798 (first_slice_segment_in_pic_flag).
func startsH265(p []byte) bool {
	if len(p) < 3 {
		return false
	}
	switch t := p[0] >> 1 & 0x3f; {
	case t < 32:
		return p[2]&0x80 != 0
	case t == 49: // FU
		return p[2]&0x80 != 0 && len(p) > 3 && (p[2]&0x3f >= 32 || p[3]&0x80 != 0)
	default:
		return true
	}
}

// unwrap counts an RTP timestamp on beyond its 32 bits, from 0.
type unwrap struct {
	started bool
	prev    uint32
	total   int64
}

func (u *unwrap) decode(ts uint32) int64 {
	if u.started {
		u.total += int64(int32(ts - u.prev))
	}
	u.started, u.prev = true, ts
	return u.total
}
