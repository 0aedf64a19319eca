package hls2mpeg

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"camfleet.dev/workers/archive"
)

// Export makes one MP4 at path of what is recorded in [from, to): every segment
// that has a part of itself in there, whole, because a file has to begin at a key
// frame. It replaces path, at the end and at once. The manifest that it returns
// says what is in the file, and is written nowhere. Of Options it uses Dir, Log
// and Progress, and the rest for the manifest.
//
// Where the codec changed there are more files: path's name with -2, -3 ….
// ErrEmpty: nothing is recorded of that time.
func Export(ctx context.Context, o Options, from, to time.Time, path string) (Manifest, error) {
	if !from.Before(to) {
		return Manifest{}, fmt.Errorf("nothing is between %s and %s: --from must come before --to",
			from.Format(time.RFC3339), to.Format(time.RFC3339))
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return Manifest{}, err
	}
	pick := func(e archive.Entry) bool { return e.End().After(from) && e.Time().Before(to) }
	m, err := o.join(ctx, path, from, to, pick, nil)
	if err != nil {
		return Manifest{}, fmt.Errorf("making %s of what is recorded from %s to %s: %w",
			path, from.Format(time.RFC3339), to.Format(time.RFC3339), err)
	}
	return m, nil
}
