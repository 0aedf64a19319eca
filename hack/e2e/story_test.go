package e2e

import (
	"bufio"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const exampleCameras = 6

// TestStory is the story: start, add, change, break, fix, remove, stop.
func TestStory(t *testing.T) {
	dir := t.TempDir()
	d := startDemo(t, dir, "--poll", "1s")
	d.allLive(exampleCameras, 30*time.Second)
	first := d.status()
	site := first.Cameras[0].Site
	added := "sites/" + site + "/zz-added.cue"
	before := sessions(t, dir)

	d.added(site, added)
	d.changed(site, added)
	d.broken(site, added)
	d.removed(site, added)

	after := sessions(t, dir)
	for name, ids := range before {
		if !slices.Equal(after[name], ids) {
			t.Errorf("camera %s: sessions were %v and are %v: an unchanged camera lost frames", name, ids, after[name])
		}
	}
	var served strings.Builder
	for _, path := range []string{"/", "/assets/fleet.json", "/api/v1/status", "/metrics", "/healthz"} {
		body, code := d.get(path)
		if code != 200 {
			t.Errorf("%s answers %d", path, code)
		}
		served.WriteString(body)
	}
	d.stop()
	noPassword(t, d, served.String())
}

func (d *demo) added(site, file string) {
	d.t.Helper()
	_, at := d.commit(file, cameraCUE("added", d.cameraURL(site, "added")))
	d.waitFor("the added camera is live", 10*time.Second, func(s status) bool { return s.find(site, "added").State == "live" })
	d.within("added", at, 2*time.Second)
	d.waitFor("its playlist", 10*time.Second, func(s status) bool {
		_, code := d.get(s.find(site, "added").Live)
		return code == 200
	})
}

func (d *demo) changed(site, file string) {
	d.t.Helper()
	hash, at := d.commit(file, cameraCUE("added", d.cameraURL(site, "added")+"2"))
	since := d.status().find(site, "added").Since
	d.waitFor("the changed camera is live again", 10*time.Second, func(s status) bool {
		c := s.find(site, "added")
		return s.Commit == hash && c.State == "live" && c.Since > since
	})
	d.within("changed", at, 2*time.Second)
}

// broken commits an error: nothing may change, and everybody is told where it is.
func (d *demo) broken(site, file string) {
	d.t.Helper()
	running := d.status()
	_, _ = d.commit(file, strings.Replace(cameraCUE("added", "rtsp://127.0.0.1/x"), "url:", "urll:", 1))
	d.waitFor("the problem is reported", 10*time.Second, func(s status) bool { return len(s.Problems) > 0 })
	s := d.status()
	p := s.Problems[0]
	if p.File != file || p.Line == 0 || p.Column == 0 || !strings.Contains(p.Message, "url") {
		d.t.Errorf("problem %+v does not point at urll in %s", p, file)
	}
	if len(s.Cameras) != len(running.Cameras) || s.find(site, "added") != running.find(site, "added") {
		d.t.Errorf("a commit with an error changed something:\n%+v\n%+v", running.Cameras, s.Cameras)
	}
	text, err := exec.Command(built.Path(d.t, "camfleet"), "status", "--dir", d.dir).CombinedOutput()
	if err != nil && len(text) == 0 {
		d.t.Errorf("camfleet status: %v", err)
	}
	for where, said := range map[string]string{"camfleet status": string(text), "the terminal": d.out.String()} {
		if !strings.Contains(said, file+":") {
			d.t.Errorf("%s does not show %s:line:column:\n%s", where, file, said)
		}
	}
}

func (d *demo) removed(site, file string) {
	d.t.Helper()
	_, at := d.commit(file, "")
	d.waitFor("the removed camera is gone and the problem with it", 10*time.Second, func(s status) bool {
		return s.find(site, "added").Name == "" && len(s.Problems) == 0
	})
	d.within("removed", at, 2*time.Second)
	if _, err := os.Stat(filepath.Join(d.dir, "archive", site, "added")); err != nil {
		d.t.Errorf("the removed camera's recordings: %v; only retention may delete them", err)
	}
}

func (d *demo) within(what string, since time.Time, limit time.Duration) {
	d.t.Helper()
	took := time.Since(since)
	d.t.Logf("%s: live %d ms after the commit", what, took.Milliseconds())
	if took > limit {
		d.t.Errorf("%s: %s after the commit, want at most %s", what, took, limit)
	}
}

func (s status) find(site, name string) camera {
	for _, c := range s.Cameras {
		if c.Site == site && c.Name == name {
			return c
		}
	}
	return camera{}
}

// cameraURL is an address on the demo's camera simulator: beside another camera's.
func (d *demo) cameraURL(site, name string) string {
	d.t.Helper()
	matches, _ := filepath.Glob(filepath.Join(d.dir, "fleet", "sites", site, "*.cue"))
	for _, m := range matches {
		b, err := os.ReadFile(m)
		if err != nil {
			d.t.Fatal(err)
		}
		if _, rest, ok := strings.Cut(string(b), `rtsp://127.0.0.1:`); ok {
			port, _, _ := strings.Cut(rest, "/")
			return "rtsp://127.0.0.1:" + port + "/" + site + "/" + name
		}
	}
	d.t.Fatalf("no camera address in %v", matches)
	return ""
}

func cameraCUE(name, url string) string {
	return "package site\n\nsite: cameras: " + name + ": {\n\turl: \"" + url + "\"\n}\n"
}

// sessions lists each camera's recording sessions, from its journals.
func sessions(t *testing.T, dir string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	root := filepath.Join(dir, "archive")
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.Name() != "journal.jsonl" {
			return nil // retention may be at work
		}
		rel, _ := filepath.Rel(root, path)
		parts := strings.Split(filepath.ToSlash(rel), "/")
		name := parts[0] + "/" + parts[1]
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			var entry struct{ Session string }
			if json.Unmarshal(lines.Bytes(), &entry) == nil && !slices.Contains(found[name], entry.Session) {
				found[name] = append(found[name], entry.Session)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// noPassword greps everything the demo wrote and served for its cameras' password.
func noPassword(t *testing.T, d *demo, served string) {
	t.Helper()
	secrets := filepath.Join(d.dir, "secrets")
	var passwords []string
	_ = filepath.WalkDir(secrets, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Name() == "password" {
			if b, err := os.ReadFile(path); err == nil {
				passwords = append(passwords, strings.TrimSpace(string(b)))
			}
		}
		return nil
	})
	if len(passwords) == 0 {
		t.Fatalf("no password under %s: nothing to look for", secrets)
	}
	for _, password := range passwords {
		if strings.Contains(d.out.String(), password) || strings.Contains(served, password) {
			t.Errorf("the terminal, the page, the API or the metrics show a password")
		}
		_ = filepath.WalkDir(d.dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() && path == secrets {
				return fs.SkipDir
			}
			if !e.Type().IsRegular() {
				return nil
			}
			if b, err := os.ReadFile(path); err == nil && strings.Contains(string(b), password) {
				t.Errorf("%s holds a password", path)
			}
			return nil
		})
	}
}
