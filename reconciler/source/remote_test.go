package source_test

import (
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"camfleet.dev/reconciler/source"
	"camfleet.dev/reconciler/source/sourcetest"
)

// serve gives a repository's server and its address there.
func serve(t *testing.T, repo *sourcetest.Repo) (*sourcetest.Server, string) {
	t.Helper()
	server := sourcetest.NewServer(t, filepath.Dir(repo.Dir))
	return server, server.URL + "/" + filepath.Base(repo.Dir) + "/.git"
}

func tokenFile(t *testing.T, token string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(name, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestRemote(t *testing.T) {
	t.Parallel()
	repo := sourcetest.NewRepo(t)
	repo.Commit("old", "1")
	hash := repo.Commit("fleet.cue", "package fleet\n", "sites/gate/site.cue", "package site\n")
	server, url := serve(t, repo)
	for _, branch := range []string{"", "main"} {
		s := newSource(t, source.Config{URL: url, Branch: branch})
		c := fetch(t, s, "")
		if c.Hash != hash {
			t.Errorf("branch %q: commit %s, want %s", branch, c.Hash, hash)
		}
		if err := fstest.TestFS(c.FS, "fleet.cue", "sites/gate/site.cue"); err != nil {
			t.Error(err)
		}
		requests, fetches := server.Requests.Load(), server.Fetches.Load()
		if again := fetch(t, s, hash); again != nil {
			t.Errorf("unchanged HEAD gave %s", again.Hash)
		}
		if r, f := server.Requests.Load()-requests, server.Fetches.Load()-fetches; r != 1 || f != 0 {
			t.Errorf("unchanged HEAD cost %d requests and %d fetches, want one ls-remote", r, f)
		}
	}
	wantError(t, newSource(t, source.Config{URL: url, Branch: "prod"}), `no branch "prod"`, "main")
	wantError(t, newSource(t, source.Config{URL: server.URL + "/nothing.git"}), "check the address")
}

func TestRemoteFollowsForcePush(t *testing.T) {
	t.Parallel()
	repo := sourcetest.NewRepo(t)
	first := repo.Commit("a", "1")
	second := repo.Commit("a", "2")
	_, url := serve(t, repo)
	s := newSource(t, source.Config{URL: url})
	if c := fetch(t, s, ""); c.Hash != second {
		t.Fatalf("got %s, want %s", c.Hash, second)
	}
	repo.Git("reset", "-q", "--hard", first)
	if c := fetch(t, s, second); c == nil || c.Hash != first {
		t.Fatalf("after a force-push got %v, want %s", c, first)
	}
}

func TestRemoteToken(t *testing.T) {
	t.Parallel()
	repo := sourcetest.NewRepo(t)
	repo.Commit("a", "1")
	server, url := serve(t, repo)
	server.Token = "s3cret-token"
	wantError(t, newSource(t, source.Config{URL: url}), "--token-file")
	wantError(t, newSource(t, source.Config{URL: url, TokenFile: "/nowhere"}), "reading the token")

	file := tokenFile(t, "wrong-token")
	s := newSource(t, source.Config{URL: url, TokenFile: file})
	wantError(t, s, "token is not accepted")
	if _, err := s.Fetch(t.Context(), ""); strings.Contains(err.Error(), "wrong-token") {
		t.Errorf("the error shows the token: %v", err)
	}
	if err := os.WriteFile(file, []byte("s3cret-token"), 0o600); err != nil {
		t.Fatal(err)
	}
	if fetch(t, s, "") == nil {
		t.Error("a rotated token was not taken up")
	}
}

// A server that sends us elsewhere must not make us hand the token to the other host.
func TestRemoteRedirectKeepsToken(t *testing.T) {
	t.Parallel()
	leaked := make(chan string, 10)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		leaked <- r.Header.Get("Authorization")
		http.Error(w, "no", http.StatusNotFound)
	}))
	defer other.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(other.URL, "http://"), ":")
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://localhost:"+port+r.URL.Path+"?"+r.URL.RawQuery, http.StatusFound)
	}))
	defer first.Close()
	wantError(t, newSource(t, source.Config{URL: first.URL + "/fleet.git", TokenFile: tokenFile(t, "s3cret")}))
	close(leaked)
	for header := range leaked {
		if header != "" {
			t.Errorf("the token went to another host: %q", header)
		}
	}
}

func TestRemoteTooLarge(t *testing.T) {
	t.Parallel()
	repo := sourcetest.NewRepo(t)
	noise := make([]byte, 300_000) // does not compress
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	repo.Commit("big.bin", string(noise))
	_, url := serve(t, repo)
	s := newSource(t, source.Config{URL: url, Limits: source.Limits{Files: 10, FileBytes: 1000, Bytes: 100_000}})
	wantError(t, s, "larger than 100000 bytes")
}

func TestRemoteGoneAndBack(t *testing.T) {
	t.Parallel()
	repo := sourcetest.NewRepo(t)
	hash := repo.Commit("a", "1")
	_, url := serve(t, repo)
	s := newSource(t, source.Config{URL: url})
	if err := os.Rename(repo.Dir, repo.Dir+"-gone"); err != nil {
		t.Fatal(err)
	}
	wantError(t, s, "repository")
	if err := os.Rename(repo.Dir+"-gone", repo.Dir); err != nil {
		t.Fatal(err)
	}
	if c := fetch(t, s, ""); c.Hash != hash {
		t.Errorf("after it came back got %s, want %s", c.Hash, hash)
	}
}
