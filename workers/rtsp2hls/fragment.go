package rtsp2hls

import (
	"encoding/binary"
	"net"
)

// fragment is a moof and its mdat being put together: the samples' bytes, one
// track after the other, and their table. Its memory is used again and again,
// so that a camera holds what one fragment needs and no more.
type fragment struct {
	tracks [2]run // video, audio
	head   []byte // moof and the mdat's header
}

// run is one track's samples in a fragment.
type run struct {
	start   int64 // decoding time of the first sample, in the track's ticks
	samples []sample
	data    []byte
}

type sample struct {
	size, duration uint32
	offset         int32 // PTS - DTS
	sync           bool
}

func (f *fragment) reset() {
	for i := range f.tracks {
		f.tracks[i].samples = f.tracks[i].samples[:0]
		f.tracks[i].data = f.tracks[i].data[:0]
	}
}

func (f *fragment) empty() bool { return len(f.tracks[0].samples)+len(f.tracks[1].samples) == 0 }

func (f *fragment) size() int { return len(f.tracks[0].data) + len(f.tracks[1].data) }

// held is how much memory the fragment keeps for later.
func (f *fragment) held() int { return cap(f.tracks[0].data) + cap(f.tracks[1].data) }

// Sample flags of ISO/IEC 14496-12, 8.8.3.1.
const (
	flagsSync    = 2 << 24       // sample_depends_on: no other
	flagsNonSync = 1<<24 | 1<<16 // depends on others; is not a sync sample
	tfhdBaseMoof = 0x020000      // default-base-is-moof
	tfhdFlags    = 0x000020      // default-sample-flags-present
	trunVideo    = 0x000001 | 0xf0<<4
	trunAudio    = 0x000001 | 0x30<<4
)

// marshal writes the fragment's moof and the head of its mdat to f.head and
// returns everything in the order of the file. The buffers are f's own.
func (f *fragment) marshal(sequence uint32) net.Buffers {
	b := f.head[:0]
	b, moof := open(b, "moof")
	b, mfhd := openFull(b, "mfhd", 0, 0)
	b = binary.BigEndian.AppendUint32(b, sequence)
	shut(b, mfhd)
	var offsets [2]int
	for i := range f.tracks {
		if len(f.tracks[i].samples) > 0 {
			b, offsets[i] = f.traf(b, i)
		}
	}
	shut(b, moof)
	length := len(b) + 8
	for i := range f.tracks {
		if offsets[i] != 0 {
			binary.BigEndian.PutUint32(b[offsets[i]:], uint32(length))
			length += len(f.tracks[i].data)
		}
	}
	b = binary.BigEndian.AppendUint32(b, uint32(8+f.size()))
	b = append(b, "mdat"...)
	f.head = b
	return net.Buffers{b, f.tracks[0].data, f.tracks[1].data}
}

// traf writes a track's table; the returned position is that of its data offset.
func (f *fragment) traf(b []byte, i int) (_ []byte, dataOffset int) {
	r := &f.tracks[i]
	b, traf := open(b, "traf")
	b, tfhd := openFull(b, "tfhd", 0, tfhdBaseMoof|tfhdFlags)
	b = binary.BigEndian.AppendUint32(b, uint32(i+1))
	b = binary.BigEndian.AppendUint32(b, flagsSync)
	shut(b, tfhd)
	b, tfdt := openFull(b, "tfdt", 1, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(r.start))
	shut(b, tfdt)
	flags := uint32(trunVideo)
	if i == 1 {
		flags = trunAudio
	}
	b, trun := openFull(b, "trun", 1, flags)
	b = binary.BigEndian.AppendUint32(b, uint32(len(r.samples)))
	dataOffset = len(b)
	b = binary.BigEndian.AppendUint32(b, 0)
	for _, s := range r.samples {
		b = binary.BigEndian.AppendUint32(b, s.duration)
		b = binary.BigEndian.AppendUint32(b, s.size)
		if i == 0 {
			b = appendVideo(b, s)
		}
	}
	shut(b, trun)
	shut(b, traf)
	return b, dataOffset
}

func appendVideo(b []byte, s sample) []byte {
	flags := uint32(flagsNonSync)
	if s.sync {
		flags = flagsSync
	}
	b = binary.BigEndian.AppendUint32(b, flags)
	return binary.BigEndian.AppendUint32(b, uint32(s.offset))
}

// open begins a box; its place goes to shut.
func open(b []byte, name string) ([]byte, int) {
	at := len(b)
	b = append(b, 0, 0, 0, 0)
	return append(b, name...), at
}

func openFull(b []byte, name string, version byte, flags uint32) ([]byte, int) {
	b, at := open(b, name)
	return binary.BigEndian.AppendUint32(b, uint32(version)<<24|flags), at
}

// shut writes the size of the box that began at at.
func shut(b []byte, at int) { binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at)) }
