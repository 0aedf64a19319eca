package hls2mpeg

import (
	"bufio"
	"encoding/binary"
)

// node is a box to write: its fixed fields, then a table, then boxes in it.
type node struct {
	kind      string
	fixed     []byte
	table     func(*bufio.Writer)
	tableSize int64
	kids      []node
}

// leaf begins a box, full one with a version and flags (ISO/IEC 14496-12 §4.2).
func leaf(kind string) node { return node{kind: kind} }

func full(kind string, version uint8, flags uint32) node {
	return leaf(kind).u32(uint32(version)<<24 | flags)
}

func (n node) str(s string) node { n.fixed = append(n.fixed, s...); return n }

func (n node) u16(vs ...uint16) node {
	for _, v := range vs {
		n.fixed = binary.BigEndian.AppendUint16(n.fixed, v)
	}
	return n
}

func (n node) u32(vs ...uint32) node {
	for _, v := range vs {
		n.fixed = binary.BigEndian.AppendUint32(n.fixed, v)
	}
	return n
}

func (n node) u64(vs ...uint64) node {
	for _, v := range vs {
		n.fixed = binary.BigEndian.AppendUint64(n.fixed, v)
	}
	return n
}

func (n node) size() int64 {
	size := 8 + int64(len(n.fixed)) + n.tableSize
	for _, k := range n.kids {
		size += k.size()
	}
	return size
}

// write writes the box; out keeps its first error for Flush. No box but mdat
// comes near 4 GiB: the planner begins a new part before that.
func (n node) write(out *bufio.Writer) {
	var head [8]byte
	binary.BigEndian.PutUint32(head[:], uint32(n.size()))
	copy(head[4:], n.kind)
	out.Write(head[:])
	out.Write(n.fixed)
	if n.table != nil {
		n.table(out)
	}
	for _, k := range n.kids {
		k.write(out)
	}
}
