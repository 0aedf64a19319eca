package hls2mpeg

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// fourCC is a box type or a handler type, ISO/IEC 14496-12 §4.2.
type fourCC [4]byte

func (c fourCC) String() string {
	for _, b := range c {
		if b < ' ' || b > '~' {
			return fmt.Sprintf("%x", c[:])
		}
	}
	return string(c[:])
}

// errCut marks a segment that ends before its boxes do: cut in half by a full
// or a broken disk.
var errCut = errors.New("cut off")

// boxHeader is what the first bytes of a box say.
type boxHeader struct {
	kind   fourCC
	header int64 // bytes of the header
	size   int64 // of the whole box
}

// parseHeader reads the header at the start of b, of a box that has at most
// left bytes.
func parseHeader(b []byte, left int64) (boxHeader, error) {
	if len(b) < 8 {
		return boxHeader{}, fmt.Errorf("%w: %d bytes where a box should begin", errCut, len(b))
	}
	h := boxHeader{kind: fourCC(b[4:8]), header: 8, size: int64(binary.BigEndian.Uint32(b))}
	switch h.size {
	case 0: // to the end
		h.size = left
	case 1:
		if len(b) < 16 {
			return boxHeader{}, fmt.Errorf("%w: in the header of box %s", errCut, h.kind)
		}
		h.header = 16
		large := binary.BigEndian.Uint64(b[8:])
		if large > 1<<62 {
			return boxHeader{}, fmt.Errorf("box %s says it has %d bytes", h.kind, large)
		}
		h.size = int64(large)
	}
	if h.size < h.header {
		return boxHeader{}, fmt.Errorf("box %s says it has %d bytes, fewer than its header", h.kind, h.size)
	}
	if h.size > left {
		return boxHeader{}, fmt.Errorf("%w: box %s has %d bytes, %d are there", errCut, h.kind, h.size, left)
	}
	return h, nil
}

// eachBox calls do with the body of every box in b, in order.
func eachBox(b []byte, do func(kind fourCC, body []byte) error) error {
	for len(b) > 0 {
		h, err := parseHeader(b, int64(len(b)))
		if err != nil {
			return err
		}
		if err := do(h.kind, b[h.header:h.size]); err != nil {
			return fmt.Errorf("%s: %w", h.kind, err)
		}
		b = b[h.size:]
	}
	return nil
}

// fields reads big-endian fields one after another; after the first read past
// the end every read is zero and err is set, so that callers check once.
type fields struct {
	b   []byte
	bad bool
}

func (f *fields) take(n int) []byte {
	if len(f.b) < n {
		f.b, f.bad = nil, true
		return make([]byte, n)
	}
	b := f.b[:n]
	f.b = f.b[n:]
	return b
}

func (f *fields) u8() uint8   { return f.take(1)[0] }
func (f *fields) u16() uint16 { return binary.BigEndian.Uint16(f.take(2)) }
func (f *fields) u32() uint32 { return binary.BigEndian.Uint32(f.take(4)) }
func (f *fields) u64() uint64 { return binary.BigEndian.Uint64(f.take(8)) }

// full reads the version and the flags of a full box.
func (f *fields) full() (version uint8, flags uint32) {
	v := f.u32()
	return uint8(v >> 24), v & 0xffffff
}

// wide reads a field of 64 bits in version 1, of 32 bits in version 0.
func (f *fields) wide(version uint8) uint64 {
	if version == 1 {
		return f.u64()
	}
	return uint64(f.u32())
}

func (f *fields) err() error {
	if f.bad {
		return errors.New("too short")
	}
	return nil
}
