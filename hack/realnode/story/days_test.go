package story

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"camfleet.dev/workers/archive"
)

// makesDay lets the CronJob of a camera run now. What it recorded minutes ago is put
// into yesterday's folder first: no day of its own is over yet.
func (w *world) makesDay() {
	date := w.recordYesterday("north")
	w.kubectl("create", "job", "-n", namespace, "--from=cronjob/days-north", "day-by-hand")
	w.kubectl("wait", "-n", namespace, "--for=condition=Complete", "--timeout=90s", "job/day-by-hand")
	at := w.page() + "/archive/" + site + "/north/days/" + date
	w.answers(at+".json", `"segments"`)
	video, err := w.get(at + ".mp4")
	w.must(err)
	if !strings.Contains(video[:min(len(video), 64)], "ftyp") {
		w.Errorf("the day file begins with %.64q", video)
	}
	w.Logf("          %s.mp4 has %d kB", date, len(video)>>10)
}

// recordYesterday copies a camera's segments to a day earlier, and returns that date.
func (w *world) recordYesterday(camera string) string {
	w.Helper()
	dir, journals, date := archive.Dir(w.archive(camera)), map[string]*bytes.Buffer{}, ""
	for _, e := range w.journal(camera) {
		from := e
		e.Start -= (24 * time.Hour).Milliseconds()
		hour := dir.Hour(e.Time())
		w.must(os.MkdirAll(hour, 0o755))
		for _, name := range []string{e.Init, filepath.Base(dir.Segment(from.Time()))} {
			content, err := os.ReadFile(filepath.Join(dir.Hour(from.Time()), name))
			w.must(err)
			if name != e.Init {
				name = archive.SegmentName(e.Time())
			}
			w.must(os.WriteFile(filepath.Join(hour, name), content, 0o644))
		}
		line, err := json.Marshal(e)
		w.must(err)
		if journals[hour] == nil {
			journals[hour] = &bytes.Buffer{}
		}
		journals[hour].Write(append(line, '\n'))
		if date == "" {
			date = e.Time().Format(archive.DateLayout)
		}
	}
	for hour, text := range journals {
		w.must(os.WriteFile(filepath.Join(hour, archive.JournalName), text.Bytes(), 0o644))
		w.giveAway(filepath.Dir(hour))
	}
	return date
}

// giveAway makes files the workers', who may write in their own only.
func (w *world) giveAway(folder string) {
	w.Helper()
	w.must(filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, worker, worker)
	}))
}

// worker is the user and group of all our Pods.
const worker = 65532
