package example

import (
	"bytes"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "write example.txtar from sites/")

const sites = "../../../../sites"

// TestGeneratedExample keeps the embedded example equal to sites/.
func TestGeneratedExample(t *testing.T) {
	want := &txtar.Archive{Comment: []byte("The example fleet, from sites/. Made by `go test ./cmd/camfleet/internal/example -update`; do not edit.\n")}
	err := fs.WalkDir(os.DirFS(sites), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(name, "cue.mod/pkg/") {
			return err
		}
		b, err := os.ReadFile(filepath.Join(sites, name))
		want.Files = append(want.Files, txtar.File{Name: name, Data: b})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("example.txtar", txtar.Format(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(archive, txtar.Format(want)) {
		t.Error("example.txtar is not what sites/ holds: run the test with -update")
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	err := Write(dir, func(name string, content []byte) []byte {
		return bytes.ReplaceAll(content, []byte(":18554/"), []byte(":19999/"))
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "sites/gate/cameras.cue"))
	if err != nil || !bytes.Contains(b, []byte(":19999/")) || bytes.Contains(b, []byte(":18554/")) {
		t.Errorf("cameras.cue was not edited: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "cue.mod/pkg/camfleet.dev/schema")); err != nil {
		t.Errorf("the schema is not vendored: %v", err)
	}
}
