package e2e

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"camfleet.dev/workers/archive"
)

// kills is how often the whole demo is killed; the writer's own test kills it
// at each of its steps and many more times.
const kills = 5

// TestKilled kills the demo with SIGKILL, again and again: what was journalled
// can be read, players can go on, and nothing is left running.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	var newest uint64
	for round := range kills {
		d := startDemo(t, dir)
		d.allLive(exampleCameras, 40*time.Second)
		d.waitFor("a segment of this round", 20*time.Second, func(status) bool { return mediaSequence(t, dir) > newest })
		// Where in a segment this falls is left to chance, on purpose.
		<-time.After(time.Duration(round) * 311 * time.Millisecond)
		d.kill()
		workersEnd(t, dir)
		seq := mediaSequence(t, dir)
		if seq <= newest {
			t.Errorf("round %d: the playlist's media sequence is %d after %d: players would freeze", round, seq, newest)
		}
		newest = seq
	}
	d := startDemo(t, dir)
	d.allLive(exampleCameras, 40*time.Second)
	d.waitFor("a segment after the last kill", 20*time.Second, func(status) bool { return mediaSequence(t, dir) > newest })
	d.stop()
	cameras, err := filepath.Glob(filepath.Join(dir, "archive", "*", "*"))
	if err != nil || len(cameras) != exampleCameras {
		t.Fatalf("archives %v, %v, want %d", cameras, err, exampleCameras)
	}
	for _, c := range cameras {
		checkArchive(t, archive.Dir(c))
	}
	exportAndDecode(t, dir)
}

// workersEnd waits until no camfleet-worker of this state folder runs.
func workersEnd(t *testing.T, dir string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		left := processesWith(dir)
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("these still run after their parent was killed: %v", left)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// processesWith lists the command lines that name a folder.
func processesWith(dir string) []string {
	var found []string
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err == nil && strings.Contains(string(b), dir) && strings.Contains(string(b), "camfleet-worker") {
			found = append(found, strings.ReplaceAll(string(b), "\x00", " "))
		}
	}
	return found
}

var sequenceTag = regexp.MustCompile(`#EXT-X-MEDIA-SEQUENCE:(\d+)`)

// mediaSequence is that of the newest segment in a camera's live playlist.
func mediaSequence(t *testing.T, dir string) uint64 {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "archive", "gate", "north", archive.LiveName))
	if err != nil {
		t.Fatal(err)
	}
	m := sequenceTag.FindSubmatch(b)
	if m == nil {
		t.Fatalf("no media sequence in\n%s", b)
	}
	n, err := strconv.ParseUint(string(m[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n + uint64(strings.Count(string(b), "#EXTINF"))
}

// journalled is how much a camera's journal says is recorded, in how many sessions.
func journalled(t *testing.T, dir archive.Dir) (total time.Duration, sessions int) {
	t.Helper()
	now := time.Now()
	entries, err := archive.Scan(t.Context(), dir, now.Add(-time.Hour), now)
	if err != nil {
		t.Fatal(err)
	}
	last := ""
	for _, e := range entries {
		total += e.Length()
		if e.Session != last {
			sessions++
		}
		last = e.Session
	}
	return total, sessions
}

func checkArchive(t *testing.T, dir archive.Dir) {
	t.Helper()
	report, err := archive.Check(t.Context(), dir)
	if err != nil {
		t.Errorf("%s: %v", dir, err)
		return
	}
	if report.Segments == 0 || report.Err() != nil {
		t.Errorf("%s: %d segments, problems %v", dir, report.Segments, report.Err())
	}
}

// exportAndDecode saves everything recorded of a camera; ffmpeg must decode it
// without a word.
func exportAndDecode(t *testing.T, dir string) {
	t.Helper()
	clip := filepath.Join(t.TempDir(), "clip.mp4")
	out, err := exec.Command(built.Path(t, "camfleet"), "export", "gate/north", "--dir", dir, "--from", "-1h", "-o", clip).CombinedOutput()
	if err != nil {
		t.Fatalf("export: %v\n%s", err, out)
	}
	t.Logf("export: %s", out)
	recorded, sessions := journalled(t, archive.Dir(filepath.Join(dir, "archive", "gate", "north")))
	probed, err := exec.Command("ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", clip).Output()
	if err != nil {
		t.Fatal(err)
	}
	seconds, err := strconv.ParseFloat(strings.TrimSpace(string(probed)), 64)
	if err != nil {
		t.Fatal(err)
	}
	oneFrame := 0.040
	if diff := math.Abs(seconds - recorded.Seconds()); diff > oneFrame*float64(sessions) || sessions <= kills {
		t.Errorf("the clip has %.3f s, %d sessions recorded %.3f s", seconds, sessions, recorded.Seconds())
	}
	said, err := exec.Command("ffmpeg", "-v", "error", "-i", clip, "-f", "null", "-").CombinedOutput()
	if err != nil || len(said) > 0 {
		t.Errorf("ffmpeg: %v\n%s", err, said)
	}
}
