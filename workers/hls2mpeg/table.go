package hls2mpeg

import (
	"bufio"
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A day has millions of samples: a struct for each would take ~200 MB, and a
// slice that grows by append twice what it holds. So the sample tables are words
// in pages that never move. They are not the garbage collector's either, which
// lets a heap grow to twice what is in use before it looks.
const pageWords = 64 << 10

type page [pageWords]uint32

// newPage is a page of zeroes; memory is used as it is written to.
func newPage() *page {
	b, err := unix.Mmap(-1, 0, pageWords*4, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		panic("hls2mpeg: out of memory: " + err.Error()) // as new(page) would
	}
	return (*page)(unsafe.Pointer(&b[0]))
}

// words is a growing table of 32-bit words.
type words struct {
	pages []*page
	n     int
}

// free gives the memory back; the table is empty then.
func (w *words) free() {
	for _, p := range w.pages {
		_ = unix.Munmap(unsafe.Slice((*byte)(unsafe.Pointer(p)), pageWords*4)) // fails only for what is not mapped
	}
	w.pages, w.n = nil, 0
}

func (w *words) add(v uint32) {
	if w.n%pageWords == 0 {
		w.pages = append(w.pages, newPage())
	}
	w.pages[w.n/pageWords][w.n%pageWords] = v
	w.n++
}

func (w *words) at(i int) uint32     { return w.pages[i/pageWords][i%pageWords] }
func (w *words) set(i int, v uint32) { w.pages[i/pageWords][i%pageWords] = v }

// writeTo writes the table as an MP4 box holds it: big-endian.
func (w *words) writeTo(out *bufio.Writer) {
	for i := range w.n {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], w.at(i))
		out.Write(b[:]) // a bufio.Writer keeps its first error for Flush
	}
}

// runs is a run-length table, as stts and ctts are: pairs of a count and a value.
type runs struct{ words }

func (r *runs) addRun(v uint32) {
	if n := r.n; n > 0 && r.at(n-1) == v {
		r.set(n-2, r.at(n-2)+1)
		return
	}
	r.add(1)
	r.add(v)
}

func (r *runs) entries() int { return r.n / 2 }

// chunks is a table of chunks: stsc (first chunk, samples per chunk, sample
// entry) and the offset of each chunk in the media.
type chunks struct {
	stsc    words
	offsets words // high, low
	n       uint32
}

// add adds a chunk of samples that begins offset bytes into the media; entry
// counts sample entries from 1.
func (c *chunks) add(samples int, entry uint32, offset int64) {
	c.n++
	c.offsets.add(uint32(offset >> 32))
	c.offsets.add(uint32(offset))
	if m := c.stsc.n; m > 0 && c.stsc.at(m-2) == uint32(samples) && c.stsc.at(m-1) == entry {
		return
	}
	c.stsc.add(c.n)
	c.stsc.add(uint32(samples))
	c.stsc.add(entry)
}

// writeOffsets writes the entries of co64; the media begins at byte base of the file.
func (c *chunks) writeOffsets(out *bufio.Writer, base int64) {
	for i := 0; i < c.offsets.n; i += 2 {
		var b [8]byte
		rel := int64(c.offsets.at(i))<<32 | int64(c.offsets.at(i+1))
		binary.BigEndian.PutUint64(b[:], uint64(base+rel))
		out.Write(b[:])
	}
}
