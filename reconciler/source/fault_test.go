package source_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"camfleet.dev/reconciler/source"
	"camfleet.dev/reconciler/source/sourcetest"
)

// faults are what people and accidents do to a repository, and what the error says of it.
var faults = []struct {
	name    string
	do      func(t *testing.T, r *sourcetest.Repo)
	words   []string
	refused bool // the commit is refused for good, and is not fetched again
}{
	{"emptied", func(_ *testing.T, r *sourcetest.Repo) {
		r.Git("update-ref", "-d", "refs/heads/main")
	}, []string{"no commits yet"}, false},
	{"empty tree", func(_ *testing.T, r *sourcetest.Repo) {
		r.Git("rm", "-q", "-r", ".")
		r.Git("commit", "-q", "-m", "oops")
	}, []string{"holds no files", "not taken for a fleet without cameras"}, true},
	{"symlink out", func(t *testing.T, r *sourcetest.Repo) {
		if err := os.Symlink("../../../etc/passwd", filepath.Join(r.Dir, "passwd.cue")); err != nil {
			t.Fatal(err)
		}
		r.Commit()
	}, []string{"passwd.cue is a symbolic link", "put the file itself there"}, true},
	{"submodule", func(_ *testing.T, r *sourcetest.Repo) {
		r.Git("update-index", "--add", "--cacheinfo", "160000,"+r.Git("rev-parse", "HEAD")+",vendor/lib")
		r.Git("commit", "-q", "-m", "submodule")
	}, []string{"vendor/lib is a submodule"}, true},
	{"path that is not UTF-8", func(_ *testing.T, r *sourcetest.Repo) {
		r.Git("update-index", "--add", "--cacheinfo", "100644,"+r.Git("rev-parse", "HEAD:fleet.cue")+",bad\xff.cue")
		r.Git("commit", "-q", "-m", "hostile")
	}, []string{"bad\uFFFD.cue has a name that is not UTF-8"}, true},
	{"unsigned", func(_ *testing.T, r *sourcetest.Repo) {
		r.SignWith(nil)
		r.Commit("fleet.cue", "unsigned")
	}, []string{"it is held: it is not signed", "git commit -S --allow-empty"}, true},
	{"deep folders", func(_ *testing.T, r *sourcetest.Repo) {
		r.Commit(strings.Repeat("deeper/", 200)+"fleet.cue", "1")
	}, []string{"names of more than 1024 bytes"}, true},
	{"broken history", func(t *testing.T, r *sourcetest.Repo) {
		blob := r.Git("rev-parse", "HEAD:fleet.cue")
		if err := os.Remove(filepath.Join(r.Dir, ".git", "objects", blob[:2], blob[2:])); err != nil {
			t.Fatal(err)
		}
	}, nil, false},
}

// Every fault is named, costs nothing beyond that, and is over when a good commit comes.
func TestFaults(t *testing.T) {
	t.Parallel()
	key := sourcetest.NewKey(t, "ed25519")
	file := allow(t, "alice "+key.Public())
	for _, fault := range faults {
		for _, kind := range []string{"folder", "http"} {
			t.Run(fault.name+" "+kind, func(t *testing.T) {
				t.Parallel()
				repo := sourcetest.NewRepo(t)
				repo.SignWith(key)
				good := repo.Commit("fleet.cue", "package fleet\n")
				server, from := serve(t, repo)
				if kind == "folder" {
					from = repo.Dir
				}
				s := newSource(t, source.Config{URL: from, AllowedSigners: file})
				if c := fetch(t, s, ""); c.Hash != good {
					t.Fatalf("%+v", c)
				}
				fault.do(t, repo)
				fetches := int64(0)
				for i := range 3 {
					c, err := s.Fetch(t.Context(), good)
					if fault.words == nil && (c != nil || err != nil) {
						t.Fatalf("an object that is not needed: %+v, %v", c, err)
					}
					for _, w := range append(fault.words, s.String()) {
						if fault.words != nil && (err == nil || !strings.Contains(err.Error(), w)) {
							t.Errorf("error %v does not say %q", err, w)
						}
					}
					if i == 0 {
						fetches = server.Fetches.Load()
					}
				}
				if n := server.Fetches.Load(); fault.refused && n != fetches {
					t.Errorf("a commit that is refused was fetched %d times", n-fetches+1)
				}
				repo.Git("update-ref", "refs/heads/main", good) // somebody pushes what was there
				if c, err := s.Fetch(t.Context(), good); c != nil || err != nil {
					t.Errorf("with the good commit again: %+v, %v", c, err)
				}
				mended(t, s, repo, good, key)
			})
		}
	}
}

// mended puts something good after what was bad, both on top of it and instead of it.
func mended(t *testing.T, s *source.Source, repo *sourcetest.Repo, good string, key *sourcetest.Key) {
	t.Helper()
	repo.Git("checkout", "-q", "-f", "--orphan", "mended")
	repo.Git("rm", "-q", "-r", "--cached", "--ignore-unmatch", ".")
	repo.Git("clean", "-q", "-f", "-d", "-x")
	repo.SignWith(key)
	hash := repo.Commit("fleet.cue", "package fleet // mended\n")
	repo.Git("branch", "-f", "main", "mended")
	repo.Git("symbolic-ref", "HEAD", "refs/heads/main")
	if c := fetch(t, s, good); c == nil || c.Hash != hash {
		t.Errorf("after it was mended got %+v, want %s", c, hash)
	}
}

// A file of 100 MB, of noise and of nothing, costs a bounded amount of memory.
// Not parallel: it looks at all that is allocated.
func TestHugeFile(t *testing.T) {
	const size, limit = 100 << 20, 4 << 20
	noise := make([]byte, size)
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"noise": string(noise), "zeros": string(make([]byte, size))} {
		repo := sourcetest.NewRepo(t)
		repo.Git("config", "core.compression", map[string]string{"noise": "0", "zeros": "1"}[name])
		good := repo.Commit("fleet.cue", "1")
		server, url := serve(t, repo)
		limits := source.Limits{Files: 100, FileBytes: 1 << 20, Bytes: limit}
		remote, local := newSource(t, source.Config{URL: url, Limits: limits}), newSource(t, source.Config{URL: repo.Dir, Limits: limits})
		fetch(t, remote, "")
		hash := repo.Commit("video.mp4", content)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 3 {
			var refused *source.RefusedError
			_, err := remote.Fetch(t.Context(), good)
			if !errors.As(err, &refused) || refused.Commit != hash || !strings.Contains(err.Error(), hash[:12]+": it is larger than 4194304 bytes") {
				t.Errorf("%s: %v", name, err)
			}
		}
		c := fetch(t, local, good) // there it can be left alone, and the rest is good
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 10*limit {
			t.Errorf("%s: %d MiB were allocated", name, n>>20)
		}
		if f, err := c.FS.Open("video.mp4"); err == nil || !strings.Contains(err.Error(), "104857600 bytes, at most 1048576") {
			t.Errorf("%s: %v, %v", name, f, err)
		}
		if n := server.Fetches.Load(); n != 2 {
			t.Errorf("%s: %d fetches of one good and one bad commit", name, n)
		}
		repo.Git("rm", "-q", "video.mp4")
		last := repo.Commit("fleet.cue", "2")
		if c := fetch(t, remote, good); c.Hash != last {
			t.Errorf("%s: after it was taken out: %+v", name, c)
		}
	}
}

// An object of a folder that is not what its name says is not believed.
func TestDamagedFolder(t *testing.T) {
	t.Parallel()
	repo := sourcetest.NewRepo(t)
	repo.Commit("fleet.cue", "good", "evil", "evil")
	loose := func(rev string) string {
		hash := repo.Git("rev-parse", rev)
		return filepath.Join(repo.Dir, ".git", "objects", hash[:2], hash[2:])
	}
	evil, err := os.ReadFile(loose("HEAD:evil"))
	if err != nil {
		t.Fatal(err)
	}
	s := newSource(t, source.Config{URL: repo.Dir})
	if err := os.Remove(loose("HEAD:fleet.cue")); err != nil {
		t.Fatal(err)
	}
	wantError(t, s, "fleet.cue", "lacks an object")
	if err := os.WriteFile(loose("HEAD:fleet.cue"), evil, 0o444); err != nil {
		t.Fatal(err)
	}
	wantError(t, s, "fleet.cue", "is damaged")
	if err := os.WriteFile(loose("HEAD:fleet.cue"), evil[:5], 0o444); err == nil {
		wantError(t, s, "fleet.cue")
	}
}

// A server that never ends its answers is left, whatever it answers to.
func TestEndlessServer(t *testing.T) {
	t.Parallel()
	zeros := make([]byte, 1<<20)
	endless := func(w http.ResponseWriter, first string) {
		_, _ = io.WriteString(w, first)
		for {
			if _, err := w.Write(zeros); err != nil {
				return
			}
		}
	}
	const list = "001e# service=git-upload-pack\n0000"
	ref := strings.Repeat("1", 40) + " refs/heads/main\x00shallow ofs-delta\n"
	for name, answer := range map[string]http.HandlerFunc{
		"list":  func(w http.ResponseWriter, _ *http.Request) { endless(w, list) },
		"error": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500); endless(w, "") },
		"pack": func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				fmt.Fprintf(w, "%s%04x%s0000", list, len(ref)+4, ref)
				return
			}
			endless(w, "0000"+"0008NAK\n"+"PACK\x00\x00\x00\x02\x00\x00\x00\x01")
		},
		"no pack": func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				fmt.Fprintf(w, "%s%04x%s0000", list, len(ref)+4, ref)
				return
			}
			fmt.Fprint(w, "0000"+"0008NAK\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(answer)
			defer server.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			limits := source.Limits{Files: 10, FileBytes: 1000, Bytes: 1 << 20}
			c, err := newSource(t, source.Config{URL: server.URL + "/x.git", Limits: limits}).Fetch(ctx, "")
			if err == nil || ctx.Err() != nil || len(err.Error()) > 1000 {
				t.Errorf("%+v, %.2000v", c, err)
			}
		})
	}
}
