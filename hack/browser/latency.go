package browser

import (
	"bytes"
	"context"
	"image/png"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"camfleet.dev/workers/fakecam"
)

// grab draws every playing video into a canvas and returns its pixels beside the
// clock of that moment, so that no screenshot's own delay is counted.
const grab = `[...document.querySelectorAll('[data-camera] video')].filter(v => v.videoWidth).map(v => {
	const c = document.createElement('canvas'); c.width = v.videoWidth; c.height = v.videoHeight;
	c.getContext('2d').drawImage(v, 0, 0); return {now: Date.now(), png: c.toDataURL('image/png').split(',')[1]}; })`

type shot struct {
	Now int64 // Unix milliseconds
	PNG []byte
}

// GlassToGlass is the median time from a simulated camera's picture to the screen,
// over n cameras.
func GlassToGlass(t testing.TB, ctx context.Context, n int) time.Duration {
	t.Helper()
	var delays []time.Duration
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for range 10 {
		shots, err := chromedp.Run(ctx, chromedp.Evaluate[[]shot](grab))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range shots {
			if delay, ok := age(s.PNG, time.UnixMilli(s.Now)); ok {
				delays = append(delays, delay)
			}
		}
		<-tick.C
	}
	if len(delays) < 2*n {
		t.Fatalf("only %d frame counters could be read", len(delays))
	}
	slices.Sort(delays)
	return delays[len(delays)/2]
}

func age(content []byte, now time.Time) (time.Duration, bool) {
	img, err := png.Decode(bytes.NewReader(content))
	if err != nil {
		return 0, false
	}
	frame, ok := fakecam.ReadCounter(img)
	if !ok {
		return 0, false
	}
	return now.Sub(fakecam.SentAt(frame, now)), true
}
