package disk_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"camfleet.dev/reconciler/host/internal/disk"
)

var errCrash = errors.New("the power failed")

// TestCrashAtEachStep ends the world at each step of replacing and removing a
// file: what is there afterwards is the old content or the new, and after
// Sweep nothing else.
func TestCrashAtEachStep(t *testing.T) {
	t.Parallel()
	for _, before := range []string{"", "the old content"} {
		for crash := range 5 {
			root := t.TempDir()
			path := filepath.Join(root, "a", "b.json")
			if before != "" {
				if err := (disk.Disk{}).Replace(path, []byte(before)); err != nil {
					t.Fatal(err)
				}
			}
			step := 0
			d := disk.Disk{Fault: func(string, string) error {
				if step++; step > crash {
					return errCrash
				}
				return nil
			}}
			if err := d.Replace(path, []byte("what is new")); !errors.Is(err, errCrash) {
				t.Fatalf("step %d: %v", crash, err)
			}
			if err := (disk.Disk{}).Sweep(root); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(path)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
			if s := string(got); s != before && s != "what is new" {
				t.Errorf("step %d: %q", crash, s)
			}
			entries, _ := os.ReadDir(filepath.Dir(path))
			if len(entries) > 1 {
				t.Errorf("step %d: left behind: %v", crash, entries)
			}
		}
	}
}

func TestRemove(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x")
	if err := (disk.Disk{}).Remove(path); err != nil {
		t.Errorf("what is gone already: %v", err)
	}
	if err := (disk.Disk{}).Replace(path, []byte("x")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", info, err)
	}
	d := disk.Disk{Fault: func(string, string) error { return errCrash }}
	if err := d.Remove(path); !errors.Is(err, errCrash) {
		t.Errorf("%v", err)
	}
	if err := (disk.Disk{}).Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if err := (disk.Disk{}).Sweep(filepath.Join(t.TempDir(), "nothing")); err != nil {
		t.Errorf("%v", err)
	}
}

func TestHints(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]string{
		syscall.ENOSPC: "free some space", syscall.EROFS: "read-only", syscall.EACCES: "belong to the user", syscall.EIO: "input/output",
	} {
		d := disk.Disk{Fault: func(string, string) error { return err }}
		got := d.Replace(filepath.Join(t.TempDir(), "x"), []byte("x"))
		if !errors.Is(got, err) || !strings.Contains(got.Error(), want) {
			t.Errorf("%v: %v", err, got)
		}
	}
}
