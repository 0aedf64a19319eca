package source_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"camfleet.dev/reconciler/source"
	"camfleet.dev/reconciler/source/sourcetest"
)

func newSource(t *testing.T, cfg source.Config) *source.Source {
	t.Helper()
	s, err := source.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func fetch(t *testing.T, s *source.Source, have string) *source.Commit {
	t.Helper()
	c, err := s.Fetch(context.Background(), have)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func wantError(t *testing.T, s *source.Source, words ...string) {
	t.Helper()
	c, err := s.Fetch(context.Background(), "")
	if err == nil {
		t.Fatalf("fetched %s, want an error about %q", c.Hash, words)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}

func TestFolderWithAndWithoutWorkTree(t *testing.T) {
	t.Parallel()
	repo := sourcetest.NewRepo(t)
	hash := repo.Commit("fleet.cue", "package fleet\n", "sites/gate/site.cue", "package site\n", "b", "1", "b.d/x", "2")
	bare := filepath.Join(t.TempDir(), "fleet.git")
	repo.Git("clone", "-q", "--bare", repo.Dir, bare)
	repo.Write("fleet.cue", "not committed")
	for _, url := range []string{repo.Dir, bare, "file://" + repo.Dir} {
		s := newSource(t, source.Config{URL: url})
		c := fetch(t, s, "")
		if c.Hash != hash || c.Subject != "Change the fleet" || c.Time.IsZero() {
			t.Errorf("%s: commit %+v, want hash %s", url, c, hash)
		}
		if err := fstest.TestFS(c.FS, "fleet.cue", "sites/gate/site.cue", "b", "b.d/x"); err != nil {
			t.Errorf("%s: %v", url, err)
		}
		if b, err := fs.ReadFile(c.FS, "fleet.cue"); err != nil || string(b) != "package fleet\n" {
			t.Errorf("%s: fleet.cue is %q, %v", url, b, err)
		}
		if again := fetch(t, s, c.Hash); again != nil {
			t.Errorf("%s: unchanged HEAD gave commit %s", url, again.Hash)
		}
	}
}

func TestNewestCommitBranchAndForcePush(t *testing.T) {
	t.Parallel()
	repo := sourcetest.NewRepo(t)
	first := repo.Commit("a", "1")
	second := repo.Commit("a", "2")
	s := newSource(t, source.Config{URL: repo.Dir, Branch: "main"})
	if c := fetch(t, s, first); c == nil || c.Hash != second {
		t.Fatalf("got %v, want %s", c, second)
	}
	repo.Git("reset", "-q", "--hard", first)
	other := repo.Commit("a", "3")
	repo.Git("gc", "-q", "--prune=now", "--aggressive")
	if c := fetch(t, s, second); c == nil || c.Hash != other {
		t.Fatalf("after a rewritten history got %v, want %s", c, other)
	}
}

func TestSubfolder(t *testing.T) {
	t.Parallel()
	repo := sourcetest.NewRepo(t)
	repo.Commit("deploy/fleet/fleet.cue", "package fleet\n", "README", "x")
	c := fetch(t, newSource(t, source.Config{URL: repo.Dir, Path: "deploy/fleet"}), "")
	if err := fstest.TestFS(c.FS, "fleet.cue"); err != nil {
		t.Error(err)
	}
	wantError(t, newSource(t, source.Config{URL: repo.Dir, Path: "fleet"}), `no folder "fleet"`)
}

func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	repo := sourcetest.NewRepo(t)
	empty := newSource(t, source.Config{URL: repo.Dir})
	wantError(t, empty, "no commits yet")
	repo.Commit("a", "1")
	wantError(t, newSource(t, source.Config{URL: repo.Dir, Branch: "prod"}), `no branch "prod"`, "main")
	wantError(t, newSource(t, source.Config{URL: filepath.Join(repo.Dir, "nowhere")}), "no such folder", "nowhere")
	wantError(t, newSource(t, source.Config{URL: t.TempDir()}), "no Git repository", "--path")

	if err := os.Symlink("/etc/passwd", filepath.Join(repo.Dir, "passwd.cue")); err != nil {
		t.Fatal(err)
	}
	repo.Commit()
	head := repo.Git("rev-parse", "HEAD")
	repo.Git("update-index", "--add", "--cacheinfo", "160000,"+head+",vendor/lib")
	repo.Git("commit", "-q", "-m", "submodule")
	wantError(t, empty, "passwd.cue is a symbolic link", "vendor/lib is a submodule")
	_, err := empty.Fetch(t.Context(), "")
	var refused *source.RefusedError
	if !errors.As(err, &refused) || len(refused.Files) != 2 || refused.Files[0].File != "passwd.cue" {
		t.Errorf("refused %+v, want two files", refused)
	}
}

func TestHostileNames(t *testing.T) {
	t.Parallel()
	repo := sourcetest.NewRepo(t)
	repo.Write("x", "1")
	blob := repo.Git("hash-object", "-w", "x")
	for name, words := range map[string]string{
		"bad\xff.cue": "not UTF-8",
		`..\evil.cue`: "backslash",
		"a\x1b[31m\n": "a [31m  has a name with a control character",
	} {
		repo.Git("read-tree", "--empty")
		repo.Git("update-index", "--add", "--cacheinfo", "100644,"+blob+","+name)
		repo.Git("commit", "-q", "-m", "hostile")
		wantError(t, newSource(t, source.Config{URL: repo.Dir}), words)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	repo := sourcetest.NewRepo(t)
	repo.Commit("a", "1", "big.bin", strings.Repeat("x", 2000))
	limits := source.Limits{Files: 10, FileBytes: 1000, Bytes: 5000}
	c := fetch(t, newSource(t, source.Config{URL: repo.Dir, Limits: limits}), "")
	if _, err := fs.ReadFile(c.FS, "big.bin"); err == nil || !strings.Contains(err.Error(), "2000 bytes, at most 1000") {
		t.Errorf("reading a file over the limit: %v", err)
	}
	if i, err := fs.Stat(c.FS, "big.bin"); err != nil || i.Size() != 2000 {
		t.Errorf("stat of a file over the limit: %v, %v", i, err)
	}
	limits.Files = 1
	wantError(t, newSource(t, source.Config{URL: repo.Dir, Limits: limits}), "more than 1 files")
	limits = source.Limits{Files: 10, FileBytes: 3000, Bytes: 1500}
	wantError(t, newSource(t, source.Config{URL: repo.Dir, Limits: limits}), "larger than 1500 bytes together")
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	repo := sourcetest.NewRepo(t)
	repo.Commit("a", "1")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := newSource(t, source.Config{URL: repo.Dir}).Fetch(ctx, ""); err == nil {
		t.Error("a cancelled fetch succeeded")
	}
}
