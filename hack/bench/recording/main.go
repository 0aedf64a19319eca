// Command recording measures what recording costs: camfleet-worker beside
// ffmpeg -c copy -f hls, in the same run, from the same simulated cameras.
//
//	go run ./hack/bench/recording [--cameras 1,20] [--seconds 60]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "recording:", err)
		os.Exit(1)
	}
}

// bench is one call of the program.
type bench struct {
	cameras string
	warmup  time.Duration
	length  time.Duration
	cache   string
	worker  string
	only    string
	out     io.Writer
	folder  string
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) > 0 && args[0] == "serve" {
		return serve(ctx, args[1:], out)
	}
	b := &bench{out: out}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	flags := flag.NewFlagSet("recording", flag.ContinueOnError)
	flags.StringVar(&b.cameras, "cameras", "1,20", "how many cameras, one measurement each")
	flags.DurationVar(&b.length, "for", time.Minute, "how long to measure")
	flags.DurationVar(&b.warmup, "warmup", 15*time.Second, "how long to run before")
	flags.StringVar(&b.cache, "cache", filepath.Join(cache, "camfleet-bench"), "folder for the generated clip")
	flags.StringVar(&b.worker, "worker", "", "camfleet-worker to measure (default: built now)")
	flags.StringVar(&b.only, "only", "", "measure only worker or ffmpeg")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if b.folder, err = os.MkdirTemp("", "camfleet-bench-"); err != nil {
		return fmt.Errorf("make a folder for the recordings: %w", err)
	}
	defer os.RemoveAll(b.folder)
	if err := b.prepare(ctx); err != nil {
		return err
	}
	var all []result
	for text := range strings.SplitSeq(b.cameras, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("--cameras %q: want numbers such as 1,20", b.cameras)
		}
		r, err := b.measure(ctx, n)
		if err != nil {
			return fmt.Errorf("%d cameras: %w", n, err)
		}
		all = append(all, r)
	}
	return report(out, all)
}

// prepare makes the clip and the worker when they are missing.
func (b *bench) prepare(ctx context.Context) error {
	clip := b.clip()
	if _, err := os.Stat(clip); errors.Is(err, os.ErrNotExist) {
		if err := makeClip(ctx, clip); err != nil {
			return err
		}
	}
	if b.worker != "" {
		return nil
	}
	b.worker = filepath.Join(b.folder, "camfleet-worker")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", b.worker, "camfleet.dev/cmd/camfleet-worker")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build camfleet-worker: %w\n%s", err, text)
	}
	return nil
}

func (b *bench) clip() string { return filepath.Join(b.cache, "1080p25-4M.ts") }

// makeClip draws 40 s of 1080p at 25 fps and a constant 4 Mbit/s, as a camera
// sends it: one key frame every 2 s, no B-frames.
func makeClip(ctx context.Context, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make the cache folder: %w", err)
	}
	temp := path + ".part"
	cmd := exec.CommandContext(ctx, "ffmpeg", "-hide_banner", "-loglevel", "error", "-y",
		"-f", "lavfi", "-i", "testsrc2=size=1920x1080:rate=25,noise=alls=12:allf=t", "-t", "40",
		"-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high", "-pix_fmt", "yuv420p",
		"-b:v", "4M", "-minrate", "4M", "-maxrate", "4M", "-bufsize", "4M", "-x264-params", "nal-hrd=cbr:keyint=50:min-keyint=50:scenecut=0:bframes=0",
		"-f", "mpegts", temp)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make the clip (is ffmpeg installed?): %w\n%s", err, text)
	}
	return os.Rename(temp, path)
}
