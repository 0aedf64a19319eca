package main

import (
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"

	"camfleet.dev/hack/image"
)

// TestRun writes and pushes the image of this machine.
func TestRun(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	to := strings.TrimPrefix(server.URL, "http://") + "/camfleet:1"
	path := filepath.Join(t.TempDir(), "camfleet.tar")
	var out strings.Builder
	args := []string{"--platforms", image.Host(), "--version", "1", "--output", path, "--push", to, "--insecure"}
	if err := run(t.Context(), args, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	digest, _, _ := strings.Cut(out.String(), "\n")
	for _, want := range []string{"sha256:", image.Host(), " MB", "written to " + path, "pushed as " + strings.TrimSuffix(to, ":1") + "@" + digest} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it says nothing of %q:\n%s", want, out.String())
		}
	}
	if info, err := os.Stat(path); err != nil || info.Size() < 5<<20 {
		t.Errorf("the file: %v, %v", info, err)
	}
}

// TestWrongCall is answered before anything is built.
func TestWrongCall(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{}, {"--version", "1"}, {"--output", "x.tar", "more"}, {"--what"}, {"--output", "x.tar", "--platforms", "plan9/386"}} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}
