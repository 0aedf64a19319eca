package hls2mpeg

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// player shows one file and answers what colour it has where: the test seeks back
// and forth, which is where players go wrong with changed parameters.
const player = `<!doctype html><video id=v muted preload=auto src="/%s"></video><script>
const v = document.getElementById('v');
const wait = (name) => new Promise((ok, no) => {
  v.addEventListener(name, ok, {once: true});
  v.addEventListener('error', () => no(new Error(v.error && v.error.message)), {once: true});
});
async function colour(at) {
  const seeked = wait('seeked'); v.currentTime = at; await seeked;
  const c = document.createElement('canvas'); c.width = c.height = 1;
  const g = c.getContext('2d'); g.drawImage(v, 0, 0, 1, 1);
  const [r, b] = [g.getImageData(0, 0, 1, 1).data[0], g.getImageData(0, 0, 1, 1).data[2]];
  return (r > b ? 'red' : 'blue') + ' ' + v.videoWidth;
}
async function toEnd() {
  v.currentTime = 0; v.playbackRate = 4;
  const ended = wait('ended'); await v.play(); await ended; return v.currentTime;
}
</script>`

// browser opens a player with the file in Debian's Chromium.
func browser(t *testing.T, file string) context.Context {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			fmt.Fprintf(w, player, filepath.Base(file))
			return
		}
		http.ServeFile(w, r, file)
	}))
	t.Cleanup(server.Close)
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(tool(t, "chromium")), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"), chromedp.UserDataDir(t.TempDir()))
	ctx, stop := context.WithTimeout(context.Background(), 90*time.Second)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(func() { _ = chromedp.Cancel(ctx); stop() })
	if _, err := chromedp.Run(ctx, chromedp.Navigate(server.URL)); err != nil {
		t.Fatal(err)
	}
	return ctx
}

func evaluate[T any](t *testing.T, ctx context.Context, js string) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](js, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v", js, err)
	}
	return v
}

func colourSource(colour, size string, more ...string) []string {
	in := []string{"-f", "lavfi", "-i", "color=" + colour + ":size=" + size + ":rate=25:duration=4,noise=alls=5", "-c:v", "libx264", "-g", "50", "-pix_fmt", "yuv420p"}
	return append(in, more...)
}

// The picture's size and profile change, and change back, in one file. ffmpeg and
// Chromium both decode all of it, wherever they seek to.
func TestParametersChange(t *testing.T) {
	red := colourSource("red", "320x240", "-profile:v", "high", "-bf", "2")
	for _, tc := range []struct {
		name  string
		other []string
		width int
	}{
		{"profile", colourSource("blue", "320x240", "-profile:v", "baseline", "-bf", "0", "-refs", "1"), 320},
		{"size", colourSource("blue", "640x480", "-profile:v", "high", "-bf", "2"), 640},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := newCamera(t)
			a, b := encode(t, red...), encode(t, tc.other...)
			end := c.record(a, noon, "a", nil)
			end = c.record(b, end, "a", nil) // the camera's connection stays: no new session
			c.record(a, end, "c", nil)
			c.must(Day(t.Context(), c.options(), date))
			path := c.dir.DayFile(date)
			decodes(t, path)
			near(t, "the file", duration(t, path), 12, 1)
			m := c.manifest(date)
			if len(m.Files) != 1 || m.Files[0].Tracks[0].ParameterSets != 2 || m.Sessions != 2 {
				t.Errorf("manifest: %+v", m)
			}
			if got := packets(t, path, "v:0"); got != 300 {
				t.Errorf("%d frames, want 300", got)
			}
			ctx := browser(t, path)
			for _, at := range []float64{1, 5, 3, 7.5, 9, 7.9, 0.5, 11.9} {
				want := "red 320"
				if at > 4 && at < 8 {
					want = fmt.Sprintf("blue %d", tc.width)
				}
				if got := evaluate[string](t, ctx, fmt.Sprintf("colour(%v)", at)); got != want {
					t.Errorf("at %v s Chromium shows %s, want %s", at, got, want)
				}
			}
			near(t, "Chromium plays to", evaluate[float64](t, ctx, "toEnd()"), 12, 1)
		})
	}
}

// The same with H.265, which Debian's Chromium cannot decode.
func TestParametersChangeH265(t *testing.T) {
	t.Parallel()
	source := func(size string) stream {
		return encode(t, "-f", "lavfi", "-i", "testsrc=rate=25:duration=2:size="+size, "-c:v", "libx265",
			"-x265-params", "log-level=error:keyint=50:min-keyint=50", "-tag:v", "hvc1")
	}
	c := newCamera(t)
	end := c.record(source("320x240"), noon, "a", nil)
	end = c.record(source("480x360"), end, "b", nil)
	c.record(source("320x240"), end, "c", nil)
	c.must(Day(t.Context(), c.options(), date))
	path := c.dir.DayFile(date)
	decodes(t, path)
	near(t, "the file", duration(t, path), 6, 1)
	sums := frames(t, path, "v:0")
	if len(sums) != 150 || sums[0] != sums[100] || sums[49] != sums[149] {
		t.Errorf("%d frames", len(sums))
	}
}
