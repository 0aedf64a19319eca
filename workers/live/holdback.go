package live

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"time"
)

// holdBack is PART-HOLD-BACK, how far from the end a player stays, as a
// multiple of the part target. gohlslib writes 2.5; RFC 8216bis §4.4.3.8 asks
// for at least 3. Measured with video.js 8 in Chromium, 200 ms parts: at 3 it
// waits eight times in half a minute until it has fallen back far enough by
// itself; at 3.5 once, when it starts, and stays at 0.77 s from glass to glass.
const holdBack = 3.5

// withHoldBack puts holdBack into a media playlist. reorder is added: frames
// that are shown later than they are decoded (B-frames) come that much later.
func withHoldBack(playlist []byte, reorder time.Duration) []byte {
	const tag = "PART-HOLD-BACK="
	i := bytes.Index(playlist, []byte(tag))
	if i < 0 {
		return playlist
	}
	i += len(tag)
	n := bytes.IndexAny(playlist[i:], ",\n")
	_, target, ok := bytes.Cut(playlist, []byte("PART-TARGET="))
	if n < 0 || !ok {
		return playlist
	}
	target, _, _ = bytes.Cut(target, []byte("\n"))
	seconds, err := strconv.ParseFloat(strings.TrimSpace(string(target)), 64)
	if err != nil {
		return playlist
	}
	return slices.Concat(playlist[:i], strconv.AppendFloat(nil, holdBack*seconds+reorder.Seconds(), 'f', 3, 64), playlist[i+n:])
}
