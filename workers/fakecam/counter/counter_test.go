package counter

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math/rand/v2"
	"testing"
	"time"
)

// paint draws the row of a frame at (x, y), blocks of the given size.
func paint(img *image.Gray, frame, x, y, w, h int) {
	draw.Draw(img, image.Rect(x-w, y-h/2, x+(Cells+1)*w, y+h+h/2), image.NewUniform(color.Gray{16}), image.Point{}, draw.Src)
	for i, white := range Encode(frame) {
		if white {
			draw.Draw(img, image.Rect(x+i*w, y, x+(i+1)*w, y+h), image.NewUniform(color.Gray{235}), image.Point{}, draw.Src)
		}
	}
}

func TestReadEveryNumber(t *testing.T) {
	t.Parallel()
	for frame := range Modulo {
		img := image.NewGray(image.Rect(0, 0, 200, 20))
		paint(img, frame, 12, 6, 8, 8)
		if got, ok := Read(img); !ok || got != frame {
			t.Fatalf("read %d (%v), want %d", got, ok, frame)
		}
	}
}

func TestReadAnywhere(t *testing.T) {
	t.Parallel()
	cases := []struct{ x, y, w, h int }{
		{0, 0, 20, 12}, {5, 100, 4, 6}, {100, 3, 3, 8}, {239, 150, 20, 30}, {40, 40, 25, 4},
	}
	for _, c := range cases {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			t.Parallel()
			img := image.NewGray(image.Rect(0, 0, 640, 200))
			draw.Draw(img, img.Bounds(), image.NewUniform(color.Gray{90}), image.Point{}, draw.Src)
			paint(img, 777, c.x, c.y, c.w, c.h)
			// Bounds that do not start at zero, as a crop has.
			sub := img.SubImage(image.Rect(0, max(0, c.y-4), 640, 200))
			if got, ok := Read(sub); !ok || got != 777 {
				t.Errorf("read %d (%v), want 777", got, ok)
			}
		})
	}
}

func TestReadSurvivesNoise(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		frame := rnd.IntN(Modulo)
		img := image.NewGray(image.Rect(0, 0, 480, 270))
		for i := range img.Pix {
			img.Pix[i] = byte(rnd.IntN(256))
		}
		paint(img, frame, 20, 16, 21, 20)
		for i := range img.Pix { // and ringing at every edge
			img.Pix[i] = byte(max(0, min(255, int(img.Pix[i])+rnd.IntN(80)-40)))
		}
		if got, ok := Read(img); !ok || got != frame {
			t.Errorf("read %d (%v), want %d", got, ok, frame)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	blank := image.NewGray(image.Rect(0, 0, 640, 360))
	full := image.NewGray(blank.Rect)
	for i := range full.Pix {
		full.Pix[i] = 255
	}
	stripes := image.NewGray(blank.Rect)
	for i := range stripes.Pix {
		stripes.Pix[i] = byte(i / 16 % 2 * 255)
	}
	noise, rnd := image.NewGray(blank.Rect), rand.New(rand.NewPCG(3, 4))
	for i := range noise.Pix {
		noise.Pix[i] = byte(rnd.IntN(256))
	}
	for name, img := range map[string]image.Image{
		"black": blank, "white": full, "stripes": stripes, "noise": noise, "empty": image.NewGray(image.Rectangle{}),
	} {
		if got, ok := Read(img); ok {
			t.Errorf("%s: read %d where there is no counter", name, got)
		}
	}
}

// TestOneWrongBlockIsSeen: no single wrong block gives another number.
func TestOneWrongBlockIsSeen(t *testing.T) {
	t.Parallel()
	for frame := range Modulo {
		for i := range Cells {
			row := Encode(frame)
			row[i] = !row[i]
			if got, ok := decode(&row); ok {
				t.Fatalf("frame %d with block %d flipped reads as %d", frame, i, got)
			}
		}
	}
}

func TestSentAt(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 11, 23, 4, 44, 30, 0, time.UTC)
	for _, behind := range []time.Duration{0, 40 * time.Millisecond, 520 * time.Millisecond, 7 * time.Second, 39960 * time.Millisecond} {
		sent := day.Add(-behind)
		frame := int(sent.UnixMilli() / 40 % 1000)
		now := day.Add(13 * time.Millisecond)
		if got := SentAt(frame, 1000, 25, now); !got.Equal(sent) {
			t.Errorf("frame %d: sent at %v, want %v", frame, got.UTC(), sent)
		}
	}
}
