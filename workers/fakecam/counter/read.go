package counter

import "image"

const (
	bright    = 128 // luma from which a pixel counts as white
	tolerance = 0.3 // how far the first block's width may be off the mean, as a share
	minBlock  = 3.0 // pixels; narrower blocks cannot be told apart
	lineStep  = 2   // every second line is looked at
	minVotes  = 2   // lines that must agree
	blur      = 0.2 // how much of a block at its edges may be wrong, as a share
)

// Read finds the counter in an image, such as a screenshot of a video element:
// anywhere in it, at any scale that leaves a block three pixels wide. It reads
// the row that most lines agree on, so crop to one camera where several are seen.
func Read(img image.Image) (frame int, ok bool) {
	votes := map[int]int{}
	b := img.Bounds()
	line := make([]bool, b.Dx())
	for y := b.Min.Y; y < b.Max.Y; y += lineStep {
		for x := range line {
			line[x] = white(img, b.Min.X+x, y)
		}
		if n, found := readLine(line); found {
			votes[n]++
		}
	}
	best := 0
	for n, v := range votes {
		if v > best || v == best && n < frame {
			frame, best = n, v
		}
	}
	return frame, best >= minVotes
}

func white(img image.Image, x, y int) bool {
	r, g, b, _ := img.At(x, y).RGBA()
	return (299*r+587*g+114*b)/1000>>8 >= bright // luma as in ITU-R BT.601
}

// readLine looks for the row in one line of pixels: it starts where white
// begins, ends where white ends, and its first block is one cell wide.
func readLine(line []bool) (frame int, ok bool) {
	var ends []int
	for x, w := range line {
		if w && (x+1 == len(line) || !line[x+1]) {
			ends = append(ends, x+1)
		}
	}
	for i, first := range ends {
		start := first
		for start > 0 && line[start-1] {
			start--
		}
		width := float64(first - start)
		for _, end := range ends[i:] {
			cell := float64(end-start) / Cells
			if cell < minBlock || cell < width*(1-tolerance) {
				continue
			}
			if cell > width*(1+tolerance) {
				break
			}
			if frame, ok = sample(line, start, cell); ok {
				return frame, true
			}
		}
	}
	return 0, false
}

// sample reads the row at each block's middle, and refuses one whose other
// pixels say something else, but for those at a block's edge, which scaling blurs.
func sample(line []bool, start int, cell float64) (frame int, ok bool) {
	var row [Cells]bool
	for i := range row {
		row[i] = line[start+int((float64(i)+0.5)*cell)]
	}
	if frame, ok = decode(&row); !ok {
		return 0, false
	}
	edge := max(cell*blur, 1)
	for x := range int(Cells * cell) {
		mid := float64(x) + 0.5
		i := int(mid / cell)
		if off := mid - float64(i)*cell; off < edge || off > cell-edge {
			continue
		}
		if line[start+x] != row[i] {
			return 0, false
		}
	}
	return frame, true
}
