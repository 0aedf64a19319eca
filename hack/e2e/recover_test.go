package e2e

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"camfleet.dev/workers/archive"

	"camfleet.dev/hack/browser"
)

const northVideo = `document.querySelector('[data-camera="gate/north"] video')`

// recovers kills the worker while a viewer looks: the picture is back soon, as
// low latency, because the page sees that its stream is gone and does not wait
// until it stalls.
func recovers(t *testing.T, ctx context.Context, d *demo) {
	t.Helper()
	browser.Until(t, ctx, "it plays before the kill", fmt.Sprintf(`%s?.currentTime > 0 && (window.before ??= %[1]s.currentTime + 6) < %[1]s.currentTime`, northVideo))
	browser.Do(t, ctx, chromedp.Evaluate[chromedp.Void](`window.old = `+northVideo))
	killed := time.Now()
	killWorkers(t, d.dir)
	browser.Until(t, ctx, "another player shows the picture", fmt.Sprintf(`%s && %[1]s !== window.old && %[1]s.currentTime > 0 && %[1]s.readyState > 2`, northVideo))
	took := time.Since(killed)
	t.Logf("the picture is back %s after the worker was killed", took.Round(100*time.Millisecond))
	if took > 8*time.Second {
		t.Errorf("the picture came back %s after the worker was killed; its stream was gone at once", took)
	}
	browser.Until(t, ctx, "it is low latency still", `/Low/.test(document.querySelector('[data-camera="gate/north"] .actions button').textContent)`)
}

func killWorkers(t *testing.T, dir string) {
	t.Helper()
	killed := 0
	procs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range procs {
		line, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(line), "camfleet-worker\x00rtsp2hls") || !strings.Contains(string(line), dir) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		killed++
	}
	if killed == 0 {
		t.Fatal("no worker to kill")
	}
}

// savedHourPlays saves an hour of two sessions from the page: it lasts as long
// as what was recorded, and ffmpeg decodes it without a word.
func savedHourPlays(t *testing.T, ctx context.Context, d *demo) {
	t.Helper()
	dir := t.TempDir()
	browser.Do(t, ctx, chromedp.Evaluate[chromedp.Void](`(() => {
		const make = URL.createObjectURL;
		URL.createObjectURL = (o) => { if (o instanceof Blob && o.type === 'video/mp4') window.saved = o; return make.call(URL, o); };
		HTMLAnchorElement.prototype.click = () => {};
		document.querySelector('[data-camera="gate/north"] button[aria-label^="Recordings"]').click(); })()`))
	camera := archive.Dir(filepath.Join(d.dir, "archive", "gate", "north"))
	browser.Until(t, ctx, "the recordings are open", `!!document.querySelector('dialog[open] ul.hours li')`)
	seconds := recorded(t, camera)
	browser.Do(t, ctx, chromedp.Evaluate[chromedp.Void](`[...document.querySelectorAll('dialog button')].find(b => b.textContent === 'Download').click()`))
	browser.Until(t, ctx, "the hour is saved", `!!window.saved`)
	encoded, err := chromedp.Run(ctx, chromedp.Evaluate[string](`new Promise(done => { const r = new FileReader();
		r.onload = () => done(r.result.split(',')[1]); r.readAsDataURL(window.saved); })`, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	content, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	browser.Do(t, ctx, chromedp.KeyEvent("\x1b"))
	file := filepath.Join(dir, "hour.mp4")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("ffmpeg", "-v", "error", "-i", file, "-f", "null", "-").CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("ffmpeg on the saved hour: %v\n%.2000s", err, out)
	}
	out, err := exec.Command("ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	got, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	if err != nil || got < seconds-1 {
		t.Errorf("the saved hour lasts %s s, %v; %.1f s were recorded", strings.TrimSpace(string(out)), err, seconds)
	}
}

// recorded are the seconds in a camera's newest hour. It has two sessions, the
// worker having been killed, unless an hour has just begun.
func recorded(t *testing.T, dir archive.Dir) float64 {
	t.Helper()
	all, err := archive.Scan(t.Context(), dir, time.Time{}, time.Now().Add(time.Hour))
	if err != nil || len(all) == 0 {
		t.Fatalf("nothing is recorded: %v", err)
	}
	newest := filepath.Dir(all[len(all)-1].Path)
	var ticks int64
	for _, l := range all {
		if filepath.Dir(l.Path) == newest {
			ticks += int64(l.Duration)
		}
	}
	return float64(ticks) / 90000
}
