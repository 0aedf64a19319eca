package archive

import (
	"strconv"
	"time"
)

// PlaylistType is EXT-X-PLAYLIST-TYPE; empty for a sliding window.
type PlaylistType string

// The types of RFC 8216 §4.3.3.5.
const (
	Sliding PlaylistType = ""
	Event   PlaylistType = "EVENT" // entries are only added
	VOD     PlaylistType = "VOD"   // nothing changes any more
)

// Playlist is a media playlist of fMP4 segments (RFC 8216), as far as the
// archive uses them.
type Playlist struct {
	Type          PlaylistType
	Target        int    // EXT-X-TARGETDURATION, seconds
	Sequence      uint64 // of the first item
	Discontinuity uint64 // EXT-X-DISCONTINUITY-SEQUENCE: of the first item
	Items         []Item
	Ended         bool // EXT-X-ENDLIST
}

// Item is one segment of a Playlist.
type Item struct {
	URI      string
	Map      string // URI of its initialization segment
	Start    int64  // EXT-X-PROGRAM-DATE-TIME, Unix milliseconds
	Duration int64  // in ticks of Timescale
	// Discontinuity is true where timestamps or parameters do not go on from
	// the item before. It is never true for the first item: that one's
	// discontinuities are in Playlist.Discontinuity.
	Discontinuity bool
}

// The tags that the archive writes and reads.
const (
	tagHeader        = "#EXTM3U"
	tagVersion       = "#EXT-X-VERSION:"
	tagIndependent   = "#EXT-X-INDEPENDENT-SEGMENTS"
	tagType          = "#EXT-X-PLAYLIST-TYPE:"
	tagTarget        = "#EXT-X-TARGETDURATION:"
	tagSequence      = "#EXT-X-MEDIA-SEQUENCE:"
	tagDiscSequence  = "#EXT-X-DISCONTINUITY-SEQUENCE:"
	tagDiscontinuity = "#EXT-X-DISCONTINUITY"
	tagMap           = "#EXT-X-MAP:"
	tagTime          = "#EXT-X-PROGRAM-DATE-TIME:"
	tagDuration      = "#EXTINF:"
	tagEnd           = "#EXT-X-ENDLIST"
)

// playlistVersion is the least that allows EXT-X-MAP in a playlist of whole segments.
const playlistVersion = "7"

// timeLayout of EXT-X-PROGRAM-DATE-TIME; always UTC.
const timeLayout = "2006-01-02T15:04:05.000Z"

// Marshal writes the playlist.
func (p Playlist) Marshal() []byte {
	b := make([]byte, 0, 256+160*len(p.Items))
	b = p.appendHeader(b)
	last := ""
	for _, it := range p.Items {
		b = it.append(b, last)
		last = it.Map
	}
	if p.Ended {
		b = append(b, tagEnd+"\n"...)
	}
	return b
}

func (p Playlist) appendHeader(b []byte) []byte {
	b = append(b, tagHeader+"\n"+tagVersion+playlistVersion+"\n"+tagIndependent+"\n"...)
	if p.Type != Sliding {
		b = append(b, tagType...)
		b = append(b, p.Type...)
		b = append(b, '\n')
	}
	b = append(b, tagTarget...)
	b = strconv.AppendInt(b, int64(p.Target), 10)
	b = append(b, "\n"+tagSequence...)
	b = strconv.AppendUint(b, p.Sequence, 10)
	b = append(b, "\n"+tagDiscSequence...)
	b = strconv.AppendUint(b, p.Discontinuity, 10)
	return append(b, '\n')
}

// append adds the item's lines; lastMap is the map of the item before.
func (it Item) append(b []byte, lastMap string) []byte {
	if it.Discontinuity {
		b = append(b, tagDiscontinuity+"\n"...)
	}
	if it.Map != lastMap || it.Discontinuity {
		b = append(b, tagMap+`URI="`...)
		b = append(b, it.Map...)
		b = append(b, "\"\n"...)
	}
	b = append(b, tagTime...)
	b = time.UnixMilli(it.Start).UTC().AppendFormat(b, timeLayout)
	b = append(b, "\n"+tagDuration...)
	b = appendSeconds(b, it.Duration)
	b = append(b, ",\n"...)
	b = append(b, it.URI...)
	return append(b, '\n')
}

// appendSeconds writes ticks as seconds with six decimals: finer than a tick,
// so that parseSeconds gives the same ticks back.
func appendSeconds(b []byte, ticks int64) []byte {
	b = strconv.AppendInt(b, ticks/Timescale, 10)
	micro := ((ticks%Timescale)*1e6 + Timescale/2) / Timescale
	b = append(b, '.')
	for d := int64(100000); d > 0; d /= 10 {
		b = append(b, byte('0'+micro/d%10))
	}
	return b
}

// targetOf is the least EXT-X-TARGETDURATION that an item of this duration
// allows: durations are rounded to the nearest second (RFC 8216 §4.3.3.1).
func targetOf(ticks int64) int { return int((ticks + Timescale/2) / Timescale) }
