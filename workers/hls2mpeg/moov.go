package hls2mpeg

import (
	"bufio"
	"encoding/binary"
	"io"
)

// movieScale is the movie's ticks per second: any video frame of 90 kHz is exact.
const movieScale = 90000

// unity is the matrix of tkhd and mvhd that changes nothing.
var unity = [9]uint32{0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000}

// mdatHeader is the header of an mdat box with a size of 64 bits.
const mdatHeader = 16

// header is what comes before the media: ftyp, moov and the header of mdat. The
// sizes of its tables are known before they are written, so the offsets in co64 are too.
func (pt *part) header() (boxes []node, size int64) {
	ftyp := leaf("ftyp").str("isom").u32(0x200).str("isomiso2mp41")
	moov := node{kind: "moov", kids: []node{pt.mvhd()}}
	offset := new(int64)
	for i, t := range pt.tracks {
		moov.kids = append(moov.kids, pt.trak(t, uint32(i+1), offset))
	}
	size = ftyp.size() + moov.size() + mdatHeader
	*offset = size
	return []node{ftyp, moov}, size
}

// writeHeader writes the header.
func (pt *part) writeHeader(w io.Writer) error {
	out := bufio.NewWriterSize(w, 64<<10)
	boxes, _ := pt.header()
	for _, b := range boxes {
		b.write(out)
	}
	out.Write([]byte{0, 0, 0, 1, 'm', 'd', 'a', 't'})
	var size [8]byte
	binary.BigEndian.PutUint64(size[:], uint64(pt.bytes+mdatHeader))
	out.Write(size[:])
	return out.Flush()
}

// zero is the moment of the file's time line that players show as 0, in ticks
// of t: a track that begins before the first video frame is not cut.
func (pt *part) zero(t *track) int64 {
	var zero int64
	for _, o := range pt.tracks {
		zero = min(zero, scale(o.first, o.init.timescale, t.init.timescale))
	}
	return zero
}

// duration is how long the part plays, in ticks of movieScale.
func (pt *part) duration() (d int64) {
	for _, t := range pt.tracks {
		d = max(d, scale(t.end-pt.zero(t), t.init.timescale, movieScale))
	}
	return d
}

func (pt *part) mvhd() node {
	n := full("mvhd", 1, 0).u64(0, 0).u32(movieScale).u64(uint64(pt.duration()))
	n = n.u32(0x10000).u16(0x100, 0).u32(0, 0).u32(unity[:]...)
	return n.u32(0, 0, 0, 0, 0, 0, uint32(len(pt.tracks)+1))
}

func (pt *part) trak(t *track, id uint32, offset *int64) node {
	return node{kind: "trak", kids: []node{
		pt.tkhd(t, id),
		{kind: "edts", kids: []node{pt.elst(t)}},
		{kind: "mdia", kids: []node{
			// 0x55c4 is "und", ISO 639-2 packed.
			full("mdhd", 1, 0).u64(0, 0).u32(t.init.timescale).u64(uint64(t.media())).u16(0x55c4, 0),
			t.hdlr(),
			{kind: "minf", kids: []node{t.mediaHeader(), dinf(), t.stbl(offset)}},
		}},
	}}
}

func (pt *part) tkhd(t *track, id uint32) node {
	d := scale(t.end-pt.zero(t), t.init.timescale, movieScale)
	n := full("tkhd", 1, 3).u64(0, 0).u32(id, 0).u64(uint64(d)).u32(0, 0)
	if t.init.video() {
		n = n.u16(0, 0, 0, 0)
	} else {
		n = n.u16(0, 1, 0x100, 0)
	}
	return n.u32(unity[:]...).u32(uint32(t.init.width)<<16, uint32(t.init.height)<<16)
}

// elst places the track on the movie's time line: an empty edit until it
// begins, then everything from the first frame shown to the end of the last
// one. Its duration is by presentation: with B-frames the last frame shown ends
// after the decode durations do, and players drop what is outside.
func (pt *part) elst(t *track) node {
	edits := uint32(1)
	lead := scale(t.first-pt.zero(t), t.init.timescale, movieScale)
	if lead > 0 {
		edits = 2
	}
	n := full("elst", 1, 0).u32(edits)
	if lead > 0 {
		n = n.u64(uint64(lead), ^uint64(0)).u32(0x10000)
	}
	shown := scale(t.end-t.first, t.init.timescale, movieScale)
	return n.u64(uint64(shown), uint64(t.first-t.start)).u32(0x10000)
}

func (t *track) hdlr() node {
	name := "camfleet video\x00"
	if !t.init.video() {
		name = "camfleet audio\x00"
	}
	return full("hdlr", 0, 0).u32(0).str(string(t.init.handler[:])).u32(0, 0, 0).str(name)
}

func (t *track) mediaHeader() node {
	if t.init.video() {
		return full("vmhd", 0, 1).u16(0, 0, 0, 0)
	}
	return full("smhd", 0, 0).u16(0, 0)
}

func dinf() node {
	dref := full("dref", 0, 0).u32(1)
	dref.kids = []node{full("url ", 0, 1)}
	return node{kind: "dinf", kids: []node{dref}}
}

func (t *track) stbl(offset *int64) node {
	stsd := full("stsd", 0, 0).u32(uint32(len(t.entries)))
	for _, e := range t.entries {
		stsd.fixed = append(stsd.fixed, e...)
	}
	kids := []node{stsd, table("stts", 0, t.stts.entries(), &t.stts.words)}
	if t.composed() {
		kids = append(kids, table("ctts", 1, t.ctts.entries(), &t.ctts.words))
	}
	if t.unsync {
		kids = append(kids, table("stss", 0, t.stss.n, &t.stss))
	}
	stsz := full("stsz", 0, 0).u32(0, uint32(t.samples))
	stsz.table, stsz.tableSize = t.sizes.writeTo, int64(t.sizes.n)*4
	co64 := full("co64", 0, 0).u32(t.chunks.n)
	co64.table, co64.tableSize = func(out *bufio.Writer) { t.chunks.writeOffsets(out, *offset) }, int64(t.chunks.n)*8
	return node{kind: "stbl", kids: append(kids, table("stsc", 0, t.chunks.stsc.n/3, &t.chunks.stsc), stsz, co64)}
}

func table(kind string, version uint8, entries int, w *words) node {
	n := full(kind, version, 0).u32(uint32(entries))
	n.table, n.tableSize = w.writeTo, int64(w.n)*4
	return n
}
