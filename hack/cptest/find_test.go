package cptest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"camfleet.dev/hack/daemon"
)

// TestAnEndByItselfIsTold: waiting ends at once, with the component's last words, and so does Close.
func TestAnEndByItselfIsTold(t *testing.T) {
	t.Parallel()
	p := &daemon.Process{
		Name: "etcd", Path: "/bin/sh", Args: []string{"-c", "echo unknown flag >&2; exit 3"},
		Env: []string{"PATH=/usr/bin:/bin"}, Log: filepath.Join(t.TempDir(), "log"),
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	c := &Cluster{processes: map[Component]*daemon.Process{Etcd: p}}
	err := c.poll(bounded(t), "etcd is healthy", func(context.Context) error { return errors.New("not yet") })
	for _, err := range []error{err, c.Close()} {
		if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "unknown flag") {
			t.Errorf("the error is %v", err)
		}
	}
}

func TestSearchPrefersAssets(t *testing.T) {
	t.Parallel()
	assets, built := t.TempDir(), t.TempDir()
	if _, err := search([]string{"", built}); !errors.Is(err, ErrNotBuilt) {
		t.Errorf("with nothing there: %v", err)
	}
	touch := func(dir string, names ...Component) {
		for _, n := range names {
			if err := os.WriteFile(filepath.Join(dir, string(n)), nil, 0o700); err != nil {
				t.Fatal(err)
			}
		}
	}
	touch(assets, Etcd, APIServer, kubectl) // what envtest's folder holds
	touch(built, append([]Component{kubectl, stages}, order...)...)
	found, err := search([]string{assets, built})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[Component]string{Etcd: assets, kubectl: assets, Scheduler: built, Kwok: built, stages: built} {
		if got := filepath.Dir(found[name]); got != want {
			t.Errorf("%s is from %s, want %s", name, got, want)
		}
	}
}

func TestReservedPortsDiffer(t *testing.T) {
	t.Parallel()
	seen := map[int]bool{}
	for range 50 {
		port, held, err := reserve("127.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { held.Close() })
		if seen[port] || port < firstPort || port >= lastPort {
			t.Errorf("port %d", port)
		}
		seen[port] = true
	}
}
