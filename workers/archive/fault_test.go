package archive

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// story is a writer's life in which every step that there is happens: a start
// in a used folder, segments, a new session, new parameters, a full hour, both
// ways of dropping, and the end. It returns what the writer said is recorded.
func story(b *bench, f *faults) (acked []Entry) {
	b.o.FS = f
	b.o.Policy = Policy{Window: 3, MinFree: -1, Segments: Limits{Bytes: 14 * 1000}}
	w, err := Open(context.Background(), b.o)
	if err != nil {
		return nil
	}
	defer w.Close()
	b.w = w
	record := func(n int) {
		for range n {
			if e, err := b.try(1000); err == nil {
				acked = append(acked, e)
			} else {
				w.Session(&Gap{Since: b.clock.now.UnixMilli(), Cause: "storage"})
			}
		}
	}
	_, _ = w.Init(initData("one"))
	record(3)
	w.Session(nil)
	record(1)
	_, _ = w.Init(initData("two"))
	record(1)
	b.clock.advance(time.Hour)
	_ = w.Maintain(context.Background())
	record(5)
	return acked
}

// used prepares a folder with two hours in it.
func used(t *testing.T) *bench {
	b := newBenchIn(t, memoryDir(t))
	b.clock.now = began.Add(-time.Hour)
	b.o.FS = newFaults(0, nil)
	b.open().record(8, 1000)
	b.close()
	b.clock.now = began
	return b
}

// TestFaultAtEveryStep lets each step of a writer's life fail in each way, and
// looks at what is left: before anybody tidies up, and after the next start.
func TestFaultAtEveryStep(t *testing.T) {
	dry := newFaults(0, nil)
	want := story(used(t), dry)
	if len(want) != 10 {
		t.Fatalf("the story alone records %d segments", len(want))
	}
	for _, mode := range []struct {
		name  string
		err   error
		power bool
	}{
		{"failed", unix.EIO, false},
		{"full", errFullDisk, false},
		{"killed", errCrashed, false},
		{"powercut", errCrashed, true},
	} {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			for _, at := range steps(dry.trace) {
				if mode.err != unix.EIO && reads(dry.trace[at-1]) {
					continue // the same as before the next step that changes something
				}
				name := fmt.Sprintf("%d-%s", at, dry.trace[at-1])
				t.Run(name, func(t *testing.T) { faultAt(t, at, mode.err, mode.power) })
			}
		})
	}
}

// steps numbers the steps to try: of those of one name the first, the last and
// some between; all of them when CAMFLEET_SWEEP is set.
func steps(trace []string) []int {
	of := map[string][]int{}
	for i, op := range trace {
		of[op] = append(of[op], i+1)
	}
	var chosen []int
	for _, all := range of {
		n := min(len(all), 4)
		if os.Getenv("CAMFLEET_SWEEP") != "" {
			n = len(all)
		}
		for i := range n {
			chosen = append(chosen, all[i*(len(all)-1)/max(1, n-1)])
		}
	}
	slices.Sort(chosen)
	return chosen
}

// reads tells whether a step changes nothing on disk.
func reads(op string) bool {
	for _, s := range []string{".read", ".stat", ".list", ".close"} {
		if strings.HasSuffix(op, s) {
			return true
		}
	}
	return op == "list"
}

func faultAt(t *testing.T, at int, fault error, power bool) {
	b := used(t)
	f := newFaults(at, fault)
	acked := story(b, f)
	if b.w != nil {
		_ = b.w.store.lock.file.Close() // a dead process holds no lock
	}
	if power {
		f.powerCut()
	} else {
		b.check(false)
	}
	b.o.FS = newFaults(0, nil)
	b.open()
	if err := b.w.Maintain(context.Background()); err != nil {
		t.Fatal(err)
	}
	next := b.record(1, 1000)[0]
	b.verify(acked, next)
	b.close()
	b.check(true)
}

// verify looks for what was acknowledged: from the oldest that is left on,
// nothing may be missing, and what comes next goes on.
func (b *bench) verify(acked []Entry, next Entry) {
	b.t.Helper()
	found := b.scan()
	have := map[uint64]Entry{}
	for _, l := range found {
		have[l.Seq] = l.Entry
	}
	for _, e := range acked {
		if got, ok := have[e.Seq]; e.Start >= found[0].Start && (!ok || got.Start != e.Start || got.Bytes != e.Bytes) {
			b.t.Errorf("sequence %d was acknowledged and is lost; there are %d to %d", e.Seq, found[0].Seq, next.Seq)
		}
		if err := next.follows(e); err != nil {
			b.t.Errorf("does not go on: %v", err)
		}
	}
	if len(acked) > 7 && len(found) < 7 {
		b.t.Errorf("only %d segments are left: the live window was dropped", len(found))
	}
}

// TestStoryDoesEverything makes sure that the story above is worth telling.
func TestStoryDoesEverything(t *testing.T) {
	f := newFaults(0, nil)
	b := used(t)
	story(b, f)
	seen := map[string]bool{}
	for _, op := range f.trace {
		seen[op] = true
	}
	for _, op := range []string{
		"segment.open", "segment.write", "segment.sync", "segment.rename", "segment.folder", "init.rename",
		"journal.write", "journal.sync", "journal.replace.rename", "hour.playlist.write", "hour.playlist.rename",
		"live.rename", "index.rename", "drop.rename", "drop.segment", "trash.remove",
	} {
		if !seen[op] {
			t.Errorf("%s never happens", op)
		}
	}
	if t.Failed() {
		t.Log(f.trace)
	}
	if len(b.drops) == 0 || errors.Is(f.err, errCrashed) {
		t.Error("nothing was dropped")
	}
}
