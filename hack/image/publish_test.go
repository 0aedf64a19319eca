package image

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// TestArchive reads back the file that is for networks without a registry.
func TestArchive(t *testing.T) {
	t.Parallel()
	index, err := built()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "camfleet.tar")
	for name, called := range map[string][2]string{
		"camfleet:1.2":               {"docker.io/library/camfleet:1.2", "1.2"},
		"10.0.0.5:5000/camfleet:1.2": {"10.0.0.5:5000/camfleet:1.2", "1.2"},
	} {
		if err := Write(index, name, path); err != nil {
			t.Fatal(err)
		}
		back, err := layout.ImageIndexFromPath(untar(t, path))
		if err != nil {
			t.Fatal(err)
		}
		outer, err := back.IndexManifest()
		if err != nil || len(outer.Manifests) != 1 {
			t.Fatalf("%v: %v", outer, err)
		}
		found := outer.Manifests[0]
		if want, _ := index.Digest(); found.Digest != want {
			t.Errorf("the file holds %s, want %s", found.Digest, want)
		}
		if got := [2]string{found.Annotations["io.containerd.image.name"], found.Annotations["org.opencontainers.image.ref.name"]}; got != called {
			t.Errorf("%s is called %v in the file, want %v", name, got, called)
		}
		inner, err := back.ImageIndex(found.Digest)
		if err != nil {
			t.Fatal(err)
		}
		for _, platform := range platforms() {
			unpack(t, of(t, inner, platform), t.TempDir())
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".image-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}

func untar(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dir, r := t.TempDir(), tar.NewReader(f)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, filepath.Clean("/"+h.Name))
		if h.Typeflag == tar.TypeDir {
			if err := os.MkdirAll(to, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		writeFile(t, to, r)
	}
}

// TestRefused: what is wrong is said before minutes of compiling, or by whom it was said.
func TestRefused(t *testing.T) {
	t.Parallel()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for what, c := range map[string]struct {
		ctx  context.Context
		o    Options
		want string
	}{
		"another system":     {t.Context(), Options{Platforms: []string{"windows/amd64"}}, "no platform of the image"},
		"no platform":        {t.Context(), Options{Platforms: []string{"a/b/c/d"}}, "no platform of the image"},
		"unknown processor":  {t.Context(), Options{Platforms: []string{"linux/z80"}}, "linux/z80"},
		"flags for the link": {t.Context(), Options{Platforms: []string{Host()}, Version: "1 -extld=/tmp/x"}, "is no version"},
		"no module":          {t.Context(), Options{Platforms: []string{Host()}, Dir: t.TempDir()}, "go build"},
		"cancelled":          {gone, Options{Platforms: []string{Host()}}, "canceled"},
	} {
		if _, err := Build(c.ctx, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", what, err, c.want)
		}
	}
}

func TestPushIsRefused(t *testing.T) {
	t.Parallel()
	index, err := built()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Push(t.Context(), index, "Not A Name", true); err == nil {
		t.Error("pushed to no name at all")
	}
	if _, err := Push(t.Context(), index, "127.0.0.1:1/camfleet:1", true); err == nil || !strings.Contains(err.Error(), "127.0.0.1:1/camfleet:1") {
		t.Errorf("pushing to nobody: %v", err)
	}
	path := filepath.Join(t.TempDir(), "missing", "image.tar")
	if err := Write(index, "camfleet:1", path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("writing into no folder: %v", err)
	}
}
