package main

import (
	"image"
	"image/color"
	"math"

	"camfleet.dev/workers/fakecam/counter"
)

// canvas is a frame; everything on it is made of rectangles on even pixels.
type canvas struct{ *image.YCbCr }

var (
	black  = color.YCbCr{16, 128, 128}
	white  = color.YCbCr{235, 128, 128}
	sky    = color.YCbCr{70, 142, 120}
	ground = color.YCbCr{96, 120, 128}
	wall   = color.YCbCr{125, 118, 134}
	door   = color.YCbCr{60, 124, 140}
	lamp   = color.YCbCr{210, 90, 146}
	red    = color.YCbCr{90, 110, 200}
	blue   = color.YCbCr{80, 190, 110}
	green  = color.YCbCr{110, 90, 90}
)

// fill paints the rectangle of w by h at (x, y), given in thousandths of the frame.
func (c canvas) fill(x, y, w, h float64, col color.YCbCr) {
	b := c.Rect
	even := func(v float64, size int) int { return int(math.Round(v*float64(size)/2000)) * 2 }
	r := image.Rect(even(x, b.Dx()), even(y, b.Dy()), even(x+w, b.Dx()), even(y+h, b.Dy()))
	c.pixels(r, col)
}

func (c canvas) pixels(r image.Rectangle, col color.YCbCr) {
	r = r.Intersect(c.Rect)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			i, j := c.YOffset(x, y), c.COffset(x, y)
			c.Y[i], c.Cb[j], c.Cr[j] = col.Y, col.Cb, col.Cr
		}
	}
}

// counter draws the frame's number: blocks for programs at the top, where no
// player puts its controls, and digits for people below them.
func (c canvas) counter(frame int) {
	size := c.Rect.Dx() / (counter.Cells + 2) &^ 1
	left := (c.Rect.Dx() - counter.Cells*size) / 2
	c.pixels(image.Rect(0, 0, c.Rect.Dx(), size*2), black)
	for i, on := range counter.Encode(frame) {
		if on {
			c.pixels(image.Rect(left+i*size, size/2, left+(i+1)*size, size*3/2), white)
		}
	}
	c.digits(frame, left, size*5/2, size/3)
}

// font is three by five dots for each digit, a row in three bits.
var font = [10][5]int{
	{7, 5, 5, 5, 7}, {2, 6, 2, 2, 7}, {7, 1, 7, 4, 7}, {7, 1, 3, 1, 7}, {5, 5, 7, 1, 1},
	{7, 4, 7, 1, 7}, {7, 4, 7, 5, 7}, {7, 1, 2, 2, 2}, {7, 5, 7, 5, 7}, {7, 5, 7, 1, 7},
}

func (c canvas) digits(n, x, y, dot int) {
	c.pixels(image.Rect(x, y, x+17*dot, y+7*dot), black)
	for place := range 4 {
		digit := n / [4]int{1000, 100, 10, 1}[place] % 10
		for row, bits := range font[digit] {
			for col := range 3 {
				if bits>>(2-col)&1 == 1 {
					px, py := x+(1+4*place+col)*dot, y+(1+row)*dot
					c.pixels(image.Rect(px, py, px+dot, py+dot), white)
				}
			}
		}
	}
}

// quiet is a yard at which nothing happens but a lamp that blinks each second.
func quiet(c canvas, frame, _ int) {
	c.yard()
	if frame/25%2 == 0 {
		c.fill(700, 330, 20, 30, lamp)
	}
	c.counter(frame)
}

// motion is the same yard with people and a car crossing it, in a loop.
func motion(c canvas, frame, frames int) {
	c.yard()
	turn := float64(frame) / float64(frames)
	c.person(math.Mod(turn*4, 1), 520, red)
	c.person(1-math.Mod(turn*6, 1), 600, blue)
	c.person(0.5+0.3*math.Sin(turn*2*math.Pi*5), 560, green)
	x := math.Mod(turn*8, 1)*1400 - 300
	c.fill(x, 800, 260, 90, red)
	c.fill(x+50, 740, 140, 60, sky)
	c.fill(x+30, 880, 50, 50, black)
	c.fill(x+180, 880, 50, 50, black)
	c.counter(frame)
}

func (c canvas) yard() {
	c.fill(0, 0, 1000, 550, sky)
	c.fill(0, 550, 1000, 450, ground)
	c.fill(550, 300, 350, 330, wall)
	c.fill(680, 420, 90, 210, door)
	c.fill(698, 328, 24, 34, black)
}

func (c canvas) person(at, y float64, col color.YCbCr) {
	x := at*1100 - 60
	c.fill(x+8, y, 24, 50, wall)
	c.fill(x, y+50, 40, 130, col)
	c.fill(x+4, y+180, 12, 70, black)
	c.fill(x+24, y+180, 12, 70, black)
}
