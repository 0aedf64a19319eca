// Package browser judges camfleet's page in a real Chromium: whether cameras play,
// and how fresh what is seen is.
package browser

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// Start starts a Chromium that talks to this machine only. Where there is none the
// test is skipped, unless this is CI.
func Start(t testing.TB) context.Context {
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

// Do does something in the browser.
func Do[T any](t testing.TB, ctx context.Context, a chromedp.Action[T]) {
	t.Helper()
	if _, err := chromedp.Run(ctx, a); err != nil {
		t.Fatal(err)
	}
}

// Until waits for a JavaScript condition.
func Until(t testing.TB, ctx context.Context, what, condition string) {
	t.Helper()
	deadline := time.Now().Add(40 * time.Second)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("!!("+condition+")"))
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if ok {
			return
		}
		if time.Now().After(deadline) {
			Screenshot(t, ctx, "failed")
			t.Fatalf("%s: not within 40 s", what)
		}
		<-tick.C
	}
}

// times reads each camera's currentTime from the page.
func times(ctx context.Context) (map[string]float64, error) {
	return chromedp.Run(ctx, chromedp.Evaluate[map[string]float64](`Object.fromEntries([...document.querySelectorAll('[data-camera]')]
		.map(c => [c.dataset.camera, c.querySelector('video')?.currentTime ?? -1]))`))
}

// Advance waits until each of the page's n cameras has played 5 s, within 30 s.
func Advance(t testing.TB, ctx context.Context, n int, mode string) {
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
		if len(now) == n && len(slow) == 0 {
			return
		}
		<-tick.C
	}
	Screenshot(t, ctx, mode+"-failed")
	t.Fatalf("%s: after 30 s these of %d cameras had not advanced by 5 s: %s", mode, n, strings.Join(slow, ", "))
}

// Screenshot keeps what the page looked like, when SCREENSHOTS names a folder.
func Screenshot(t testing.TB, ctx context.Context, name string) {
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
	if err := os.WriteFile(dir+"/"+strings.ReplaceAll(t.Name(), "/", "-")+"-"+name+".png", picture, 0o644); err != nil {
		t.Error(err)
	}
}
