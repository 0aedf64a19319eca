// Package counter is the frame counter burned into camfleet's own clips: a row
// of big black and white blocks that a program reads back from a screenshot,
// however it was scaled or framed.
//
// The row is Cells blocks of equal width on a black band: white, black, white;
// ten bits of the frame's number, the highest first; four check bits; white,
// black, white. White is 1.
package counter

import "time"

const (
	// Modulo is how many frame numbers the counter tells apart.
	Modulo = 1 << bits
	// Cells is the number of blocks in the row.
	Cells = 2*guard + bits + checks

	bits, checks, guard = 10, 4, 3
)

// Encode returns the row's blocks for a frame number, true for white.
func Encode(frame int) [Cells]bool {
	var row [Cells]bool
	row[0], row[2], row[Cells-3], row[Cells-1] = true, true, true, true
	n := frame%Modulo<<checks | check(frame%Modulo)
	for i := range bits + checks {
		row[guard+i] = n>>(bits+checks-1-i)&1 == 1
	}
	return row
}

// check folds a frame's number into four bits; the constant keeps an all-black
// or all-white row from being valid.
func check(n int) int { return (n ^ n>>3 ^ n>>7 ^ 0b1010) & 0b1111 }

// decode is the opposite of Encode.
func decode(row *[Cells]bool) (frame int, ok bool) {
	if !row[0] || row[1] || !row[2] || !row[Cells-3] || row[Cells-2] || !row[Cells-1] {
		return 0, false
	}
	n := 0
	for _, white := range row[guard : guard+bits+checks] {
		n <<= 1
		if white {
			n |= 1
		}
	}
	frame = n >> checks
	return frame, check(frame) == n&(1<<checks-1)
}

// SentAt tells when a frame with this number was last due, at fps frames per
// second and a clip of modulo frames, both paced by the wall clock: frame index
// = unix time × fps mod modulo. The newest time that is not after now is meant,
// so that now minus SentAt is the age of the frame; a frame older than the
// clip's length looks younger than it is.
func SentAt(frame, modulo, fps int, now time.Time) time.Time {
	newest := now.Unix()*int64(fps) + int64(now.Nanosecond())*int64(fps)/int64(time.Second)
	behind := (newest - int64(frame)) % int64(modulo)
	if behind < 0 {
		behind += int64(modulo)
	}
	n := newest - behind
	return time.Unix(n/int64(fps), n%int64(fps)*int64(time.Second)/int64(fps))
}
