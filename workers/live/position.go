package live

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// position is how far a media playlist has come: the segment being made, its
// finished parts, and the number of the next part (the preload hint).
// It only grows, and is never ahead of what gohlslib can answer.
type position struct {
	msn   uint64
	parts uint64
	next  uint64
}

// has tells whether part of segment msn is finished. Without a part (RFC 8216bis
// §6.2.5.2) the whole segment is meant. A part beyond the end of a finished
// segment means the first one of the segment after it.
func (p position) has(msn, part uint64, hasPart bool) bool {
	switch {
	case msn < p.msn:
		// A part past the end of msn would be the next segment's first; that
		// one is being made when msn+1 == p.msn, and the reader gets a
		// playlist that is at most one part behind what it asked for.
		return true
	case msn > p.msn || !hasPart:
		return false
	}
	return part < p.parts
}

// readPosition reads a media playlist as gohlslib writes it.
func readPosition(playlist []byte) (position, error) {
	var p position
	var hint string
	for line := range bytes.Lines(playlist) {
		tag, value, _ := strings.Cut(strings.TrimSpace(string(line)), ":")
		switch tag {
		case "#EXT-X-MEDIA-SEQUENCE":
			n, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				return p, fmt.Errorf("media sequence: %w", err)
			}
			p.msn += n
		case "#EXTINF":
			p.msn++
			p.parts = 0 // those listed so far belong to this segment
		case "#EXT-X-PART":
			p.parts++
		case "#EXT-X-PRELOAD-HINT":
			hint = value
		}
	}
	_, name, _ := strings.Cut(hint, `URI="`)
	name, _, _ = strings.Cut(name, `"`)
	n, ok := partNumber(name)
	if !ok {
		return p, fmt.Errorf("preload hint %q names no part", hint)
	}
	p.next = n
	return p, nil
}

// partNumber is the N of <prefix>_<stream>_part<N>.mp4.
func partNumber(name string) (uint64, bool) {
	rest, ok := strings.CutSuffix(name, ".mp4")
	i := strings.LastIndex(rest, "_part")
	if !ok || i < 0 {
		return 0, false
	}
	n, err := strconv.ParseUint(rest[i+len("_part"):], 10, 64)
	return n, err == nil
}
