package rtsp2hls

import (
	"bytes"
	"errors"
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/pion/rtp"

	"github.com/bluenviron/gortsplib/v5/pkg/format/rtph264"

	"camfleet.dev/workers/media"
)

func newTestDepacketizer() *depacketizer {
	return &depacketizer{starts: startsH264, renew: func() (decodeFunc, error) {
		d := &rtph264.Decoder{PacketizationMode: 1}
		return d.Decode, d.Init()
	}}
}

// pkt is an RTP packet: sequence number, timestamp, marker, payload.
func pkt(seq uint16, ts uint32, marker bool, payload ...byte) *rtp.Packet {
	return &rtp.Packet{Header: rtp.Header{SequenceNumber: seq, Timestamp: ts, Marker: marker}, Payload: payload}
}

func TestDepacketizer(t *testing.T) {
	t.Parallel()
	slice := func(first bool) []byte { // a slice of a P picture
		if first {
			return []byte{0x41, 0x9a, 1}
		}
		return []byte{0x41, 0x1a, 2}
	}
	fu := func(start, end bool, body byte) []byte {
		b := []byte{0x7c, 1, body}
		if start {
			b[1] |= 0x80
			b[2] = 0x9a
		}
		if end {
			b[1] |= 0x40
		}
		return b
	}
	for _, c := range []struct {
		name    string
		packets []*rtp.Packet
		want    []uint32 // timestamps of the access units
		broken  int
	}{
		{"one packet each", []*rtp.Packet{pkt(1, 10, true, slice(true)...), pkt(2, 20, true, slice(true)...)}, []uint32{10, 20}, 0},
		{"two slices", []*rtp.Packet{pkt(1, 10, false, slice(true)...), pkt(2, 10, true, slice(false)...)}, []uint32{10}, 0},
		{"no marker", []*rtp.Packet{pkt(1, 10, false, slice(true)...), pkt(2, 20, false, slice(true)...), pkt(3, 30, false, slice(true)...)}, []uint32{10, 20}, 0},
		{"fragments", []*rtp.Packet{pkt(1, 10, false, fu(true, false, 0)...), pkt(2, 10, false, fu(false, false, 1)...), pkt(3, 10, true, fu(false, true, 2)...)}, []uint32{10}, 0},
		{"a fragment lost", []*rtp.Packet{pkt(1, 10, false, fu(true, false, 0)...), pkt(3, 10, true, fu(false, true, 2)...), pkt(4, 20, true, slice(true)...)}, []uint32{20}, 1},
		{"the second slice lost", []*rtp.Packet{pkt(1, 10, false, slice(true)...), pkt(3, 20, true, slice(true)...)}, []uint32{20}, 1},
		{"the first slice lost", []*rtp.Packet{pkt(1, 10, true, slice(true)...), pkt(3, 20, true, slice(false)...), pkt(4, 30, true, slice(true)...)}, []uint32{10, 30}, 1},
		{"a whole frame lost", []*rtp.Packet{pkt(1, 10, true, slice(true)...), pkt(3, 30, true, slice(true)...)}, []uint32{10, 30}, 0},
		{"the sequence wraps", []*rtp.Packet{pkt(65535, 10, false, slice(true)...), pkt(0, 10, true, slice(false)...)}, []uint32{10}, 0},
		{"nonsense", []*rtp.Packet{pkt(1, 10, true), pkt(2, 20, true, 0x7c), pkt(3, 30, true, 0x78, 9, 9), pkt(4, 40, true, slice(true)...)}, []uint32{40}, 3},
		{"begins in the middle", []*rtp.Packet{pkt(5, 10, true, fu(false, true, 1)...), pkt(6, 20, true, slice(true)...)}, []uint32{20}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newTestDepacketizer()
			var got []uint32
			broken := 0
			for _, p := range c.packets {
				au, ts, b := d.push(p)
				if b {
					broken++
				}
				if au != nil {
					got = append(got, ts)
				}
			}
			if len(got) != len(c.want) || broken != c.broken {
				t.Fatalf("access units at %v, %d broken; want %v, %d", got, broken, c.want, c.broken)
			}
			for i := range got {
				if got[i] != c.want[i] {
					t.Errorf("access unit %d is at %d, want %d", i, got[i], c.want[i])
				}
			}
		})
	}
}

func FuzzDepacketizer(f *testing.F) {
	f.Add([]byte{0x41, 0x9a, 1}, []byte{0x7c, 0x81, 3}, uint8(1))
	f.Add([]byte{0x78, 0, 1, 9}, []byte{}, uint8(7))
	f.Fuzz(func(_ *testing.T, a, b []byte, step uint8) {
		d := newTestDepacketizer()
		n := newNormalizer(media.Track{Codec: media.H264, ClockRate: videoClock})
		h := newNormalizer(media.Track{Codec: media.H265, ClockRate: videoClock})
		startsH265(a)
		for i, p := range [][]byte{a, b, a} {
			au, ts, _ := d.push(pkt(uint16(i*int(step)), uint32(i), i%2 == 0, p...))
			for _, norm := range []*normalizer{n, h} {
				if out, random, _ := norm.split(au); len(out) > 0 && norm.err == nil {
					_, _ = norm.dts(out, int64(ts), random) // must not panic
				}
			}
		}
	})
}

func TestStartsH265(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		payload []byte
		want    bool
	}{
		"first slice":         {[]byte{0x02, 1, 0x80}, true},
		"second slice":        {[]byte{0x02, 1, 0x00}, false},
		"parameter set":       {[]byte{0x42, 1, 0x00}, true},
		"fragment, first":     {[]byte{0x62, 1, 0x81, 0x80}, true},
		"fragment, of second": {[]byte{0x62, 1, 0x81, 0x00}, false},
		"fragment, middle":    {[]byte{0x62, 1, 0x01, 0x80}, false},
		"too short":           {[]byte{0x62}, false},
	} {
		if got := startsH265(c.payload); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestUnwrap(t *testing.T) {
	t.Parallel()
	var u unwrap
	in := []uint32{1<<32 - 100, 1<<32 - 50, 10, 0, 1 << 31}
	want := []int64{0, 50, 110, 100, 100 - 1<<31}
	for i, ts := range in {
		if got := u.decode(ts); got != want[i] {
			t.Errorf("%d: %d, want %d", ts, got, want[i])
		}
	}
}

func TestNormalizerKeepsWhatBelongs(t *testing.T) {
	t.Parallel()
	sps := []byte{0x67, 0x42, 0xc0, 0x28, 0xd9, 0x00, 0x78, 0x02, 0x27, 0xe5, 0x84, 0, 0, 3, 0, 4, 0, 0, 3, 0, 0xf0, 0x3c, 0x60, 0xc9, 0x20}
	pps, second := []byte{0x68, 0xce, 0x38}, []byte{0x68, 0x5e, 0x38} // ids 0 and 1
	aud, sei, idr, p := []byte{9, 0xf0}, []byte{6, 5, 1}, []byte{0x65, 0x88}, []byte{0x41, 0x9a}
	n := newNormalizer(media.Track{Codec: media.H264, ClockRate: videoClock})
	if !errors.Is(n.err, errNoParameters) {
		t.Errorf("error %v before there are parameters", n.err)
	}
	out, random, changed := n.split([][]byte{aud, sps, pps, second, sei, idr, {0}})
	if !random || !changed || !bytes.Equal(bytes.Join(out, nil), bytes.Join([][]byte{second, sei, idr}, nil)) {
		t.Errorf("%x, random %v, changed %v", out, random, changed)
	}
	if n.err != nil || n.picture.width != 1920 || n.picture.height != 1080 || n.picture.reordered {
		t.Errorf("picture %+v, %v", n.picture, n.err)
	}
	if out, random, changed = n.split([][]byte{sps, pps, p}); len(out) != 1 || random || changed {
		t.Errorf("the same again: %x %v %v", out, random, changed)
	}
	if _, _, changed = n.split([][]byte{append(bytes.Clone(pps), 1), p}); !changed {
		t.Error("another PPS of the same id is a change")
	}
	if dts, err := n.dts([][]byte{p}, 100, false); dts != 100 || err != nil {
		t.Errorf("baseline: %d, %v", dts, err)
	}
	if _, err := n.dts([][]byte{p}, 90, false); err == nil {
		t.Error("time ran backwards")
	}
}

// TestFragmentReadsBack has another implementation read what we write.
func TestFragmentReadsBack(t *testing.T) {
	t.Parallel()
	f := &fragment{}
	f.tracks[0] = run{start: 9000, data: []byte("aaabbbbb"), samples: []sample{
		{size: 3, duration: 3600, offset: 7200, sync: true}, {size: 5, duration: 3601, offset: -90},
	}}
	f.tracks[1] = run{start: 480, data: []byte("cc"), samples: []sample{{size: 2, duration: 1024}}}
	for range 2 { // its memory is used again
		data := bytes.Join(f.marshal(7), nil)
		var parts fmp4.Parts
		if err := parts.Unmarshal(data); err != nil {
			t.Fatal(err)
		}
		if len(parts) != 1 || parts[0].SequenceNumber != 7 || len(parts[0].Tracks) != 2 {
			t.Fatalf("parts %+v", parts)
		}
		v, a := parts[0].Tracks[0], parts[0].Tracks[1]
		if v.ID != 1 || v.BaseTime != 9000 || len(v.Samples) != 2 || a.ID != 2 || a.BaseTime != 480 || len(a.Samples) != 1 {
			t.Fatalf("tracks %+v %+v", v, a)
		}
		if s := v.Samples[0]; s.Duration != 3600 || s.PTSOffset != 7200 || s.IsNonSyncSample || string(s.Payload) != "aaa" {
			t.Errorf("first sample %+v", s)
		}
		if s := v.Samples[1]; s.Duration != 3601 || s.PTSOffset != -90 || !s.IsNonSyncSample || string(s.Payload) != "bbbbb" {
			t.Errorf("second sample %+v", s)
		}
		if s := a.Samples[0]; s.Duration != 1024 || s.IsNonSyncSample || string(s.Payload) != "cc" {
			t.Errorf("audio sample %+v", s)
		}
	}
	f.reset()
	if !f.empty() || f.size() != 0 || f.held() == 0 {
		t.Error("reset keeps memory and nothing else")
	}
}
