package hls2mpeg

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"camfleet.dev/workers/archive"
	"camfleet.dev/workers/supervisor"
)

// configure writes a camera's configuration.
func configure(t *testing.T, folder, name, zone string, days bool) {
	t.Helper()
	config := fmt.Sprintf(`{"site":"gate","name":%q,"timeZone":%q,"url":"rtsp://192.0.2.1/a","transport":"tcp",
		"recording":{"enabled":true,"segment":"2s","retention":{"age":"7d"},"days":{"enabled":%v,"retention":{"age":"30d"}}},
		"live":{"latency":"low"},"bitrate":"4Mbps"}`, name, zone, days)
	if err := os.WriteFile(filepath.Join(folder, "gate."+name+".json"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestRunAll(t *testing.T) {
	t.Parallel()
	root, config := t.TempDir(), t.TempDir()
	s := synthetic(t)
	for _, name := range []string{"east", "north", "off"} {
		c := &camera{t: t, dir: archive.Dir(filepath.Join(root, "gate", name))}
		c.record(s, noon, "a", nil)
		c.record(s, noon.Add(10*time.Hour+30*time.Minute), "b", nil) // the next day in Berlin is not yet
	}
	configure(t, config, "east", "Asia/Tokyo", true)
	configure(t, config, "north", "Europe/Berlin", true)
	configure(t, config, "none", "Europe/Berlin", true) // has not recorded yet
	configure(t, config, "off", "Europe/Berlin", false)
	broken := filepath.Join(config, "broken.json")
	if err := os.WriteFile(broken, []byte(`{"site":`), 0o644); err != nil {
		t.Fatal(err)
	}
	o := AllOptions{
		Config: config, Archive: supervisor.Template(root + "/{site}/{camera}"), Log: slog.New(slog.NewTextHandler(testWriter{t}, nil)),
		Now: func() time.Time { return noon.Add(24 * time.Hour) },
	}
	if err := RunAll(t.Context(), o); err == nil || !strings.Contains(err.Error(), broken) || strings.Count(err.Error(), "\n") > 0 {
		t.Errorf("error: %v", err)
	}
	files, err := filepath.Glob(filepath.Join(root, "*", "*", "days", "*.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range files {
		files[i] = strings.TrimPrefix(files[i], root)
	}
	if want := "[/gate/east/days/2026-11-22.mp4 /gate/north/days/2026-11-22.mp4]"; fmt.Sprint(files) != want {
		t.Errorf("files %v, want %s", files, want)
	}
	c := &camera{t: t, dir: archive.Dir(filepath.Join(root, "gate/east"))}
	if m := c.manifest(date); m.Site != "gate" || m.Camera != "east" || m.TimeZone != "Asia/Tokyo" || m.Sessions != 1 {
		t.Errorf("manifest %+v", m)
	}
	if err := os.Remove(broken); err != nil {
		t.Fatal(err)
	}
	if o.Date = "2026-11-21"; RunAll(t.Context(), o) != nil {
		t.Error("a day without recordings is no error")
	}
}

func TestRunAllRefuses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		o    AllOptions
		want string
	}{
		{AllOptions{Config: t.TempDir(), Archive: "/a/{secret}"}, "{secret}"},
		{AllOptions{Config: t.TempDir(), Archive: ""}, "empty"},
		{AllOptions{Config: t.TempDir() + "/none", Archive: "/a"}, "none"},
		{AllOptions{Config: t.TempDir(), Archive: "/a", Date: "today"}, "today"},
	} {
		tc.o.Log = slog.New(slog.DiscardHandler)
		if err := RunAll(t.Context(), tc.o); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%+v: %v", tc.o, err)
		}
	}
}
