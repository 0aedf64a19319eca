package hls2mpeg

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"camfleet.dev/workers/archive"
)

func scanArchive(_ context.Context, dir archive.Dir, from, to time.Time) (out []archive.Located, err error) {
	for h := from.Truncate(time.Hour).Add(-time.Hour); h.Before(to); h = h.Add(time.Hour) {
		f, err := os.Open(filepath.Join(dir.Hour(h), archive.JournalName))
		if err != nil {
			continue
		}
		sc := bufio.NewScanner(f)
		for sc.Scan() {
			var e archive.Entry
			if json.Unmarshal(sc.Bytes(), &e) != nil || !e.Time().Before(to) || !e.End().After(from) {
				continue
			}
			out = append(out, archive.Located{Entry: e, Path: dir.Segment(e.Time()), InitPath: filepath.Join(dir.Hour(h), e.Init)})
		}
		f.Close()
	}
	return out, nil
}
