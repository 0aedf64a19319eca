package archive

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// tiny mounts a file system of size bytes.
func tiny(t *testing.T, size string) string {
	if os.Geteuid() != 0 {
		t.Skip("mounting a small file system needs root; the injected full disk of TestFaultAtEveryStep runs anyway")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("this container may not mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestFullDisk records for hours onto a disk that holds a few minutes.
func TestFullDisk(t *testing.T) {
	b := newBenchIn(t, filepath.Join(tiny(t, "4m"), "gate", "north"))
	b.o.Policy = Policy{Window: 3, MinFree: -1}
	b.open()
	var all []Entry
	for range 3 {
		all = append(all, b.hours(1, 150, 30_000)...)
		b.check(false)
	}
	if d := b.dropped(ReasonFull); d.Segments == 0 {
		t.Fatalf("13.5 MB on 4 MB: dropped %+v", d)
	}
	found := b.scan()
	if len(found) < 80 || found[len(found)-1].Seq != all[449].Seq {
		t.Errorf("%d segments are left, to %d", len(found), found[len(found)-1].Seq)
	}
	b.close()
	b.open().record(20, 30_000)
	b.close()
	b.open().close() // puts in order what the full disk left undone
	b.check(true)
}

// TestFullOfOthers: nothing to drop but the live window; it says so, keeps what
// it has, and goes on when there is room again.
func TestFullOfOthers(t *testing.T) {
	root := tiny(t, "1m")
	b := newBenchIn(t, filepath.Join(root, "north"))
	b.o.Policy = Policy{Window: 3, MinFree: -1}
	b.open()
	before := b.record(10, 5000)
	other := filepath.Join(root, "other")
	if err := fill(other); err != nil {
		t.Fatal(err)
	}
	var err error
	for range 40 {
		if _, err = b.try(60_000); err != nil { // more than dropping one makes room for
			break
		}
		if ferr := fill(other); ferr != nil {
			t.Fatal(ferr)
		}
	}
	mustBe(t, err, ErrFull)
	mustBe(t, err, unix.ENOSPC)
	if left := len(b.scan()); left < 7 {
		t.Errorf("%d segments are left of the live window", left)
	}
	b.check(false)
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	b.w.Session(&Gap{Since: b.clock.now.UnixMilli(), Cause: "storage"})
	next := b.record(5, 5000)
	if err := next[0].follows(before[9]); err != nil || next[0].Gap == nil {
		t.Errorf("goes on with %+v: %v", next[0], err)
	}
	b.close()
	b.open().close()
	b.check(true)
}

// fill takes what is left of a file system.
func fill(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		if _, err := f.Write(make([]byte, 4096)); errors.Is(err, unix.ENOSPC) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// TestShortWrite: a write that ends in the middle goes on from there.
func TestShortWrite(t *testing.T) {
	b := newBench(t)
	b.o.Policy = Policy{Window: 3, MinFree: -1}
	b.open().hours(2, 10, 100)
	b.close()
	f := newFaults(0, errFullDisk)
	b.o.FS = f
	b.open()
	s, err := b.w.Create(b.clock.now)
	if err != nil {
		t.Fatal(err)
	}
	f.at = f.count + 1 // the write itself
	bufs := net.Buffers{box("moof", 100), box("mdat", 5000)}
	n, err := s.WriteBuffers(bufs)
	if err != nil || n != 5116 {
		t.Fatalf("wrote %d, %v", n, err)
	}
	if err := s.Commit(Entry{Duration: twoSeconds}); err != nil {
		t.Fatal(err)
	}
	if d := b.dropped(ReasonFull); d.Segments == 0 || s.Entry().Bytes != 5116 {
		t.Errorf("dropped %+v for %+v", d, s.Entry())
	}
	b.check(true)
}

// TestQuota: a quota that is used up is a full disk.
func TestQuota(t *testing.T) {
	if !isFull(&exec.Error{Err: unix.EDQUOT}) || isFull(unix.EIO) {
		t.Error("EDQUOT is not a full disk, or EIO is")
	}
}
