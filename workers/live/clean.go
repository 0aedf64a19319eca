package live

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// segmentName is what gohlslib calls its segments: nothing else is ever removed.
var segmentName = regexp.MustCompile(`^[0-9a-f]{12}_(video|audio)\d+_seg\d+\.mp4$`)

// Clean removes from dir (Options.Dir) the segments that a killed process left there.
func Clean(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("cleaning the folder of live segments: %w", err)
	}
	for _, e := range entries {
		if !segmentName.MatchString(e.Name()) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("cleaning the folder of live segments: %w", err)
		}
	}
	return nil
}
