package e2e

import (
	"bytes"
	"context"
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"camfleet.dev/workers/fakecam"
)

// browser starts a real Chromium that talks to this machine only.
func browser(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("chromium is missing: make setup installs it")
		}
		t.Skip("chromium is missing: make setup installs it")
	}
	opts := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1280, 900),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"),
	)
	alloc, cancelAlloc := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, cancel := chromedp.NewContext(alloc)
	// The first call starts the browser, which lives as long as that call's
	// context; only calls after it may have a deadline of their own.
	_, err = chromedp.Run(ctx, chromedp.Navigate("about:blank"))
	if err != nil {
		t.Fatalf("starting chromium: %v", err)
	}
	timed, cancelTimed := context.WithTimeout(ctx, 4*time.Minute)
	t.Cleanup(func() {
		cancelTimed()
		cancel()
		cancelAlloc()
	})
	return timed
}

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
		ctx := browser(t)
		if _, err := chromedp.Run(ctx, chromedp.Navigate(d.url+"/?latency="+mode.latency)); err != nil {
			t.Fatal(err)
		}
		advance(t, ctx, mode.latency)
		median := glassToGlass(t, ctx)
		t.Logf("%s: glass to glass %d ms at the median", mode.latency, median.Milliseconds())
		if median > mode.limit {
			t.Errorf("%s: glass to glass %s at the median, want at most %s", mode.latency, median, mode.limit)
		}
		screenshot(t, ctx, mode.latency)
		// The tab must go before the next one: its players would compete for two cores.
		if err := chromedp.Cancel(ctx); err != nil {
			t.Error(err)
		}
	}
	d.stop()
}

// times reads each camera's currentTime from the page.
func times(ctx context.Context) (map[string]float64, error) {
	return chromedp.Run(ctx, chromedp.Evaluate[map[string]float64](`Object.fromEntries([...document.querySelectorAll('[data-camera]')]
		.map(c => [c.dataset.camera, c.querySelector('video')?.currentTime ?? -1]))`))
}

func advance(t *testing.T, ctx context.Context, mode string) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	first := map[string]float64{}
	var slow []string
	for time.Now().Before(deadline) {
		now, err := times(ctx)
		if err != nil {
			t.Fatal(err)
		}
		slow = slow[:0]
		for name, at := range now {
			start, seen := first[name]
			if at > 0 && !seen {
				first[name] = at
			}
			if !seen || at-start < 5 {
				slow = append(slow, fmt.Sprintf("%s at %.1f s", name, at))
			}
		}
		if len(now) == exampleCameras && len(slow) == 0 {
			return
		}
		<-tick.C
	}
	screenshot(t, ctx, mode+"-failed")
	t.Fatalf("%s: after 30 s these cameras had not advanced by 5 s: %s", mode, strings.Join(slow, ", "))
}

// grab draws every playing video into a canvas and returns its pixels beside the
// clock of that moment, so that no screenshot's own delay is counted.
const grab = `[...document.querySelectorAll('[data-camera] video')].filter(v => v.videoWidth).map(v => {
	const c = document.createElement('canvas'); c.width = v.videoWidth; c.height = v.videoHeight;
	c.getContext('2d').drawImage(v, 0, 0); return {now: Date.now(), png: c.toDataURL('image/png').split(',')[1]}; })`

type shot struct {
	Now int64 // Unix milliseconds
	PNG []byte
}

func glassToGlass(t *testing.T, ctx context.Context) time.Duration {
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
	if len(delays) < 2*exampleCameras {
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

// screenshot keeps what the page looked like, when SCREENSHOTS names a folder.
func screenshot(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		return
	}
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Error(err)
		return
	}
	if err := os.WriteFile(dir+"/"+t.Name()+"-"+name+".png", picture, 0o644); err != nil {
		t.Error(err)
	}
}
