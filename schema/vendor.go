package schema

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// VendorDir is where stock CUE tools find the schema in a fleet's repository.
const VendorDir = "cue.mod/pkg/camfleet.dev/schema"

// Vendor makes the copy of the schema in the repository at root equal to the
// embedded one, and returns the files that it wrote or removed, relative to
// root. The compiler does not read the copy; `cue vet` and editors do.
func Vendor(root string) ([]string, error) {
	dir := filepath.Join(root, filepath.FromSlash(VendorDir))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("vendoring the schema: %w", err)
	}
	names, err := fs.Glob(FS, "*.cue")
	if err != nil {
		return nil, fmt.Errorf("vendoring the schema: %w", err)
	}
	changed, err := removeStale(dir, names)
	if err != nil {
		return changed, fmt.Errorf("vendoring the schema: %w", err)
	}
	for _, name := range names {
		wrote, err := vendorFile(dir, name)
		if err != nil {
			return changed, fmt.Errorf("vendoring the schema: %w", err)
		}
		if wrote {
			changed = append(changed, VendorDir+"/"+name)
		}
	}
	slices.Sort(changed)
	return changed, nil
}

// removeStale drops files that the schema no longer has: they would be part of
// the package.
func removeStale(dir string, keep []string) ([]string, error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var removed []string
	for _, e := range list {
		if !strings.HasSuffix(e.Name(), ".cue") || slices.Contains(keep, e.Name()) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return removed, err
		}
		removed = append(removed, VendorDir+"/"+e.Name())
	}
	return removed, nil
}

// vendorFile writes one file under a temporary name first, so that an editor
// never sees half of it.
func vendorFile(dir, name string) (wrote bool, err error) {
	want, err := FS.ReadFile(name)
	if err != nil {
		return false, err
	}
	to := filepath.Join(dir, name)
	have, err := os.ReadFile(to)
	if err == nil && bytes.Equal(have, want) {
		return false, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	temp := to + ".tmp"
	if err := os.WriteFile(temp, want, 0o644); err != nil {
		return false, err
	}
	return true, os.Rename(temp, to)
}
