// Package pagetest is one table of requests, and what is expected of them, for
// every server of the page: nginx in a cluster, Go's own on a host.
//
// The server under test serves the fleet of Fleet: site gate with the cameras
// north (its archive is what Fill writes, its worker a Worker) and dark (an
// empty archive folder, its worker does not answer). Then Run asks.
package pagetest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"camfleet.dev/compiler/page"
)

// Names of what is served.
const (
	Site = "gate"
	// North records and is live, Dark is neither.
	North, Dark = "north", "dark"
)

// Target is a server under test.
type Target struct {
	URL    string // http://127.0.0.1:port, with user:password@ where there is a door
	Folder string // of camera north's archive, which Fill has written
	Worker *Worker
	Door   string // file of those who may enter, if the site has a door
}

// Fleet is what the server serves.
func Fleet() page.Fleet {
	camera := func(name string) page.Camera {
		return page.Camera{Name: name, Latency: "low", Recording: true, SegmentSeconds: 2, Days: true}
	}
	return page.Fleet{Fleet: "test", Sites: []page.Site{{
		Name: Site, TimeZone: "Europe/Berlin", Cameras: []page.Camera{camera(Dark), camera(North)},
	}}}
}

const (
	hour    = "2026-11-22/04"
	segment = hour + "/1795320000000.m4s"
	initial = hour + "/init-0123abcd.mp4"
	dayFile = "days/2026-11-22.mp4"
	bigFile = "days/2026-11-21.mp4"
	secret  = "this must never be served"
)

// bigSize is more than an int has on the 32 bits of arm/v7.
const bigSize int64 = 5 << 30

// Content of the recorded files.
var (
	segmentBytes = strings.Repeat("0123456789", 1000)
	dayBytes     = strings.Repeat("abcdefghij", 5000)
)

const livePlaylist = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:2\n"

// Fill writes an archive into camera north's folder, and beside it what must
// not be reached from there.
func Fill(t *testing.T, folder string) {
	t.Helper()
	for name, content := range map[string]string{
		"live.m3u8":              livePlaylist,
		"status.json":            `{"state":"live"}`,
		"index.json":             `{"hours":["2026-11-22/04"],"days":[]}`,
		segment:                  segmentBytes,
		initial:                  "init",
		hour + ".m3u8":           livePlaylist + "#EXT-X-ENDLIST\n",
		dayFile:                  dayBytes,
		"days/2026-11-22.json":   `{"date":"2026-11-22"}`,
		"session.lock":           secret,
		hour + "/journal.jsonl":  secret,
		hour + "/.1.m4s.tmp":     secret,
		hour + "/17953.m4s.part": secret,
		"days/.2026-11-22.mp4":   secret,
		"status.json.tmp":        secret,
		".hidden":                secret,
		"../secret.json":         secret,
		"../../secret.json":      secret,
	} {
		write(t, filepath.Join(folder, name), content)
	}
	if err := os.Symlink(filepath.Join(folder, "session.lock"), filepath.Join(folder, hour, "1.m4s")); err != nil {
		t.Fatal(err)
	}
	// A day of video is bigger than 32 bits can count; nothing of it is on disk.
	write(t, filepath.Join(folder, bigFile), "")
	if err := os.Truncate(filepath.Join(folder, bigFile), bigSize); err != nil {
		t.Skipf("no file of %d bytes on this file system: %v", bigSize, err)
	}
	if err := writeAt(filepath.Join(folder, bigFile), "tail", bigSize-4); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func writeAt(path, content string, offset int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("opening: %w", err)
	}
	if _, err := f.WriteAt([]byte(content), offset); err != nil {
		f.Close()
		return fmt.Errorf("writing: %w", err)
	}
	return f.Close()
}
