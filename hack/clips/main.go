// Command clips draws the clips that workers/fakecam embeds, and encodes them
// with ffmpeg (libx264). It runs when a clip is to look different, never in a
// build: its results are checked in.
//
//	go run ./hack/clips -o workers/fakecam/clips
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"image"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
)

// clip is one result: a picture of so many frames, and how it is encoded.
type clip struct {
	name          string // of the file; its extension is the container
	width, height int
	frames        int
	draw          func(c canvas, frame, frames int)
	x264          string
}

const (
	fps = 25
	// An IDR frame every 0.4 s: a viewer joins soon, and segments of 2 s cut exactly.
	gop = "keyint=10:min-keyint=10:scenecut=0:open-gop=0:repeat-headers=1:aud=1:threads=1"
)

func clips() []clip {
	return []clip{
		{"quiet.h264", 640, 360, 1000, quiet, gop + ":bframes=0"},
		{"motion.h264", 480, 270, 1000, motion, gop + ":bframes=0"},
		{"bframes.ts", 320, 180, 200, motion, gop + ":bframes=3:b-adapt=0"},
	}
}

func main() {
	dir := flag.String("o", "workers/fakecam/clips", "folder to write to")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	for _, c := range clips() {
		path := filepath.Join(*dir, c.name)
		if err := c.write(ctx, path); err != nil {
			fmt.Fprintf(os.Stderr, "clips: %s: %v\n", path, err)
			os.Exit(1)
		}
	}
}

// write draws every frame into ffmpeg's standard input.
func (c clip) write(ctx context.Context, path string) error {
	format := map[string]string{".h264": "h264", ".ts": "mpegts"}[filepath.Ext(path)]
	cmd := exec.CommandContext(ctx, "ffmpeg", "-hide_banner", "-loglevel", "error", "-y",
		"-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", fmt.Sprintf("%dx%d", c.width, c.height), "-r", strconv.Itoa(fps), "-i", "-",
		"-c:v", "libx264", "-profile:v", "high", "-preset", "veryslow", "-crf", "32", "-x264-params", c.x264,
		"-bsf:v", "filter_units=remove_types=6", // SEI: the encoder's settings, not needed
		"-f", format, path)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("opening a pipe to ffmpeg: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting ffmpeg (Debian: apt-get install ffmpeg): %w", err)
	}
	drawn := c.frame(in)
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("ffmpeg: %w", err)
	}
	return drawn
}

func (c clip) frame(w io.WriteCloser) error {
	out := bufio.NewWriter(w)
	img := canvas{image.NewYCbCr(image.Rect(0, 0, c.width, c.height), image.YCbCrSubsampleRatio420)}
	for n := range c.frames {
		c.draw(img, n, c.frames)
		for _, plane := range [][]byte{img.Y, img.Cb, img.Cr} {
			if _, err := out.Write(plane); err != nil {
				return fmt.Errorf("writing frame %d: %w", n, err)
			}
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("writing the last frame: %w", err)
	}
	return w.Close()
}
