package archive

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Limits of what a playlist may say; beyond them it is not one of ours.
const (
	maxDuration = 24 * 3600 * Timescale
	maxTarget   = 24 * 3600
	maxTime     = 253402300799999 // the end of the year 9999, Unix milliseconds
)

// ParsePlaylist reads what Playlist.Marshal writes. Tags and comments that it
// does not know are skipped (RFC 8216 §6.3.1); an error names the line.
func ParsePlaylist(data []byte) (Playlist, error) {
	p := playlistParser{}
	for n, line := range strings.Split(string(data), "\n") {
		line = strings.TrimSuffix(line, "\r")
		if n == 0 {
			if line != tagHeader {
				return Playlist{}, fmt.Errorf("playlist line 1: want %s", tagHeader)
			}
			continue
		}
		if err := p.line(line); err != nil {
			return Playlist{}, fmt.Errorf("playlist line %d: %w", n+1, err)
		}
	}
	return p.finish()
}

type playlistParser struct {
	list      Playlist
	item      Item
	hasTarget bool
	hasTime   bool
	hasLength bool
}

// line takes one line; the order follows the length of the tags where one is
// the beginning of another.
func (p *playlistParser) line(s string) error {
	switch {
	case s == "":
		return nil
	case !strings.HasPrefix(s, "#"):
		return p.uri(s)
	case p.list.Ended && strings.HasPrefix(s, "#EXT"):
		return fmt.Errorf("%s after %s", s, tagEnd)
	case s == tagEnd:
		p.list.Ended = true
		return nil
	case s == tagDiscontinuity:
		p.item.Discontinuity = true
		return nil
	}
	for _, t := range []struct {
		tag  string
		take func(string) error
	}{
		{tagType, p.kind},
		{tagTarget, p.target},
		{tagSequence, func(v string) error { return p.number(v, &p.list.Sequence) }},
		{tagDiscSequence, func(v string) error { return p.number(v, &p.list.Discontinuity) }},
		{tagMap, p.mapURI},
		{tagTime, p.time},
		{tagDuration, p.duration},
	} {
		if v, ok := strings.CutPrefix(s, t.tag); ok {
			return t.take(v)
		}
	}
	return nil
}

func (p *playlistParser) finish() (Playlist, error) {
	switch {
	case !p.hasTarget:
		return Playlist{}, fmt.Errorf("playlist: no %s", strings.TrimSuffix(tagTarget, ":"))
	case p.hasTime || p.hasLength || p.item.Discontinuity:
		return Playlist{}, fmt.Errorf("playlist: it ends in the middle of entry %d", len(p.list.Items)+1)
	}
	for i, it := range p.list.Items {
		if targetOf(it.Duration) > p.list.Target {
			return Playlist{}, fmt.Errorf("playlist: entry %d is longer than the target duration of %d s", i+1, p.list.Target)
		}
	}
	return p.list, nil
}

func (p *playlistParser) uri(s string) error {
	switch {
	case p.list.Ended:
		return fmt.Errorf("an entry after %s", tagEnd)
	case !p.hasLength:
		return fmt.Errorf("%q has no EXTINF", s)
	case !p.hasTime:
		return fmt.Errorf("%q has no EXT-X-PROGRAM-DATE-TIME", s)
	case p.item.Map == "":
		return fmt.Errorf("%q has no EXT-X-MAP", s)
	}
	if err := checkURI(s); err != nil {
		return err
	}
	if len(p.list.Items) == 0 && p.item.Discontinuity {
		return fmt.Errorf("EXT-X-DISCONTINUITY before the first entry: that belongs in EXT-X-DISCONTINUITY-SEQUENCE")
	}
	p.item.URI = s
	p.list.Items = append(p.list.Items, p.item)
	p.item = Item{Map: p.item.Map}
	p.hasTime, p.hasLength = false, false
	return nil
}

func (p *playlistParser) kind(v string) error {
	if t := PlaylistType(v); t == Event || t == VOD {
		p.list.Type = t
		return nil
	}
	return fmt.Errorf("playlist type %q is neither EVENT nor VOD", v)
}

func (p *playlistParser) target(v string) error {
	n, err := strconv.ParseUint(v, 10, 31)
	if err != nil || n > maxTarget {
		return fmt.Errorf("target duration %q is not a number of seconds up to %d", v, maxTarget)
	}
	p.list.Target, p.hasTarget = int(n), true
	return nil
}

func (p *playlistParser) number(v string, to *uint64) error {
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		return fmt.Errorf("%q is not a number", v)
	}
	*to = n
	return nil
}

func (p *playlistParser) mapURI(v string) error {
	v, ok := strings.CutPrefix(v, `URI="`)
	uri, rest, closed := strings.Cut(v, `"`)
	if !ok || !closed || rest != "" || uri == "" {
		return fmt.Errorf(`EXT-X-MAP is not URI="…"`)
	}
	p.item.Map = uri
	return checkURI(uri)
}

func (p *playlistParser) time(v string) error {
	t, err := time.Parse(timeLayout, v)
	if err != nil {
		return fmt.Errorf("%q is not a time as %s", v, timeLayout)
	}
	p.item.Start, p.hasTime = t.UnixMilli(), true
	return nil
}

func (p *playlistParser) duration(v string) error {
	v, _, _ = strings.Cut(v, ",")
	ticks, err := parseSeconds(v)
	if err != nil {
		return err
	}
	p.item.Duration, p.hasLength = ticks, true
	return nil
}

// checkURI refuses what could not be written back.
func checkURI(s string) error {
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == '"' || r == 0x7f }) {
		return fmt.Errorf("%q is not an address", s)
	}
	return nil
}

// parseSeconds reads a decimal number of seconds as ticks, to the nearest one.
func parseSeconds(s string) (int64, error) {
	bad := fmt.Errorf("%q is not a duration in seconds", s)
	whole, frac, _ := strings.Cut(s, ".")
	sec, err := strconv.ParseUint(whole, 10, 32)
	if err != nil {
		return 0, bad
	}
	micro := uint64(0)
	if frac != "" {
		frac = (frac + "000000")[:6]
		if micro, err = strconv.ParseUint(frac, 10, 32); err != nil {
			return 0, bad
		}
	}
	ticks := int64(sec)*Timescale + (int64(micro)*Timescale+500000)/1000000
	if ticks > maxDuration {
		return 0, bad
	}
	return ticks, nil
}
