package host

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"

	"camfleet.dev/compiler/page"
)

// doors asks for passwords where a site's page has a door (#Site.page.auth).
// Who may enter is in <secrets>/<site>/<secret>/auth, an htpasswd file with
// bcrypt hashes, which is looked at with every request. Without it nobody enters.
type doors struct {
	dir string
	log *slog.Logger
	// slow lets one password at a time be hashed: others wait, and a stranger
	// who guesses takes one processor at most.
	slow chan struct{}

	mu    sync.Mutex
	files map[string]*keeper // by path
}

// keeper knows who may enter, by one state of a file.
type keeper struct {
	changed time.Time
	size    int64
	closed  string            // why nobody may enter
	hashes  map[string][]byte // by user
	// good are digests of user and password that were right: a player asks many
	// times in a second, and a hash takes milliseconds.
	good map[[sha256.Size]byte]bool
}

const (
	maxKeeper = 1 << 20 // bytes of a file
	maxGood   = 1000    // passwords remembered
	// maxCost bounds the work for one password: half a second.
	maxCost = 13
)

// noUser is what is compared for a user who does not exist, so that the time
// tells nobody who does.
const noUser = "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"

func newDoors(dir string, log *slog.Logger) *doors {
	return &doors{dir: dir, log: log, slow: make(chan struct{}, 1), files: map[string]*keeper{}}
}

// errNobody is why nobody may enter.
var errNobody = errors.New("nobody may enter")

// opens tells whether a request may see a site. An error means that nobody may.
func (d *doors) opens(r *http.Request, site, secret string) (bool, error) {
	k, err := d.keeper(site, secret)
	if err != nil {
		return false, err
	}
	user, password, ok := r.BasicAuth()
	if !ok {
		return false, nil
	}
	digest := sha256.Sum256([]byte(user + "\x00" + password))
	d.mu.Lock()
	known := k.good[digest]
	d.mu.Unlock()
	if known {
		return true, nil
	}
	if !d.right(r.Context(), k.hashes[user], password) {
		return false, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(k.good) >= maxGood {
		clear(k.good)
	}
	k.good[digest] = true
	return true, nil
}

// right compares a password with a hash, one at a time.
func (d *doors) right(ctx context.Context, hash []byte, password string) bool {
	select {
	case d.slow <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	defer func() { <-d.slow }()
	if hash == nil {
		_ = bcrypt.CompareHashAndPassword([]byte(noUser), []byte(password))
		return false
	}
	return bcrypt.CompareHashAndPassword(hash, []byte(password)) == nil
}

// keeper reads a site's file when it has changed.
func (d *doors) keeper(site, secret string) (*keeper, error) {
	if !nameRule.MatchString(site) || !nameRule.MatchString(secret) {
		return nil, fmt.Errorf("%w: the Secret's name is none", errNobody)
	}
	name := filepath.Join(d.dir, site, secret, page.AuthKey)
	info, err := os.Stat(name)
	d.mu.Lock()
	defer d.mu.Unlock()
	old := d.files[name]
	switch {
	case err != nil:
		return nil, d.close(site, name, err)
	case old != nil && old.closed == "" && old.changed.Equal(info.ModTime()) && old.size == info.Size():
		return old, nil
	case info.Size() > maxKeeper:
		return nil, d.close(site, name, fmt.Errorf("it is larger than %d bytes", maxKeeper))
	}
	content, err := os.ReadFile(name)
	if err != nil {
		return nil, d.close(site, name, err)
	}
	k := &keeper{changed: info.ModTime(), size: info.Size(), good: map[[sha256.Size]byte]bool{}}
	var others int
	if k.hashes, others = users(content); others > 0 {
		d.log.Warn("some users cannot enter: on a machine without Kubernetes only bcrypt counts (htpasswd -B), with a cost of at most "+strconv.Itoa(maxCost),
			"site", site, "file", name, "users", others)
	}
	d.files[name] = k
	return k, nil
}

// close remembers that nobody may enter, and logs it once.
func (d *doors) close(site, name string, why error) error {
	if old := d.files[name]; old == nil || old.closed != why.Error() {
		d.log.Warn("a page is closed to everybody", "site", site, "file", name, "error", why)
	}
	d.files[name] = &keeper{closed: why.Error()}
	return fmt.Errorf("%w: %w", errNobody, why)
}

// users reads an htpasswd file; others are those whose hash cannot be used.
func users(content []byte) (hashes map[string][]byte, others int) {
	hashes = map[string][]byte{}
	for line := range bytes.Lines(content) {
		line = bytes.TrimRight(line, "\r\n")
		user, hash, found := strings.Cut(string(line), ":")
		if user == "" || strings.HasPrefix(user, "#") {
			continue
		}
		hash, _, _ = strings.Cut(hash, ":")
		hash = strings.Replace(hash, "$2y$", "$2a$", 1) // the same, by another name
		cost, err := bcrypt.Cost([]byte(hash))
		if _, twice := hashes[user]; twice {
			continue // the first counts, as for nginx
		}
		if !found || err != nil || cost > maxCost {
			others++
			continue
		}
		hashes[user] = []byte(hash)
	}
	return hashes, others
}

// admit answers those who may not enter, and tells who may. The page is of all
// sites: where one has a door, it asks for a password of any.
func (w *web) admit(rw http.ResponseWriter, r *http.Request, v *view, route page.Route) bool {
	var sites []string
	switch route.Kind {
	case page.Front, page.File:
		sites = v.closed
	default:
		secret, known := v.doors[route.Site]
		if !known {
			notFound(rw) // the recordings of a site that is gone: it may have had a door
			return false
		}
		if secret != "" {
			sites = []string{route.Site}
		}
	}
	if len(sites) == 0 {
		return true
	}
	nobody := true
	for _, site := range sites {
		opens, err := w.doors.opens(r, site, v.doors[site])
		if opens {
			return true
		}
		nobody = nobody && err != nil
	}
	if _, _, named := r.BasicAuth(); named && nobody {
		http.Error(rw, "nobody may enter yet: who may is written into "+filepath.Join("<secrets>", sites[0], v.doors[sites[0]], page.AuthKey)+
			" (htpasswd -B -c auth NAME)", http.StatusForbidden)
		return false
	}
	rw.Header().Set("WWW-Authenticate", `Basic realm="camfleet", charset="UTF-8"`)
	http.Error(rw, "this page asks for a name and a password", http.StatusUnauthorized)
	return false
}

// fleetOf is fleet.json for whoever asks: without the sites that are closed to them.
func (w *web) fleetOf(r *http.Request, v *view) []byte {
	if len(v.closed) == 0 {
		return v.page
	}
	var seen []page.Fleet
	for _, f := range v.fleets {
		for _, s := range f.Sites {
			secret, known := v.doors[s.Name]
			open := known && secret == ""
			if known && !open {
				open, _ = w.doors.opens(r, s.Name, secret)
			}
			if open {
				seen = append(seen, page.Fleet{Fleet: f.Fleet, Sites: []page.Site{s}})
			}
		}
	}
	merged, err := page.Merge(seen...).JSON()
	if err != nil {
		w.host.log.Error("the page's data cannot be made", "error", err)
	}
	return merged
}
