package hls2mpeg

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"camfleet.dev/workers/archive"
)

// childEnv makes the test binary a program that makes one day file, so that
// tests can kill it and measure it.
const childEnv = "HLS2MPEG_TEST_DAY"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		os.Exit(child(archive.Dir(dir)))
	}
	os.Exit(m.Run())
}

// usage is what a child says of itself.
type usage struct {
	Seconds  float64 // wall clock
	CPU      float64 // seconds, user and system
	PeakRSS  int64   // kB: VmHWM, since Go's fork counts the parent's memory in rusage
	ErrorMsg string
}

// child makes the day file. With HLS2MPEG_TEST_STALL it stops for ever once as
// many bytes are copied, and says so: to be killed there.
func child(dir archive.Dir) int {
	o := Options{Dir: dir, Location: time.UTC, Log: slog.New(slog.DiscardHandler)}
	if stall := os.Getenv("HLS2MPEG_TEST_STALL"); stall != "" {
		var at int64
		fmt.Sscan(stall, &at)
		o.Progress = func(done, _ int64) {
			if done >= at {
				fmt.Println("stalled")
				select {}
			}
		}
	}
	began := time.Now()
	_, err := Run(context.Background(), o)
	u := usage{Seconds: time.Since(began).Seconds(), PeakRSS: peakRSS()}
	if err != nil {
		u.ErrorMsg = err.Error()
	}
	_ = json.NewEncoder(os.Stdout).Encode(u)
	return 0
}

func peakRSS() (kB int64) {
	b, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			fmt.Sscan(rest, &kB)
		}
	}
	return kB
}

// childCommand is the test binary as that program.
func childCommand(t testing.TB, dir archive.Dir, env ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), append(env, childEnv+"="+string(dir))...)
	cmd.Stderr = os.Stderr
	return cmd
}

// runChild lets a child make all day files of an archive.
func runChild(t testing.TB, dir archive.Dir) (u usage) {
	t.Helper()
	cmd := childCommand(t, dir)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &u); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if u.ErrorMsg != "" {
		t.Fatal(u.ErrorMsg)
	}
	u.CPU = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	return u
}
