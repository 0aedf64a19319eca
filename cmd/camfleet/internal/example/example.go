// Package example holds the example fleet of sites/ inside the program, so that
// `camfleet demo` works from the binary alone. sites/ may hold no Go and an
// embed cannot reach it from here, hence the archive; a test keeps them equal.
package example

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/tools/txtar"

	"camfleet.dev/schema"
)

//go:embed example.txtar
var archive []byte

// Write writes the example fleet into dir, which must be new or empty, with
// the schema vendored. edit may change a file's content on the way.
func Write(dir string, edit func(name string, content []byte) []byte) error {
	for _, f := range txtar.Parse(archive).Files {
		name := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return fmt.Errorf("writing the example fleet: %w", err)
		}
		if err := os.WriteFile(name, edit(f.Name, f.Data), 0o644); err != nil {
			return fmt.Errorf("writing the example fleet: %w", err)
		}
	}
	if _, err := schema.Vendor(dir); err != nil {
		return fmt.Errorf("writing the example fleet: %w", err)
	}
	return nil
}
