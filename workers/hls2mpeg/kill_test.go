package hls2mpeg

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// kill -9 in the middle leaves no file under a final name and no lock; the next
// run makes the day.
func TestKill(t *testing.T) {
	c := newCamera(t)
	c.record(plain(t, 10), noon, "a", nil)
	for _, at := range []int{1, 50_000, 100_000} {
		cmd := childCommand(t, c.dir, fmt.Sprintf("HLS2MPEG_TEST_STALL=%d", at))
		out, err := cmd.StdoutPipe()
		c.must(err)
		c.must(cmd.Start())
		if line, err := bufio.NewReader(out).ReadString('\n'); line != "stalled\n" {
			t.Fatalf("child: %q, %v", line, err)
		}
		c.must(cmd.Process.Kill())
		_ = cmd.Wait()
		for _, name := range names(t, c) {
			if !strings.HasSuffix(name, partSuffix) {
				t.Errorf("killed at byte %d: %s is there", at, name)
			}
		}
	}
	if u := runChild(t, c.dir); u.Seconds == 0 {
		t.Errorf("%+v", u)
	}
	if got, want := names(t, c), []string{"2026-11-22.json", "2026-11-22.mp4"}; !slices.Equal(got, want) {
		t.Errorf("after the next run: %v", got)
	}
	decodes(t, c.dir.DayFile(date))
}

// kill -9 between the file and its manifest: the file is made again.
func TestKillBeforeManifest(t *testing.T) {
	t.Parallel()
	c := newCamera(t)
	c.every(noon, noon.Add(time.Minute))
	c.must(Day(t.Context(), c.options(), date))
	want, err := os.ReadFile(c.dir.DayFile(date))
	c.must(err)
	c.must(os.Remove(c.dir.Manifest(date)))
	c.must(os.WriteFile(c.dir.DayFile(date), want[:100], 0o644))
	extra := partPath(c.dir.DayFile(date), 1)
	c.must(os.WriteFile(extra, nil, 0o644))
	c.must(Day(t.Context(), c.options(), date))
	got, err := os.ReadFile(c.dir.DayFile(date))
	c.must(err)
	if string(got) != string(want) {
		t.Error("the file made again differs")
	}
	if _, err := os.Stat(extra); err == nil {
		t.Errorf("%s of the attempt before is still there", filepath.Base(extra))
	}
}

// Whatever fails, nothing half-made is left.
func TestFailureLeavesNothing(t *testing.T) {
	t.Parallel()
	c := newCamera(t)
	c.record(plain(t, 6), noon, "a", nil)
	o := c.options()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o.Progress = func(done, total int64) {
		if done > total/2 {
			cancel()
		}
	}
	if err := Day(ctx, o, date); err == nil || !strings.Contains(err.Error(), "canceled") {
		t.Errorf("cancelled: %v", err)
	}
	if left := names(t, c); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// Retention drops a segment after it was planned: the plan is made again.
func TestRetentionWhileCopying(t *testing.T) {
	t.Parallel()
	c := newCamera(t)
	c.record(plain(t, 6), noon, "a", nil)
	o := c.options()
	o.Progress = func(int64, int64) { _ = os.Remove(c.dir.Segment(noon.Add(4 * time.Second))) }
	c.must(Day(t.Context(), o, date))
	decodes(t, c.dir.DayFile(date))
	if m := c.manifest(date); len(m.Segments) != 2 || len(m.Skipped) != 1 || m.Skipped[0].Reason != "the file is gone" {
		t.Errorf("manifest: %+v", m)
	}
	near(t, "the file", duration(t, c.dir.DayFile(date)), 4, 1)
}
