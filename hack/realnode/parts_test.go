package realnode

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestPack(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(file, []byte("run me"), 0o600); err != nil {
		t.Fatal(err)
	}
	packed, err := pack(map[string]string{"/usr/sbin/program": file, "/program": file})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for r := tar.NewReader(bytes.NewReader(packed)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
		content, err := io.ReadAll(r)
		if err != nil || h.Mode != 0o755 || h.Typeflag == tar.TypeReg && string(content) != "run me" {
			t.Errorf("%s: mode %o, %q, %v", h.Name, h.Mode, content, err)
		}
	}
	if want := []string{"program", "tmp", "usr", "usr/sbin", "usr/sbin/program"}; !slices.Equal(names, want) {
		t.Errorf("packed %v, want %v: a folder comes before what is in it", names, want)
	}
	if _, err := pack(map[string]string{"/x": "/does/not/exist"}); err == nil || !strings.Contains(err.Error(), "/does/not/exist") {
		t.Errorf("a missing file: %v", err)
	}
}

func TestLibraries(t *testing.T) {
	t.Parallel()
	files, err := withLibraries(t.Context(), "/bin/ls")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"/bin/ls", "libc.so", "ld-linux"} {
		if !slices.ContainsFunc(slices.Collect(keys(files)), func(p string) bool { return strings.Contains(p, want) }) {
			t.Errorf("no %s in %v", want, files)
		}
	}
	if _, err := withLibraries(t.Context(), "/does/not/exist"); err == nil {
		t.Error("a missing program has libraries")
	}
}

func keys(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// TestPodRanges: no two nodes give out the same address, nor one of a node.
func TestPodRanges(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{nodeAddress(0): true, nodeAddress(1): true, address: true}
	for node := range 3 {
		dir := t.TempDir()
		if err := writeCNI(dir, node); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(dir, "10-pods.conflist"))
		if err != nil {
			t.Fatal(err)
		}
		var config struct {
			Plugins []struct {
				IPAM struct {
					Ranges [][]struct{ RangeStart, RangeEnd string }
				}
			}
		}
		if err := json.Unmarshal(text, &config); err != nil {
			t.Fatal(err)
		}
		r := config.Plugins[0].IPAM.Ranges[0][0]
		prefix := "10.200." + strconv.Itoa(node+1) + "."
		if seen[r.RangeStart] || !strings.HasPrefix(r.RangeStart, prefix) || !strings.HasPrefix(r.RangeEnd, prefix) {
			t.Errorf("node %d has %+v", node, r)
		}
		seen[r.RangeStart] = true
	}
}

// TestForeignAddress: what would leave the machine is refused.
func TestForeignAddress(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("no program ip")
	}
	if err := isLocal(t.Context(), "127.0.0.1"); err != nil {
		t.Error(err)
	}
	if err := isLocal(t.Context(), "192.0.2.1"); err == nil {
		t.Error("192.0.2.1 is said to be here")
	}
}

func TestPoll(t *testing.T) {
	t.Parallel()
	count := 0
	if err := poll(t.Context(), "it counts", func(context.Context) error {
		if count++; count < 3 {
			return errors.New("not yet")
		}
		return nil
	}); err != nil || count != 3 {
		t.Errorf("%d, %v", count, err)
	}
	broken := errors.New("broken for good")
	if err := poll(t.Context(), "it works", func(context.Context) error { return stop(broken) }); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	err := poll(ctx, "it ends", func(context.Context) error { return broken })
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

// TestMissingIsNamed: whoever lacks something reads how to get it.
func TestMissingIsNamed(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	_, err := find(t.Context())
	if !errors.Is(err, errMissing) || !strings.Contains(err.Error(), "coredns (hack/realnode/build.sh makes it)") {
		t.Errorf("%v", err)
	}
	if _, err := lookUp("no-such-program"); err == nil {
		t.Error("found no-such-program")
	}
}
