package hls2mpeg

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// verify reads a finished file again, as a player would, and compares it with
// what it was made of. It trusts nothing of the tables in memory but the counts.
func verify(r io.ReaderAt, size int64, pt *part) error {
	v := verifier{r: r}
	err := v.boxes(0, size, func(kind string, body span) error {
		switch kind {
		case "mdat":
			v.media = body
		case "moov":
			v.moov = body
		}
		return nil
	})
	if err != nil {
		return err
	}
	if v.moov.size == 0 || v.media.offset < v.moov.offset {
		return errors.New("moov does not come before mdat")
	}
	if v.media.offset+v.media.size != size || v.media.size != pt.bytes {
		return fmt.Errorf("the media has %d bytes, not %d", v.media.size, pt.bytes)
	}
	if err := v.boxes(v.moov.offset, v.moov.offset+v.moov.size, v.moovBox); err != nil {
		return err
	}
	if len(v.tables) != len(pt.tracks) {
		return fmt.Errorf("%d tracks, not %d", len(v.tables), len(pt.tracks))
	}
	var total int64
	for i, t := range v.tables {
		n, err := v.track(t, pt.tracks[i].samples)
		if err != nil {
			return fmt.Errorf("track %d: %w", i+1, err)
		}
		total += n
	}
	if total != v.media.size {
		return fmt.Errorf("the samples have %d bytes, the media %d", total, v.media.size)
	}
	return nil
}

type verifier struct {
	r           io.ReaderAt
	moov, media span
	tables      []map[string]span // of each track: the bodies of stbl's boxes
}

// boxes calls do for each box in [at, end).
func (v *verifier) boxes(at, end int64, do func(kind string, body span) error) error {
	for at < end {
		var b [16]byte
		n, err := v.r.ReadAt(b[:min(16, end-at)], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		h, err := parseHeader(b[:n], end-at)
		if err != nil {
			return fmt.Errorf("at byte %d: %w", at, err)
		}
		if err := do(h.kind.String(), span{at + h.header, h.size - h.header}); err != nil {
			return err
		}
		at += h.size
	}
	return nil
}

func (v *verifier) moovBox(kind string, body span) error {
	switch kind {
	case "trak":
		v.tables = append(v.tables, map[string]span{})
	case "mdia", "minf", "stbl":
	default:
		if n := len(v.tables); n > 0 {
			v.tables[n-1][kind] = body
		}
		return nil
	}
	return v.boxes(body.offset, body.offset+body.size, v.moovBox)
}

// entries reads a table: after version and flags, skip words, a count, and
// per words an entry.
type entries struct {
	in    *bufio.Reader
	left  uint32
	count uint32
	err   error
}

func (v *verifier) open(t map[string]span, kind string, skip int64, per int64) (*entries, error) {
	body, ok := t[kind]
	if !ok {
		return nil, fmt.Errorf("no %s", kind)
	}
	e := &entries{in: bufio.NewReaderSize(io.NewSectionReader(v.r, body.offset, body.size), 16<<10)}
	for range 1 + skip {
		e.word()
	}
	e.count = e.word()
	e.left = e.count
	if e.err == nil && (2+skip+int64(e.count)*per)*4 != body.size {
		e.err = fmt.Errorf("%s has %d entries in %d bytes", kind, e.count, body.size)
	}
	return e, e.err
}

func (e *entries) word() uint32 {
	var b [4]byte
	if e.err == nil {
		_, e.err = io.ReadFull(e.in, b[:])
	}
	return binary.BigEndian.Uint32(b[:])
}

// sum adds up the counts of a run-length table.
func (v *verifier) sum(t map[string]span, kind string) (n int64, err error) {
	e, err := v.open(t, kind, 0, 2)
	if err != nil {
		return 0, err
	}
	for range e.count {
		n += int64(e.word())
		e.word()
	}
	return n, e.err
}

// track checks one track's tables against each other, and where its samples are.
func (v *verifier) track(t map[string]span, samples int) (bytes int64, err error) {
	for _, kind := range []string{"stts", "ctts"} {
		if _, ok := t[kind]; !ok && kind == "ctts" {
			continue
		}
		if n, err := v.sum(t, kind); err != nil || n != int64(samples) {
			return 0, errors.Join(err, fmt.Errorf("%s is for %d samples, not %d", kind, n, samples))
		}
	}
	sizes, err := v.open(t, "stsz", 1, 1)
	if err != nil || int64(sizes.count) != int64(samples) {
		return 0, errors.Join(err, fmt.Errorf("stsz does not have %d samples", samples))
	}
	stsc, err := v.open(t, "stsc", 0, 3)
	if err != nil {
		return 0, err
	}
	offsets, err := v.open(t, "co64", 0, 2)
	if err != nil {
		return 0, err
	}
	bytes, err = v.chunks(stsc, offsets, sizes)
	if err == nil && sizes.left != 0 {
		err = fmt.Errorf("%d samples are in no chunk", sizes.left)
	}
	return bytes, err
}

// chunks adds up the samples' bytes, chunk by chunk: each inside the media, and
// after the one before it.
func (v *verifier) chunks(stsc, offsets, sizes *entries) (total int64, err error) {
	first, per := stsc.word(), uint32(0)
	var end int64
	for chunk := uint32(1); chunk <= offsets.count; chunk++ {
		if chunk == first {
			per = stsc.word()
			stsc.word()
			if stsc.left--; stsc.left > 0 {
				first = stsc.word()
			}
		}
		at := int64(offsets.word())<<32 | int64(offsets.word())
		if at < max(end, v.media.offset) {
			return 0, fmt.Errorf("chunk %d is at byte %d, inside what is before it", chunk, at)
		}
		if end = at; per > sizes.left {
			return 0, fmt.Errorf("chunk %d has more samples than there are", chunk)
		}
		for range per {
			end += int64(sizes.word())
		}
		sizes.left -= per
		total += end - at
		if end > v.media.offset+v.media.size {
			return 0, fmt.Errorf("chunk %d ends after the media", chunk)
		}
	}
	return total, errors.Join(stsc.err, offsets.err, sizes.err)
}
