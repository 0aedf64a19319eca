package archive

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// childDir is the environment variable that makes the test binary a writer,
// which TestKill kills.
const childDir = "CAMFLEET_ARCHIVE_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := childWriter(Dir(dir)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// childWriter records as fast as it can, in an archive's time of half a minute
// per segment, and prints each entry that was acknowledged.
func childWriter(dir Dir) error {
	now := began
	w, err := Open(context.Background(), Options{
		Dir: dir, Log: quiet(), Now: func() time.Time { return now },
		Policy: Policy{Window: 3, MinFree: -1, Segment: 30 * time.Second, Segments: Limits{Bytes: 900_000, Age: 2 * time.Hour}},
	})
	if err != nil {
		return err
	}
	if last, ok := w.Last(); ok {
		now = last.End()
	}
	out := json.NewEncoder(os.Stdout)
	for i := 0; ; i++ {
		if _, err := w.Init(initData(fmt.Sprint(i / 40 % 2))); err != nil {
			return err
		}
		s, err := w.Create(now)
		if err != nil {
			return err
		}
		if _, err := s.WriteBuffers(fragment(4000 + rand.IntN(8000))); err != nil {
			return err
		}
		if err := s.Commit(Entry{Duration: 30 * Timescale, Frames: 750}); err != nil {
			return err
		}
		now = now.Add(30 * time.Second)
		if err := out.Encode(s.Entry()); err != nil {
			return err
		}
	}
}

// TestKill kills a writer, as kill -9 does, at sixty random moments.
func TestKill(t *testing.T) {
	kills := 60
	if testing.Short() {
		kills = 10
	}
	dir := Dir(filepath.Join(t.TempDir(), "gate", "north"))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var last Entry
	total := 0
	for n := 0; n < kills && ctx.Err() == nil; n++ {
		acked := killed(ctx, t, dir, n > 0 && n%3 == 0, time.Duration(rand.IntN(60_000))*time.Microsecond)
		report, err := Check(ctx, dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := report.Err(); err != nil {
			t.Errorf("after kill %d: %v", n+1, err)
		}
		for _, e := range acked {
			if total > 0 {
				if err := e.follows(last); err != nil {
					t.Errorf("after kill %d: %v", n, err)
				}
			}
			last = e
			total++
		}
		if len(acked) > 0 && report.Last.Seq < last.Seq {
			t.Errorf("after kill %d: %d was acknowledged, the journal ends at %d", n+1, last.Seq, report.Last.Seq)
		}
		if t.Failed() {
			return
		}
		last = report.Last
	}
	t.Logf("%d segments were acknowledged over %d kills", total, kills)
	if ctx.Err() != nil || total < kills {
		t.Errorf("%d segments over %d kills: %v", total, kills, ctx.Err())
	}
	b := newBench(t)
	b.o.Dir = dir
	b.open().maintain()
	b.close()
	b.check(true)
}

// killed runs a writer, kills it some time after its first segment, or early:
// after its start, and returns what it acknowledged.
func killed(ctx context.Context, t *testing.T, dir Dir, early bool, after time.Duration) (acked []Entry) {
	t.Helper()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+string(dir))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := func() { _ = cmd.Process.Kill() }
	if early {
		defer time.AfterFunc(after, kill).Stop()
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if len(acked) == 0 && !early {
			defer time.AfterFunc(after, kill).Stop()
		}
		var e Entry
		if json.Unmarshal(lines.Bytes(), &e) == nil { // the last line may be cut off
			acked = append(acked, e)
		}
	}
	_ = cmd.Wait() // killed
	if len(acked) == 0 && !early && ctx.Err() == nil {
		t.Fatal("the writer recorded nothing")
	}
	return acked
}
