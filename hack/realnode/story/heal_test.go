package story

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"camfleet.dev/workers/archive"
)

// heals deletes a camera's Pod, and kills the process of another's: both record
// again, and their journals say what is missing.
func (w *world) heals() {
	before := w.pods()
	began := time.Now()
	w.kubectl("delete", "pod", "-n", namespace, "camera-north", "--wait=false")
	back := w.within(60*time.Second, "the deleted Pod is there again", func() error {
		if uid := w.pods()["camera-north"]; uid == "" || uid == before["camera-north"] {
			return errors.New("not yet")
		}
		return nil
	})
	w.ready("north")
	w.Logf("          a deleted Pod: another one after %.1f s, Ready after %.1f s", back.Seconds(), time.Since(began).Seconds())
	w.gap("north", began)

	began = time.Now()
	w.must(w.c.Kill(w.ctx, namespace, "camera-barrier"))
	w.within(60*time.Second, "the killed process is started again", func() error {
		n := w.kubectl("get", "pod", "-n", namespace, "camera-barrier", "-o", "jsonpath={.status.containerStatuses[0].restartCount}")
		if n == "0" {
			return errors.New("no restart yet")
		}
		return nil
	})
	w.ready("barrier")
	w.Logf("          a killed process: Ready after %.1f s", time.Since(began).Seconds())
	w.gap("barrier", began)
	for name, uid := range before {
		if after := w.pods()[name]; name != "camera-north" && after != uid {
			w.Errorf("%s is another Pod now", name)
		}
	}
}

// ready waits until a camera's Pod is.
func (w *world) ready(camera string) {
	w.Helper()
	w.within(2*time.Minute, camera+" is Ready", func() error {
		out, err := w.c.Kubectl(w.ctx, "get", "pod", "-n", namespace, "camera-"+camera, "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].status}{.metadata.deletionTimestamp}`).CombinedOutput()
		if err != nil || string(out) != "True" {
			return fmt.Errorf("ready: %s (%v)", out, err)
		}
		return nil
	})
}

// gap waits until a camera's journal tells of a gap that began at a time or after.
func (w *world) gap(camera string, since time.Time) {
	w.Helper()
	w.within(30*time.Second, "the gap is in the journal of "+camera, func() error {
		for _, e := range w.journal(camera) {
			if e.Gap != nil && e.End().After(since) && e.Time().Sub(time.UnixMilli(e.Gap.Since)) > 0 {
				w.Logf("          %s: %.1f s are missing (%s)", camera, e.Time().Sub(time.UnixMilli(e.Gap.Since)).Seconds(), e.Gap.Cause)
				return nil
			}
		}
		return fmt.Errorf("%d entries, none with a gap since %s", len(w.journal(camera)), since)
	})
}

// journal is what a camera has recorded.
func (w *world) journal(camera string) []archive.Entry {
	w.Helper()
	files, err := filepath.Glob(filepath.Join(w.archive(camera), "*", "*", archive.JournalName))
	w.must(err)
	var all []archive.Entry
	for _, file := range files {
		text, err := os.ReadFile(file)
		w.must(err)
		entries, _ := archive.ParseJournal([]byte(text[:1+strings.LastIndex(string(text), "\n")])) // a line may be half written
		all = append(all, entries...)
	}
	return all
}
