package notify_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"camfleet.dev/reconciler/internal/clock"
	"camfleet.dev/reconciler/notify"
)

var start = time.Date(2026, 11, 23, 4, 0, 0, 0, time.UTC)

const (
	sha   = "0123456789abcdef0123456789abcdef01234567"
	token = "t0p-s3cret-token"
)

// request is what came to a server.
type request struct {
	method, uri string
	header      http.Header
	body        map[string]string
}

// world is a real server, and a notifier that tells it.
type world struct {
	*notify.Notifier
	t      *testing.T
	clock  *clock.Fake
	token  string // its file
	log    *bytes.Buffer
	server *httptest.Server

	mu     sync.Mutex
	got    []request
	answer func(w http.ResponseWriter, r *http.Request)
}

func newWorld(t *testing.T, kind string) *world {
	w := &world{t: t, clock: clock.NewFake(start), token: filepath.Join(t.TempDir(), "token"), log: &bytes.Buffer{}}
	w.setToken(token)
	w.server = httptest.NewServer(w)
	t.Cleanup(w.server.Close)
	var err error
	w.Notifier, err = notify.New(notify.Config{
		Kind: kind, Repository: w.server.URL + "/acme/our.fleet.git", TokenFile: w.token, Context: "camfleet/north",
		Target: "https://camfleet.example.org/", Clock: w.clock, Log: slog.New(slog.NewTextHandler(w.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) setToken(s string) {
	w.t.Helper()
	if err := os.WriteFile(w.token, []byte(s+"\n"), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) answers(f func(w http.ResponseWriter, r *http.Request)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer = f
}

func code(n int, header ...string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		http.Error(w, "because of "+r.Header.Get("Authorization"), n)
	}
}

func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var body map[string]string
	content, _ := io.ReadAll(r.Body)
	if err := json.Unmarshal(content, &body); err != nil {
		w.t.Errorf("%s: %v", content, err)
	}
	w.got = append(w.got, request{r.Method, r.RequestURI, r.Header, body})
	if w.answer != nil {
		w.answer(rw, r)
		return
	}
	rw.WriteHeader(http.StatusCreated)
}

func (w *world) requests() []request {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]request{}, w.got...)
}

func (w *world) run() {
	done := make(chan struct{})
	ctx := w.t.Context()
	go func() {
		defer close(done)
		if err := w.Run(ctx); err != nil {
			w.t.Error(err)
		}
	}()
	w.t.Cleanup(func() { <-done })
}

// until waits for something that does not need the clock to be moved.
func (w *world) until(what string, ok func(c notify.Counts) bool) {
	w.t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok(w.Counts()) {
		select {
		case <-tick.C:
		case <-deadline:
			w.t.Fatalf("never %s: %+v, %d requests", what, w.Counts(), len(w.requests()))
		}
	}
}

func (w *world) sent(n uint64) {
	w.t.Helper()
	w.until(fmt.Sprint(n, " sent"), func(c notify.Counts) bool { return c.Sent == n && c.Waiting == 0 })
}

// failed waits for a failure, and then for the notifier to wait; it says how long it will.
func (w *world) failed(n uint64) time.Duration {
	w.t.Helper()
	w.until(fmt.Sprint(n, " failed"), func(c notify.Counts) bool { return c.Failed == n })
	if err := w.clock.Waiting(w.t.Context(), 1); err != nil {
		w.t.Fatal(err)
	}
	d, _ := w.clock.Next()
	return d
}

// What each server's documentation asks for.
func TestRequests(t *testing.T) {
	t.Parallel()
	const target = "https://camfleet.example.org/"
	for _, c := range []struct {
		kind, uri string
		header    []string
		body      map[string]string
	}{
		{
			"github", "/api/v3/repos/acme/our.fleet/statuses/" + sha,
			[]string{"Authorization", "Bearer " + token, "Accept", "application/vnd.github+json", "X-Github-Api-Version", "2022-11-28"},
			map[string]string{"state": "failure", "description": "no", "context": "camfleet/north", "target_url": target},
		},
		{
			"gitlab", "/api/v4/projects/acme%2Four.fleet/statuses/" + sha,
			[]string{"Private-Token", token, "Authorization", ""},
			map[string]string{"state": "failed", "description": "no", "name": "camfleet/north", "target_url": target},
		},
		{
			"gitea", "/api/v1/repos/acme/our.fleet/statuses/" + sha,
			[]string{"Authorization", "token " + token},
			map[string]string{"state": "failure", "description": "no", "context": "camfleet/north", "target_url": target},
		},
	} {
		t.Run(c.kind, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.kind)
			w.run()
			w.Tell(notify.State{Commit: sha, Level: notify.Failure, Description: " no\n"})
			w.sent(1)
			got := w.requests()[0]
			if got.method != "POST" || got.uri != c.uri || !reflect.DeepEqual(got.body, c.body) {
				t.Errorf("%s %s %v", got.method, got.uri, got.body)
			}
			for i := 0; i < len(c.header); i += 2 {
				if v := got.header.Get(c.header[i]); v != c.header[i+1] {
					t.Errorf("%s: %q, want %q", c.header[i], v, c.header[i+1])
				}
			}
			for level, word := range map[notify.Level]string{notify.Pending: "pending", notify.Success: "success"} {
				w.Tell(notify.State{Commit: sha, Level: level})
				w.until(word, func(notify.Counts) bool { g := w.requests(); return g[len(g)-1].body["state"] == word })
			}
		})
	}
}

// addressed is where a status would go.
func addressed(t *testing.T, cfg notify.Config) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	to := make(chan string, 1)
	cfg.TokenFile, cfg.Transport = file, transport(func(r *http.Request) (*http.Response, error) {
		to <- r.URL.String()
		return &http.Response{StatusCode: 201, Body: http.NoBody}, nil
	})
	n, err := notify.New(cfg)
	if err != nil {
		return "", err
	}
	go func() { _ = n.Run(t.Context()) }()
	n.Tell(notify.State{Commit: "SHA", Level: notify.Success})
	return <-to, nil
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ kind, repository, api, want string }{
		{"github", "https://github.com/acme/fleet.git", "", "https://api.github.com/repos/acme/fleet/statuses/SHA"},
		{"github", "https://GitHub.com/acme/fleet/", "", "https://api.github.com/repos/acme/fleet/statuses/SHA"},
		{"github", "ssh://git@github.com/acme/fleet.git", "", "https://api.github.com/repos/acme/fleet/statuses/SHA"},
		{"github", "git@github.com:acme/fleet.git", "", "https://api.github.com/repos/acme/fleet/statuses/SHA"},
		{"github", "https://git.example.org/acme/fleet", "", "https://git.example.org/api/v3/repos/acme/fleet/statuses/SHA"},
		{"github", "ssh://git@git.example.org:2222/acme/fleet", "https://git.example.org:8443/api/v3/", "https://git.example.org:8443/api/v3/repos/acme/fleet/statuses/SHA"},
		{"gitlab", "https://gitlab.com/group/sub/fleet.git", "", "https://gitlab.com/api/v4/projects/group%2Fsub%2Ffleet/statuses/SHA"},
		{"gitlab", "ssh://git@[2001:db8::1]:22/group/fleet", "", "https://[2001:db8::1]/api/v4/projects/group%2Ffleet/statuses/SHA"},
		{"gitlab", "https://example.org/gitlab/group/fleet", "https://example.org/gitlab/api/v4", "https://example.org/gitlab/api/v4/projects/group%2Ffleet/statuses/SHA"},
		{"gitea", "https://example.org:3000/acme/fleet", "", "https://example.org:3000/api/v1/repos/acme/fleet/statuses/SHA"},
		{"gitea", "http://127.0.0.1:3000/acme/fleet", "", "http://127.0.0.1:3000/api/v1/repos/acme/fleet/statuses/SHA"},
		{"gitea", "https://example.org/acme/..", "", "https://example.org/api/v1/repos/acme/../statuses/SHA"},
		{"gitea", "https://example.org/acme/a b", "", "https://example.org/api/v1/repos/acme/a%20b/statuses/SHA"},
		{"bitbucket", "https://example.org/acme/fleet", "", "only github, gitlab and gitea"},
		{"gitea", "http://example.org/acme/fleet", "", "use https"},
		{"gitea", "https://example.org/acme/fleet", "http://example.org/api/v1", "use https"},
		{"gitea", "https://example.org/acme/fleet", "https://me:pass@example.org/api/v1", "not like https://"},
		{"gitea", "https://example.org/acme/fleet", "api", "not like https://"},
		{"gitea", "/srv/fleet", "", "needs a repository on a server"},
		{"gitea", "file:///srv/fleet", "", "needs a repository on a server"},
		{"gitea", "https://example.org/", "", "needs a repository on a server"},
		{"gitea", "https://example.org/fleet", "", "not in OWNER/REPOSITORY"},
		{"github", "https://github.com/a/b/c", "", "not in OWNER/REPOSITORY"},
		{"gitlab", "https://gitlab.com/fleet", "", "not in GROUP/PROJECT"},
	} {
		got, err := addressed(t, notify.Config{Kind: c.kind, Repository: c.repository, API: c.api})
		if got != c.want && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s %s: %q, %v; want %q", c.kind, c.repository, got, err, c.want)
		}
	}
	if got, err := addressed(t, notify.Config{Kind: "gitea", Repository: "http://example.org/acme/fleet", AllowHTTP: true}); err != nil || got == "" {
		t.Error(err)
	}
	if _, err := notify.New(notify.Config{Kind: "gitea", Repository: "https://example.org/a/b"}); err == nil || !strings.Contains(err.Error(), "token-file") {
		t.Error(err)
	}
}

func state(commit string, level notify.Level, what string) notify.State {
	return notify.State{Commit: commit, Level: level, Description: what}
}

func TestToldOnlyWhenChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "github")
	w.run()
	w.Tell(state(sha, notify.Success, "applied"))
	w.sent(1)
	for range 10 {
		w.Tell(state(sha, notify.Success, "applied"))
		w.Tell(state("", notify.Success, "of no commit"))
		w.Tell(notify.State{Commit: sha})
	}
	w.Tell(state("other", notify.Pending, "waits"))
	w.sent(2)
	w.Tell(state(sha, notify.Failure, "not any more"))
	w.sent(3)
	if n := len(w.requests()); n != 3 {
		t.Errorf("%d requests", n)
	}
}

// Nothing waits for a server that does not answer, and what counts in the end is told.
func TestServerIsDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "github")
	for i := range 1000 { // nobody even sends yet
		w.Tell(state(fmt.Sprint("commit-", i), notify.Pending, "begun"))
		w.Tell(state(fmt.Sprint("commit-", i), notify.Success, "applied"))
	}
	if c := w.Counts(); c.Waiting != 8 || c.Dropped != 992 {
		t.Errorf("%+v", c)
	}
	w.answers(code(502))
	w.run()
	if d := w.failed(8); d > time.Second {
		t.Errorf("tried again after %v", d)
	}
	var waited time.Duration
	for i := range 12 {
		d, _ := w.clock.Next()
		waited += d
		w.clock.Advance(d)
		w.failed(uint64(16 + 8*i))
	}
	if waited < 15*time.Minute || waited > 40*time.Minute {
		t.Errorf("twelve attempts took %v", waited)
	}
	w.answers(nil)
	d, _ := w.clock.Next()
	w.clock.Advance(d)
	w.sent(8)
	got := w.requests()
	if last := got[len(got)-8]; !strings.HasSuffix(last.uri, "/commit-999") || last.body["state"] != "success" {
		t.Errorf("the newest commit was not the first: %+v", last)
	}
	if strings.Contains(w.log.String(), token) {
		t.Errorf("the token is in the log: %s", w.log)
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	in10min := fmt.Sprint(start.Add(10 * time.Minute).Unix())
	for _, c := range []struct {
		name  string
		kind  string
		wait  time.Duration // until it is tried again; 0: it is not
		reply func(http.ResponseWriter, *http.Request)
	}{
		{"Retry-After", "github", 90 * time.Second, code(429, "Retry-After", "90")},
		{"Retry-After of 503", "github", 90 * time.Second, code(503, "Retry-After", "90")},
		{"Retry-After as a date", "gitea", 2 * time.Minute, code(429, "Retry-After", start.Add(2*time.Minute).Format(http.TimeFormat))},
		{"a very long time", "github", time.Hour, code(429, "Retry-After", "99999999999")},
		{"a negative time", "github", time.Minute, code(429, "Retry-After", "-5")},
		{"GitHub's rate limit", "github", 10 * time.Minute, code(403, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", in10min)},
		{"GitLab's rate limit", "gitlab", 10 * time.Minute, code(429, "RateLimit-Remaining", "0", "RateLimit-Reset", in10min)},
		{"without a time", "github", time.Minute, code(429)},
		{"not allowed", "github", 5 * time.Minute, code(403)},
		{"wrong token", "github", 5 * time.Minute, code(401)},
		{"hidden", "gitlab", 5 * time.Minute, code(404)},
		{"out of order", "github", time.Second, code(500)},
		{"no such commit", "github", 0, code(422)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.kind)
			w.answers(c.reply)
			w.run()
			w.Tell(state(sha, notify.Success, "applied"))
			if c.wait == 0 {
				w.until("given up", func(s notify.Counts) bool { return s.Dropped == 1 && s.Waiting == 0 })
				return
			}
			if d := w.failed(1); d != c.wait && d != 5*time.Minute || d < c.wait {
				t.Errorf("tried again after %v, want %v", d, c.wait)
			}
			w.answers(nil)
			w.clock.Advance(time.Hour)
			w.sent(1)
		})
	}
}

// GitLab calls it an error to be told what it knows.
func TestGitLabKnowsAlready(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "gitlab")
	w.answers(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"message":"Cannot transition status via :enqueue from :pending (Reason(s): Status cannot transition via \"enqueue\")"}`, 400)
	})
	w.run()
	w.Tell(state(sha, notify.Pending, "waits"))
	w.sent(1)
}

// A token that is not accepted, replaced by one that is; and one that never is.
func TestTokenIsReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "github")
	w.answers(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer new" {
			code(401)(rw, r)
			return
		}
		rw.WriteHeader(201)
	})
	w.run()
	w.Tell(state(sha, notify.Success, "applied"))
	d := w.failed(1)
	w.setToken("new")
	w.clock.Advance(d)
	w.sent(1)
	w.setToken("wrong\ntoken") // two lines are no token, and are not sent
	w.Tell(state(sha, notify.Failure, "x"))
	d = w.failed(2)
	if n := len(w.requests()); n != 2 {
		t.Errorf("%d requests", n)
	}
	w.setToken("wrong")
	for i := range uint64(4) {
		w.clock.Advance(d)
		d = w.failed(3 + i)
	}
	w.clock.Advance(d)
	w.until("given up", func(c notify.Counts) bool { return c.Dropped == 1 && c.Failed == 7 })
	if strings.Contains(w.log.String(), "Bearer "+token) || !strings.Contains(w.log.String(), "given up") {
		t.Error(w.log)
	}
}

// The token goes to no other server, whatever this one answers.
func TestRedirects(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, kind := range []string{"github", "gitlab"} {
			leaked := make(chan http.Header, 10)
			other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { leaked <- r.Header }))
			defer other.Close()
			w := newWorld(t, kind)
			w.answers(func(rw http.ResponseWriter, r *http.Request) {
				rw.Header().Set("Location", other.URL+r.URL.Path)
				rw.WriteHeader(status)
			})
			w.run()
			w.Tell(state(sha, notify.Success, "applied"))
			w.failed(1)
			select {
			case h := <-leaked:
				t.Errorf("%d: the other server got %v", status, h)
			default:
			}
			if !strings.Contains(w.log.String(), "has the repository moved?") {
				t.Error(w.log)
			}
		}
	}
	// On the same server a renamed repository is found.
	w := newWorld(t, "github")
	w.answers(func(rw http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/api/v3/repositories/7/") {
			http.Redirect(rw, r, "/api/v3/repositories/7/statuses/"+sha, http.StatusTemporaryRedirect)
			return
		}
		rw.WriteHeader(201)
	})
	w.run()
	w.Tell(state(sha, notify.Success, "applied"))
	w.sent(1)
}

// A state that changes all the time is not told all the time.
func TestFlapping(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "github")
	w.run()
	for i := range uint64(20) {
		w.Tell(state(sha, notify.Failure, fmt.Sprint("tried ", i)))
		w.sent(i + 1)
	}
	for i := range 100 {
		w.Tell(state(sha, notify.Failure, fmt.Sprint("tried again ", i)))
	}
	w.Tell(state("other", notify.Success, "is not held up"))
	w.until("told of the other", func(c notify.Counts) bool { return c.Sent == 21 })
	if err := w.clock.Waiting(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if d, _ := w.clock.Next(); d != 5*time.Minute {
		t.Errorf("the next after %v", d)
	}
	w.clock.Advance(5 * time.Minute)
	w.sent(22)
	if got := w.requests(); got[21].body["description"] != "tried again 99" {
		t.Errorf("%+v", got[21])
	}
}
