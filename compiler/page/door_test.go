package page_test

import (
	"crypto/sha1"
	"encoding/base64"
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

// hashes are one password, "pass", as htpasswd and openssl passwd write it.
func hashes(t *testing.T) map[string]string {
	t.Helper()
	crypted, err := bcrypt.GenerateFromPassword([]byte("pass"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	plain := sha1.Sum([]byte("pass"))
	salted := sha1.Sum([]byte("pass" + "salt"))
	return map[string]string{
		"apr1":    "$apr1$5Xm2cZ1a$XR/YtPl1hB6X5DnXu.BNk/", // htpasswd's own
		"bcrypt":  strings.Replace(string(crypted), "$2a$", "$2y$", 1),
		"sha1":    "{SHA}" + base64.StdEncoding.EncodeToString(plain[:]),
		"salted":  "{SSHA}" + base64.StdEncoding.EncodeToString(append(salted[:], "salt"...)),
		"sha256":  "$5$5Xm2cZ1a$fAAV/KRIZZu1d7rvPfjClOQXKkVBBCL5bO12unpOZ43",
		"sha512":  "$6$5Xm2cZ1a$d.qLM4.Yn1uTCq3ENJH5S9NWI1Jqydr1OORRb9dv7MghzHA1zCnR0HXar2gkED5r263va5tBWHXWljR4QzIXQ.",
		"comment": "{SHA}" + base64.StdEncoding.EncodeToString(plain[:]) + ":the gate's keeper",
	}
}

// TestDoor: with a password everything is as without a door, and without one
// there is nothing.
func TestDoor(t *testing.T) {
	t.Parallel()
	door := "user:" + hashes(t)["apr1"] + "\n"
	target := serve(t, pagetest.Fleet().Sites[0], &door)
	t.Run("closed", func(t *testing.T) {
		pagetest.Closed(t, target,
			"Authorization: Basic dXNlcjp3cm9uZw==", // user:wrong
			"Authorization: Basic dXNlcjo=",         // user:
			"Authorization: Basic bm9ib2R5OnBhc3M=", // nobody:pass
			"Authorization: Basic OnBhc3M=",         // :pass
			"Authorization: Basic !", "Authorization: Basic ", "Authorization: Bearer dXNlcjpwYXNz",
			"X-Original-URL: /healthz", "X-Forwarded-User: user",
		)
	})
	open := target
	open.URL = strings.Replace(target.URL, "http://", "http://user:pass@", 1)
	t.Run("open", func(t *testing.T) { pagetest.Run(t, open) })
}

// TestDoorHashes: every way in which htpasswd and openssl write a password.
func TestDoorHashes(t *testing.T) {
	t.Parallel()
	var file strings.Builder
	file.WriteString("# who may enter\n\n")
	all := hashes(t)
	for name, hash := range all {
		file.WriteString(name + ":" + hash + "\n")
	}
	file.WriteString("unknown:$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$hash\nempty:\n")
	door := file.String()
	target := serve(t, pagetest.Fleet().Sites[0], &door)
	for name := range all {
		begun := time.Now()
		if got := pagetest.Status(t, target, "/", name, "pass"); got != http.StatusOK {
			t.Errorf("%s: the right password gives %d", name, got)
		}
		t.Logf("%s: %s", name, time.Since(begun).Round(100*time.Microsecond))
		if got := pagetest.Status(t, target, "/", name, "Pass"); got != http.StatusUnauthorized {
			t.Errorf("%s: a wrong password gives %d", name, got)
		}
	}
	for _, name := range []string{"unknown", "empty", "# who may enter"} {
		for _, password := range []string{"pass", "", "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$hash"} {
			if got := pagetest.Status(t, target, "/", name, password); got != http.StatusUnauthorized && got != http.StatusInternalServerError {
				t.Errorf("%s with %q gives %d", name, password, got)
			}
		}
	}
}

// TestDoorFollowsTheSecret: no Secret, nobody enters; a new one, and it counts
// without a restart.
func TestDoorFollowsTheSecret(t *testing.T) {
	t.Parallel()
	missing := ""
	target := serve(t, pagetest.Fleet().Sites[0], &missing)
	all := hashes(t)
	expect := func(when, user, password string, want ...int) {
		t.Helper()
		for _, path := range pagetest.Doors() {
			if got := pagetest.Status(t, target, path, user, password); got != want[0] {
				t.Errorf("%s, %s: %s gets %d, want %d", when, path, user, got, want[0])
			}
		}
	}
	expect("no Secret", "user", "pass", http.StatusForbidden)
	// Someone without a password is asked for one, and gets no further.
	for _, path := range pagetest.Doors() {
		if got := pagetest.Status(t, target, path, "", ""); got != http.StatusUnauthorized {
			t.Errorf("no Secret, %s: a stranger gets %d", path, got)
		}
	}
	replace(t, target.Door, "user:"+all["apr1"]+"\n")
	expect("a Secret", "user", "pass", http.StatusOK)
	replace(t, target.Door, "other:"+all["sha1"]+"\n")
	expect("another user", "user", "pass", http.StatusUnauthorized)
	expect("another user", "other", "pass", http.StatusOK)
	replace(t, target.Door, "")
	expect("nobody in it", "other", "pass", http.StatusUnauthorized)
	if err := os.Remove(target.Door); err != nil {
		t.Fatal(err)
	}
	expect("the Secret is deleted", "other", "pass", http.StatusForbidden)
	if os.Getuid() == 0 {
		if err := os.WriteFile(target.Door, []byte("other:"+all["sha1"]+"\n"), 0o000); err != nil {
			t.Fatal(err)
		}
		expect("a file that nginx may not read", "other", "pass", http.StatusInternalServerError)
	}
}

// replace writes a file as the kubelet does: at once, by a rename.
func replace(t *testing.T, file, content string) {
	t.Helper()
	write(t, file+".new", content)
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// TestDoorsOfTwoSites: a viewer of one site cannot read another's, and the
// one's server does not know the other's cameras.
func TestDoorsOfTwoSites(t *testing.T) {
	t.Parallel()
	gate := pagetest.Fleet().Sites[0]
	yard := page.Site{Name: "yard", TimeZone: "UTC", Cameras: gate.Cameras}
	hash := hashes(t)["apr1"]
	keepers := map[string]string{"gate": "anna:" + hash + "\n", "yard": "otto:" + hash + "\n"}
	servers := map[string]pagetest.Target{}
	for _, site := range []page.Site{gate, yard} {
		door := keepers[site.Name]
		servers[site.Name] = serve(t, site, &door)
	}
	paths := func(site string) []string {
		return []string{"/archive/" + site + "/north/live.m3u8", "/archive/" + site + "/north/days/2026-11-22.mp4", "/archive/" + site + "/north/status.json"}
	}
	for _, c := range []struct{ site, own, stranger, other string }{{"gate", "anna", "otto", "yard"}, {"yard", "otto", "anna", "gate"}} {
		server := servers[c.site]
		for _, path := range append(paths(c.site), "/", "/assets/fleet.json", "/live/"+c.site+"/north/index.m3u8") {
			if got := pagetest.Status(t, server, path, c.stranger, "pass"); got != http.StatusUnauthorized {
				t.Errorf("%s gets %d for %s of %s", c.stranger, got, path, c.site)
			}
		}
		for _, path := range append(paths(c.site), "/") {
			if got := pagetest.Status(t, server, path, c.own, "pass"); got != http.StatusOK {
				t.Errorf("%s gets %d for its own %s", c.own, got, path)
			}
		}
		for _, path := range append(paths(c.other), "/live/"+c.other+"/north/index.m3u8", "/archive/"+c.site+"/../"+c.other+"/north/live.m3u8") {
			if got := pagetest.Status(t, server, path, c.own, "pass"); got != http.StatusNotFound && got != http.StatusBadRequest {
				t.Errorf("%s's server gives %d for %s", c.site, got, path)
			}
		}
		if b, err := os.ReadFile(filepath.Join(filepath.Dir(server.Door), "page", page.ConfigName)); err != nil || strings.Contains(string(b), c.other) {
			t.Errorf("%s's nginx.conf knows of %s (%v)", c.site, c.other, err)
		}
	}
}
