package host

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"camfleet.dev/compiler/page"
	"camfleet.dev/compiler/page/pagetest"
)

// hashed is a password as htpasswd -B writes it.
func hashed(t *testing.T, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Replace(string(hash), "$2a$", "$2y$", 1)
}

// keep writes who may enter, and returns the file.
func keep(t *testing.T, h *Host, site, content string) string {
	t.Helper()
	file := filepath.Join(h.options.Secrets, site, "viewers", page.AuthKey)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
	return file
}

var withDoor = map[string]string{page.Door: "viewers"}

// TestDoor: as behind nginx, everything with a password and nothing without one.
func TestDoor(t *testing.T) {
	t.Parallel()
	h, target := tableHost(t, withDoor)
	keep(t, h, pagetest.Site, "# who may enter\nuser:"+hashed(t, "pass")+":the keeper\n")
	t.Run("closed", func(t *testing.T) {
		pagetest.Closed(t, target,
			"Authorization: Basic dXNlcjp3cm9uZw==", // user:wrong
			"Authorization: Basic dXNlcjo=",         // user:
			"Authorization: Basic bm9ib2R5OnBhc3M=", // nobody:pass
			"Authorization: Basic OnBhc3M=",         // :pass
			"Authorization: Basic !", "Authorization: Bearer dXNlcjpwYXNz", "X-Forwarded-User: user",
		)
	})
	open := target
	open.URL = strings.Replace(target.URL, "http://", "http://user:pass@", 1)
	t.Run("open", func(t *testing.T) { pagetest.Run(t, open) })
}

// TestDoorFollowsTheFile: no file, nobody enters; a changed one counts at once,
// also for those whose password was right a moment ago.
func TestDoorFollowsTheFile(t *testing.T) {
	t.Parallel()
	h, target := tableHost(t, withDoor)
	expect := func(when, user string, want int) {
		t.Helper()
		for _, path := range pagetest.Doors() {
			if got := pagetest.Status(t, target, path, user, "pass"); got != want {
				t.Errorf("%s, %s: %q gets %d, want %d", when, path, user, got, want)
			}
		}
	}
	expect("no file", "", http.StatusUnauthorized)
	expect("no file", "user", http.StatusForbidden)
	file := keep(t, h, pagetest.Site, "user:"+hashed(t, "pass")+"\n")
	expect("a file", "user", http.StatusOK)
	keep(t, h, pagetest.Site, "other:"+hashed(t, "pass")+"\n")
	expect("another user", "user", http.StatusUnauthorized)
	expect("another user", "other", http.StatusOK)
	keep(t, h, pagetest.Site, "")
	expect("nobody in it", "other", http.StatusUnauthorized)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	expect("the file is gone", "other", http.StatusForbidden)
	keep(t, h, pagetest.Site, strings.Repeat("x", maxKeeper+1))
	expect("a huge file", "other", http.StatusForbidden)
}

// TestUsers: what counts of an htpasswd file.
func TestUsers(t *testing.T) {
	t.Parallel()
	good := hashed(t, "pass")
	costly := strings.Replace(good, "$04$", "$31$", 1)
	hashes, others := users([]byte("a:" + good + "\r\nb:" + good + ":words\n#c:" + good + "\n\na:" + hashed(t, "second") + "\n" +
		"apr1:$apr1$5Xm2cZ1a$x\nsha:{SHA}x\nplain:pass\nempty:\nnone\ncostly:" + costly + "\n:" + good + "\n"))
	if len(hashes) != 2 || others != 6 || bcrypt.CompareHashAndPassword(hashes["a"], []byte("pass")) != nil || bcrypt.CompareHashAndPassword(hashes["b"], []byte("pass")) != nil {
		t.Errorf("%d users, %d others: %q", len(hashes), others, hashes)
	}
}

// TestDoorRemembers: a player's many requests cost one hash.
func TestDoorRemembers(t *testing.T) {
	t.Parallel()
	h, target := tableHost(t, withDoor)
	hash, err := bcrypt.GenerateFromPassword([]byte("pass"), 11)
	if err != nil {
		t.Fatal(err)
	}
	keep(t, h, pagetest.Site, "user:"+string(hash)+"\n")
	once := time.Now()
	pagetest.Status(t, target, "/", "user", "pass")
	first := time.Since(once)
	begun := time.Now()
	const requests = 20
	for range requests {
		if got := pagetest.Status(t, target, "/", "user", "pass"); got != http.StatusOK {
			t.Fatalf("status %d", got)
		}
	}
	if took := time.Since(begun); took > first*requests/2 {
		t.Errorf("the first request took %s, %d more took %s", first, requests, took)
	}
}

// TestDoorsOfSites: the page of several sites shows each viewer their own; what
// is left of a site that is gone is nobody's.
func TestDoorsOfSites(t *testing.T) {
	t.Parallel()
	h, server := webHost(t, 1)
	site := func(name string) page.Fleet {
		return page.Fleet{Fleet: "test", Sites: []page.Site{{Name: name, TimeZone: "UTC", Cameras: []page.Camera{{Name: pagetest.North}}}}}
	}
	applyConfig(t, h, site("gate"), withDoor)
	applyConfig(t, h, site("yard"), withDoor)
	applyConfig(t, h, site("odd"), map[string]string{page.Door: ""})
	applyPage(t, h, site("hall"))
	keep(t, h, "gate", "anna:"+hashed(t, "pass")+"\n")
	keep(t, h, "yard", "otto:"+hashed(t, "pass")+"\n")
	for _, name := range []string{"gate", "yard", "odd", "hall", "gone"} {
		pagetest.Fill(t, filepath.Join(h.options.Archive, name, pagetest.North))
	}
	target := pagetest.Target{URL: server.URL}
	for _, c := range []struct {
		user string
		want map[string]int
	}{
		{"anna", map[string]int{"gate": 200, "yard": 401, "odd": 403, "hall": 200, "gone": 404}},
		{"otto", map[string]int{"gate": 401, "yard": 200, "odd": 403, "hall": 200, "gone": 404}},
		{"", map[string]int{"gate": 401, "yard": 401, "odd": 401, "hall": 200, "gone": 404}},
	} {
		for name, want := range c.want {
			if got := pagetest.Status(t, target, "/archive/"+name+"/north/live.m3u8", c.user, "pass"); got != want {
				t.Errorf("%q gets %d of %s, want %d", c.user, got, name, want)
			}
		}
	}
	for user, own := range map[string]string{"anna": "gate", "otto": "yard"} {
		url := strings.Replace(server.URL, "http://", "http://"+user+":pass@", 1)
		_, body := get(t, url+"/assets/fleet.json", "")
		for _, name := range []string{"gate", "yard", "odd", "hall"} {
			if shown := strings.Contains(body, `"name":"`+name+`"`); shown != (name == own || name == "hall") {
				t.Errorf("%s is shown %s: %v", user, name, shown)
			}
		}
	}
	if got := pagetest.Status(t, target, "/assets/fleet.json", "", ""); got != http.StatusUnauthorized {
		t.Errorf("a stranger gets %d for the list of cameras", got)
	}
}
