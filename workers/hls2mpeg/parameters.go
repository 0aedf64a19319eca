package hls2mpeg

import (
	"encoding/binary"
	"errors"
)

// visualEntry is the length of a visual sample entry's own fields, after which
// its boxes come (ISO/IEC 14496-12 §12.1.3).
const visualEntry = 78

// parameterSets are the parameter sets of a sample entry of H.264 or H.265, as
// they stand in a sample: each behind its length.
func parameterSets(entry []byte) ([]byte, error) {
	if len(entry) < 8+visualEntry {
		return nil, errors.New("the sample entry is too short")
	}
	var sets []byte
	err := eachBox(entry[8+visualEntry:], func(kind fourCC, body []byte) (err error) {
		switch kind.String() {
		case "avcC":
			sets, err = avcSets(body)
		case "hvcC":
			sets, err = hevcSets(body)
		}
		return err
	})
	return sets, err
}

// avcSets reads an AVCDecoderConfigurationRecord, ISO/IEC 14496-15 §5.3.3.1.
func avcSets(b []byte) (sets []byte, err error) {
	f := &fields{b: b}
	f.take(4)
	length := int(f.u8()&3) + 1
	for _, mask := range []uint8{0x1f, 0xff} { // SPS, PPS
		for range f.u8() & mask {
			sets = appendSet(sets, length, f.take(int(f.u16())))
		}
	}
	return sets, f.err()
}

// hevcSets reads an HEVCDecoderConfigurationRecord, ISO/IEC 14496-15 §8.3.3.1.
func hevcSets(b []byte) (sets []byte, err error) {
	f := &fields{b: b}
	f.take(21)
	length := int(f.u8()&3) + 1
	for range f.u8() {
		f.u8()
		for range f.u16() {
			if f.bad {
				return nil, f.err()
			}
			sets = appendSet(sets, length, f.take(int(f.u16())))
		}
	}
	return sets, f.err()
}

// appendSet appends a NAL unit behind its length of so many bytes.
func appendSet(b []byte, length int, nal []byte) []byte {
	var n [4]byte
	binary.BigEndian.PutUint32(n[:], uint32(len(nal)))
	return append(append(b, n[4-length:]...), nal...)
}
