package source_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"camfleet.dev/reconciler/source"
	"camfleet.dev/reconciler/source/sourcetest"
)

// A commit by its hash: the newest, an old one, and one that no branch has.
func TestFetchCommit(t *testing.T) {
	t.Parallel()
	repo := sourcetest.NewRepo(t)
	old := repo.Commit("fleet.cue", "old", "same.cue", "same")
	head := repo.Commit("fleet.cue", "new")
	repo.Git("checkout", "-q", "--detach")
	lost := repo.Commit("fleet.cue", "lost")
	repo.Git("checkout", "-q", "main")
	_, http := serve(t, repo)
	for _, from := range []string{repo.Dir, http} {
		for _, first := range []bool{false, true} {
			s := newSource(t, source.Config{URL: from})
			if first {
				fetch(t, s, "")
			}
			for hash, content := range map[string]string{old: "old", head: "new"} {
				c, err := s.FetchCommit(t.Context(), hash)
				if err != nil {
					t.Fatalf("%s: %v", from, err)
				}
				if c.Hash != hash || c.FS == nil {
					t.Errorf("%s: %+v, want %s", from, c, hash)
				}
				wantFile(t, c, "fleet.cue", content)
				wantFile(t, c, "same.cue", "same")
			}
			// What Fetch says is not changed by that.
			if c := fetch(t, s, head); c != nil {
				t.Errorf("%s: %+v, and nothing changed", from, c)
			}
			if c := fetch(t, s, old); c.Hash != head {
				t.Errorf("%s: %+v, want %s", from, c, head)
			}
			wantNoCommit(t, s, strings.Repeat("1", 40), "1111111")
			wantNoCommit(t, s, "main", "not a whole hash")
			wantNoCommit(t, s, old[:12], "not a whole hash")
			if from == http {
				wantNoCommit(t, s, lost, "does not give out that commit")
			} else if c, err := s.FetchCommit(t.Context(), lost); err != nil || c.Hash != lost {
				t.Errorf("%+v, %v", c, err)
			}
		}
	}
	repo.Git("config", "uploadpack.allowAnySHA1InWant", "true") // as GitHub and GitLab have it
	if c, err := newSource(t, source.Config{URL: http}).FetchCommit(t.Context(), lost); err != nil || c.Hash != lost {
		t.Errorf("%+v, %v", c, err)
	}
}

func wantNoCommit(t *testing.T, s *source.Source, hash, words string) {
	t.Helper()
	if c, err := s.FetchCommit(t.Context(), hash); err == nil || !strings.Contains(err.Error(), words) {
		t.Errorf("%s: %+v, %v, want %q", s, c, err, words)
	}
}

func wantFile(t *testing.T, c *source.Commit, name, content string) {
	t.Helper()
	if err := fstest.TestFS(c.FS, name); err != nil {
		t.Error(err)
	}
	b := make([]byte, len(content)+1)
	f, err := c.FS.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if n, _ := f.Read(b); string(b[:n]) != content {
		t.Errorf("%s is %q, want %q", name, b[:n], content)
	}
}

// A signature is asked for there, too.
func TestFetchCommitVerifies(t *testing.T) {
	t.Parallel()
	key := sourcetest.NewKey(t, "ed25519")
	repo := sourcetest.NewRepo(t)
	unsigned := repo.Commit("fleet.cue", "1")
	repo.SignWith(key)
	signed := repo.Commit("fleet.cue", "2")
	s := newSource(t, source.Config{URL: repo.Dir, AllowedSigners: allow(t, "alice "+key.Public())})
	wantNoCommit(t, s, unsigned, "it is not signed")
	if c, err := s.FetchCommit(t.Context(), signed); err != nil || c.Signer == "" {
		t.Errorf("%+v, %v", c, err)
	}
	wantNoCommit(t, newSource(t, source.Config{URL: repo.Dir, AllowedSigners: "/nowhere"}), signed, "allowed signers")
	wantNoCommit(t, newSource(t, source.Config{URL: "/nowhere"}), signed, "no such folder")
}

// What is outside of --path is not kept, and comes when it moves inside.
func TestSubfolderMoves(t *testing.T) {
	t.Parallel()
	repo := sourcetest.NewRepo(t)
	repo.Commit("fleet/fleet.cue", "1", "elsewhere/site.cue", "moved")
	server, http := serve(t, repo)
	s := newSource(t, source.Config{URL: http, Path: "fleet"})
	c := fetch(t, s, "")
	repo.Git("mv", "elsewhere/site.cue", "fleet/site.cue")
	hash := repo.Commit()
	if c = fetch(t, s, c.Hash); c.Hash != hash {
		t.Errorf("%+v", c)
	}
	wantFile(t, c, "site.cue", "moved")
	if n := server.Fetches.Load(); n != 3 {
		t.Errorf("%d fetches, want the first, one that is not enough, and a whole one", n)
	}
}

func TestSubjects(t *testing.T) {
	t.Parallel()
	repo := sourcetest.NewRepo(t)
	repo.Write("fleet.cue", "1")
	repo.Git("add", ".")
	for message, want := range map[string]string{
		"plain\n\nbody":                   "plain",
		"\x1b[31mred\tand bad \xff\n":     "[31mred and bad \uFFFD",
		strings.Repeat("ü", 300):          strings.Repeat("ü", 199) + "…",
		"\u202eevil right to left\u200b.": "evil right to left .",
	} {
		repo.Git("-c", "i18n.commitEncoding=latin1", "commit", "-q", "--allow-empty", "--cleanup=verbatim", "-m", message)
		if c := fetch(t, newSource(t, source.Config{URL: repo.Dir}), ""); c.Subject != want {
			t.Errorf("%q became %q, want %q", message, c.Subject, want)
		}
	}
}
