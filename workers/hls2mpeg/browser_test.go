package hls2mpeg

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// page shows one file and answers what colour it has where: the test seeks back
// and forth, which is where players go wrong with changed parameters.
const page = `<!doctype html><video id=v muted preload=auto src="/%s"></video><script>
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

// browser opens a page with the file in Debian's Chromium.
func browser(t *testing.T, file string) context.Context {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			fmt.Fprintf(w, page, filepath.Base(file))
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
	in := []string{"-f", "lavfi", "-i", "color=" + colour + ":size=" + size + ":rate=25:duration=6,noise=alls=5", "-c:v", "libx264", "-g", "50", "-pix_fmt", "yuv420p"}
	return append(in, more...)
}

func TestExperiment(t *testing.T) {
	if os.Getenv("E2X") == "" {
		t.Skip()
	}
	for _, tc := range []struct {
		name string
		b    []string
	}{
		{"profile", colourSource("blue", "320x240", "-profile:v", "baseline", "-bf", "0", "-refs", "1")},
		{"size", colourSource("blue", "640x480", "-profile:v", "high", "-bf", "2")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newCamera(t)
			end := c.record(encode(t, colourSource("red", "320x240", "-profile:v", "high", "-bf", "2")...), noon, "a", nil)
			end = c.record(encode(t, tc.b...), end, "b", nil)
			end = c.record(encode(t, colourSource("red", "320x240", "-profile:v", "high", "-bf", "2")...), end, "c", nil)
			if err := Day(t.Context(), c.options(), date); err != nil {
				t.Fatal(err)
			}
			t.Logf("%+v", c.manifest(date))
			decodes(t, c.dir.DayFile(date))
			ctx := browser(t, c.dir.DayFile(date))
			for _, at := range []float64{1, 7, 3, 9.5, 11.9, 13, 8.1, 0.5} {
				t.Log(at, evaluate[string](t, ctx, fmt.Sprintf("colour(%v)", at)))
			}
			t.Log(evaluate[float64](t, ctx, "toEnd()"))
		})
	}
}
