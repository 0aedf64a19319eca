package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"camfleet.dev/hack/browser"
)

// TestPage uses the page as people do: with the keyboard, on a phone, with a
// screen reader, and to look at what was recorded.
func TestPage(t *testing.T) {
	d := startDemo(t, t.TempDir())
	d.allLive(exampleCameras, 30*time.Second)
	ctx := browser.Start(t)
	browser.Do(t, ctx, chromedp.EmulateViewport(390, 844))
	browser.Do(t, ctx, chromedp.Navigate(d.url))
	browser.Until(t, ctx, "every camera is live", `document.querySelectorAll('[data-camera] [data-tone=good]').length === 6`)
	browser.Until(t, ctx, "nothing is wider than a phone", `document.documentElement.scrollWidth <= 390`)
	browser.Screenshot(t, ctx, "phone")
	accessible(t, ctx, "the cameras")

	// By keyboard alone: to the first camera's recordings, and in.
	browser.Do(t, ctx, chromedp.Evaluate[chromedp.Void](`document.querySelector('[data-camera="gate/north"] button[aria-label^="Recordings"]').focus()`))
	browser.Do(t, ctx, chromedp.KeyEvent("\r"))
	browser.Until(t, ctx, "the recordings are open", `!!document.querySelector('dialog[open] ul.hours li')`)
	accessible(t, ctx, "the recordings")
	browser.Do(t, ctx, chromedp.Evaluate[chromedp.Void](`document.querySelector('dialog button[aria-label^="Play"]').focus()`))
	browser.Do(t, ctx, chromedp.KeyEvent("\r"))
	browser.Until(t, ctx, "the recorded hour plays", `document.querySelector('dialog video')?.currentTime > 1`)
	browser.Screenshot(t, ctx, "recordings")
	browser.Do(t, ctx, chromedp.KeyEvent("\x1b"))
	browser.Until(t, ctx, "Escape closes the recordings", `!document.querySelector('dialog')`)

	recovers(t, ctx, d)
	savedHourPlays(t, ctx, d)

	// A camera that goes wrong says so in a word.
	file := filepath.Join(d.dir, "secrets", "gate", "cameras", "password")
	if err := os.WriteFile(file, []byte("wrong\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.commit("sites/gate/zz-other.cue", "package site\n\nsite: cameras: south: transport: \"udp\"\n")
	browser.Until(t, ctx, "the wrong password is said", `/password/i.test(document.querySelector('[data-camera="gate/south"] .word').textContent)`)
	browser.Screenshot(t, ctx, "unauthorized")
	d.stop()
}

// accessible runs axe-core's WCAG 2.1 A and AA rules over the page.
func accessible(t *testing.T, ctx context.Context, what string) {
	t.Helper()
	axe, err := os.ReadFile("../page/node_modules/axe-core/axe.min.js")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("axe-core is missing: make page installs it: %v", err)
		}
		t.Skip("axe-core is missing: make page installs it")
	}
	browser.Do(t, ctx, chromedp.Evaluate[chromedp.Void](string(axe)))
	found, err := chromedp.Run(ctx, chromedp.Evaluate[json.RawMessage](`axe.run(document, {
		runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] }).then(r => r.violations.map(v =>
		v.id + ': ' + v.help + ' ' + v.nodes.map(n => n.html.slice(0, 160)).join(' | ')))`, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	var violations []string
	if err := json.Unmarshal(found, &violations); err != nil {
		t.Fatal(fmt.Errorf("%w: %s", err, found))
	}
	if len(violations) > 0 {
		t.Errorf("%s: %s", what, strings.Join(violations, "\n"))
	}
}
