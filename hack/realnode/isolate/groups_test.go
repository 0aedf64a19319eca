package isolate

import (
	"os"
	"path/filepath"
	"testing"
)

// TestGroupOfThisProcess reads what kernels say in the three ways to mount control groups.
func TestGroupOfThisProcess(t *testing.T) {
	t.Parallel()
	const lines = "12:name=systemd:/init.scope\n4:memory:/a/b\n2:cpu,cpuacct:/c\n0::/unified\n"
	for _, c := range []struct {
		kind, super  string
		own, options string
		found        bool
	}{
		{"cgroup", "rw,memory", "/a/b", "memory", true},
		{"cgroup", "rw,cpu,cpuacct", "/c", "cpu,cpuacct", true},
		{"cgroup", "rw,xattr,name=systemd", "/init.scope", "none,name=systemd", true},
		{"cgroup2", "rw", "/unified", "", true},
		{"cgroup", "rw,pids", "", "", false},
	} {
		h := hierarchy{kind: c.kind}
		own, found := h.group(lines, c.super)
		if own != c.own || found != c.found || h.options != c.options {
			t.Errorf("%s %s: %q %q %t", c.kind, c.super, own, h.options, found)
		}
	}
	h := hierarchy{kind: "cgroup"}
	if own, found := h.group("no line\n", "rw,memory"); found {
		t.Errorf("found %q in nothing", own)
	}
}

func TestRemoveTree(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "group")
	if err := os.MkdirAll(filepath.Join(root, "a", "b"), 0o755); err != nil {
		t.Fatal(err)
	}
	if !removeTree(root) {
		t.Error("not removed")
	}
	if _, err := os.Stat(root); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
	if !removeTree(root) {
		t.Error("what is not there cannot be removed?")
	}
}

// TestForeignFoldersStay: only ours are removed, and only those that nobody holds.
func TestForeignFoldersStay(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	path := func(name string) string { return filepath.Join(parent, name) }
	for _, name := range []string{"other-1", prefix + "held", prefix + "left", prefix + "new"} {
		if err := os.Mkdir(path(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	held, err := lock(filepath.Join(path(prefix+"held"), lockFile), os.O_CREATE)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	left, err := lock(filepath.Join(path(prefix+"left"), lockFile), os.O_CREATE)
	if err != nil {
		t.Fatal(err)
	}
	left.Close()
	removeOld(parent)
	for name, stays := range map[string]bool{"other-1": true, prefix + "held": true, prefix + "left": false, prefix + "new": true} {
		if _, err := os.Stat(path(name)); os.IsNotExist(err) == stays {
			t.Errorf("%s: %v, want it to stay: %t", name, err, stays)
		}
	}
}
