package e2e

import (
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"camfleet.dev/hack/browser"
)

// TestEveryCameraPlays is the judge of the page: in a real browser each camera
// advances by 5 s within 30 s, and what is seen is as fresh as promised.
func TestEveryCameraPlays(t *testing.T) {
	d := startDemo(t, t.TempDir())
	d.allLive(exampleCameras, 30*time.Second)
	for _, mode := range []struct {
		latency string
		limit   time.Duration
	}{
		{"low", time.Second},
		{"standard", 4*2*time.Second + time.Second}, // 4 segments of 2 s, and 1 s
	} {
		ctx := browser.Start(t)
		if _, err := chromedp.Run(ctx, chromedp.Navigate(d.url+"/?latency="+mode.latency)); err != nil {
			t.Fatal(err)
		}
		browser.Advance(t, ctx, exampleCameras, mode.latency)
		median := browser.GlassToGlass(t, ctx, exampleCameras)
		t.Logf("%s: glass to glass %d ms at the median", mode.latency, median.Milliseconds())
		if median > mode.limit {
			t.Errorf("%s: glass to glass %s at the median, want at most %s", mode.latency, median, mode.limit)
		}
		browser.Screenshot(t, ctx, mode.latency)
		// The tab must go before the next one: its players would compete for two cores.
		if err := chromedp.Cancel(ctx); err != nil {
			t.Error(err)
		}
	}
	d.stop()
}
