package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
	"camfleet.dev/reconciler/status"
	"camfleet.dev/schema"
	"camfleet.dev/workers/fakecam"
)

func TestParseTime(t *testing.T) {
	t.Parallel()
	seoul, err := time.LoadLocation("Asia/Seoul")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct{ in, want string }{
		{"-15m", "2026-11-23T11:45:00Z"},
		{"-0s", "2026-11-23T12:00:00Z"},
		{"2026-11-23T09:00", "2026-11-23T00:00:00Z"},
		{"2026-11-23 09:00:30", "2026-11-23T00:00:30Z"},
		{"2026-11-23", "2026-11-22T15:00:00Z"},
		{"2026-11-23T09:00:00Z", "2026-11-23T09:00:00Z"},
		{"2026-11-23T09:00:00+02:00", "2026-11-23T07:00:00Z"},
		{"yesterday", ""},
		{"-soon", ""},
		{"", ""},
	} {
		got, err := parseTime(c.in, seoul, now)
		switch {
		case c.want == "" && err == nil:
			t.Errorf("%q is %s, want an error", c.in, got)
		case c.want != "" && (err != nil || got.UTC().Format(time.RFC3339) != c.want):
			t.Errorf("%q is %s (%v), want %s", c.in, got.UTC().Format(time.RFC3339), err, c.want)
		}
	}
}

func TestExportZoneIsTheSites(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := filepath.Join(dir, "workers", "0", "gate.north.json")
	if err := os.MkdirAll(filepath.Dir(config), 0o700); err != nil {
		t.Fatal(err)
	}
	content := `{"site":"gate","name":"north","timeZone":"Asia/Seoul","url":"rtsp://127.0.0.1/x","transport":"tcp",
		"recording":{"enabled":true,"segment":"2s","retention":{"age":"7d"},"days":{"enabled":true,"retention":{"age":"30d"}}},
		"live":{"latency":"low"},"bitrate":"4Mbps"}`
	if err := os.WriteFile(config, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	for flags, want := range map[exportFlags]string{
		{dir: dir}:                        "Asia/Seoul",
		{dir: dir, zone: "Europe/Berlin"}: "Europe/Berlin",
		{dir: "/nowhere"}:                 time.Local.String(),
	} {
		if got, err := exportZone(flags, "gate", "north"); err != nil || got.String() != want {
			t.Errorf("%+v: zone %v, %v, want %s", flags, got, err, want)
		}
	}
	if _, err := exportZone(exportFlags{zone: "Mars/Olympus"}, "gate", "north"); err == nil {
		t.Error("a zone that does not exist was taken")
	}
}

func TestBar(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		done, total int64
		want        string
	}{
		{0, 30e6, "[" + strings.Repeat(" ", 30) + "]   0 %  x"},
		{10e6, 30e6, "[" + strings.Repeat("=", 10) + strings.Repeat(" ", 20) + "]  33 %  x"},
		{30e6, 30e6, "[" + strings.Repeat("=", 30) + "] 100 %  x"},
		{40e6, 30e6, "[" + strings.Repeat("=", 30) + "] 100 %  x"},
	} {
		if got := bar(c.done, c.total, "x"); got != c.want {
			t.Errorf("bar(%d, %d) = %q, want %q", c.done, c.total, got, c.want)
		}
	}
	var out bytes.Buffer
	p := newProgress(&out, "clip.mp4")
	p.set(1, 2)
	p.end()
	if out.Len() > 0 {
		t.Errorf("progress where there is no terminal: %q", &out)
	}
}

func TestAge(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 90 * time.Second: "90s", 10 * time.Minute: "10m", 3 * time.Hour: "3h", 50 * time.Hour: "2d",
	} {
		if got := age(d); got != want {
			t.Errorf("age(%s) = %s, want %s", d, got, want)
		}
	}
}

func TestNameFromFolder(t *testing.T) {
	t.Parallel()
	for dir, want := range map[string]string{
		"/srv/our-fleet": "our-fleet", "/srv/Our Fleet (new)": "our-fleet-new", "/srv/상암동": "fleet", "/": "fleet",
	} {
		if got := nameFromFolder(dir); got != want {
			t.Errorf("name from %s is %q, want %q", dir, got, want)
		}
	}
}

func TestPrintStatus(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	s := status.Status{
		State: status.Failing, Commit: "0123456789abcdef", Subject: "Add a camera", Time: now.Add(-time.Hour), Source: "/srv/fleet",
		FetchError:   "there is no Git repository",
		CompileError: "the compiler was killed",
		Held: []engine.Change{
			{Action: engine.Held, ID: object.ID{Kind: "ConfigMap", Name: "camera-b"}, Site: "yard", Camera: "b", Reason: "the whole site yard is gone"},
			{Action: engine.Held, ID: object.ID{Kind: "ConfigMap", Name: "camera-a"}, Site: "yard", Camera: "a", Reason: "the whole site yard is gone"},
			{Action: engine.Held, ID: object.ID{Kind: "Pod", Name: "camera-a"}, Site: "yard", Camera: "a", Reason: "the whole site yard is gone"},
			{Action: engine.Held, ID: object.ID{Kind: "ConfigMap", Name: "page"}, Site: "shop", Reason: "the whole site shop is gone"},
		},
		Cameras: []status.Camera{
			{Site: "gate", Name: "north", State: "live", Since: now.Add(-time.Minute)},
			{Site: "gate", Name: "south", State: "unauthorized", Since: now.Add(-3 * time.Hour), Message: "the camera refuses the password"},
		},
	}
	var plain, coloured bytes.Buffer
	if err := printStatus(&plain, s, "text", false, now); err != nil {
		t.Fatal(err)
	}
	if err := printStatus(&coloured, s, "text", true, now); err != nil {
		t.Fatal(err)
	}
	want := `failing at commit 0123456789ab (Add a camera), 60m old
from /srv/fleet
not fetched: there is no Git repository
not compiled: the compiler was killed
held: the whole site yard is gone
  3 objects of yard/a, yard/b
held: the whole site shop is gone
  1 object

gate/north  live            60s  
gate/south  unauthorized     3h  the camera refuses the password
`
	if plain.String() != want {
		t.Errorf("status is\n%s\nwant\n%s", &plain, want)
	}
	if uncoloured := strings.NewReplacer(green, "", red, "", yellow, "", reset, "").Replace(coloured.String()); uncoloured != want {
		t.Errorf("without its colours the coloured status is\n%s", uncoloured)
	}
	if !strings.Contains(coloured.String(), red+"unauthorized") {
		t.Error("a camera that is not live is not red on a terminal")
	}
}

// A refused commit is told apart from the one that runs; what is not known is not made up.
func TestPrintRefusedStatus(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	problem := func(file string) []object.Problem {
		return []object.Problem{{Position: object.Position{File: file}, Message: "no"}}
	}
	var b bytes.Buffer
	err := printStatus(&b, status.Status{
		State: status.Held, Commit: "0123456789abcdef", Subject: "Add a camera", Time: now.Add(-time.Hour), Source: "/srv/fleet",
		FetchError: "commit fedcba987654: sites/gate/link no",
		Problems:   problem("sites/gate/site.cue"),
		Refused:    &status.Refused{Commit: "fedcba9876543210", Problems: problem("sites/gate/link")},
		Cameras:    []status.Camera{{Site: "gate", Name: "north", State: "missing", Message: "it has no Pod (yet)"}},
	}, "text", false, now)
	if err != nil {
		t.Fatal(err)
	}
	want := `held and broken at commit 0123456789ab (Add a camera), 60m old
from /srv/fleet
commit fedcba987654 is refused; nothing of it is applied:
sites/gate/link: no
sites/gate/site.cue: no

gate/north  missing           -  it has no Pod (yet)
`
	if b.String() != want {
		t.Errorf("status is\n%s\nwant\n%s", &b, want)
	}
}

// What fails for one reason is said once.
func TestPrintFailed(t *testing.T) {
	t.Parallel()
	var failed []engine.Change
	for i := range 5 {
		failed = append(failed, engine.Change{
			Action: engine.Failed, ID: object.ID{Kind: "Pod", Namespace: "camfleet-gate", Name: fmt.Sprint(i)}, Site: "gate", Camera: fmt.Sprint(i), Reason: "of another fleet",
		})
	}
	failed = append(failed, engine.Change{Action: engine.Failed, ID: object.ID{Kind: "Service", Name: "page"}, Reason: "forbidden"})
	var b bytes.Buffer
	printFailed(&b, failed)
	want := failed[5].String() + "\nfailed: of another fleet\n  5 objects of gate/0, gate/1, gate/2, gate/3, gate/4\n"
	if b.String() != want {
		t.Errorf("%s\nwant\n%s", &b, want)
	}
}

func TestFreePort(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, taken, _ := net.SplitHostPort(l.Addr().String())
	if got, err := freePort(taken); err != nil || got == taken {
		t.Errorf("free port instead of %s is %s, %v", taken, got, err)
	}
}

func TestPageHost(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"0.0.0.0:8080": "127.0.0.1:8080", "127.0.0.1:99": "127.0.0.1:99", "[::]:80": "127.0.0.1:80"} {
		addr, err := net.ResolveTCPAddr("tcp", in)
		if err != nil {
			t.Fatal(err)
		}
		if got := pageHost(addr); got != want {
			t.Errorf("page host of %s is %s, want %s", in, got, want)
		}
	}
}

func TestDemoSecretIsMadeOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := schema.WorkerCamera{Site: "gate", Name: "south", Credentials: "cameras"}
	var passwords [2]string
	for i := range passwords {
		if err := demoSecret(dir, c); err != nil {
			t.Fatal(err)
		}
		src := fakecam.Source{Site: c.Site, Name: c.Name}
		if err := addCredentials(&src, dir, c.Credentials); err != nil {
			t.Fatal(err)
		}
		passwords[i] = src.Password
	}
	if len(passwords[0]) != 24 || passwords[0] != passwords[1] {
		t.Errorf("passwords %q: want one of 24 characters, twice", passwords)
	}
	if i, err := os.Stat(filepath.Join(dir, "gate/cameras/password")); err != nil || i.Mode().Perm() != 0o600 {
		t.Errorf("the password's mode is %v, %v, want 0600", i.Mode(), err)
	}
	src := fakecam.Source{Site: "gate", Name: "south"}
	if err := addCredentials(&src, dir, "other"); err == nil || !strings.Contains(err.Error(), "write one, mode 0600") {
		t.Errorf("a secret that is not there: %v", err)
	}
}

func TestPrepareDemo(t *testing.T) {
	t.Parallel()
	repo := filepath.Join(t.TempDir(), "demo", "fleet")
	for range 2 {
		if err := prepareDemo(repo); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(repo, ".git", "HEAD")); err != nil {
		t.Error(err)
	}
	if port := cameraPort(repo); port == "" {
		t.Error("the demo's cameras have no port")
	}
}
