// Package sourcetest makes Git repositories and real Git servers for tests.
package sourcetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Repo is a repository with a work tree in a temporary folder.
type Repo struct {
	t   testing.TB
	Dir string
}

// NewRepo makes an empty repository whose branch is main.
func NewRepo(t testing.TB) *Repo {
	t.Helper()
	r := &Repo{t: t, Dir: t.TempDir()}
	r.Git("init", "-q", "-b", "main")
	return r
}

// Git runs git in the work tree, without the machine's own configuration, and
// returns what it printed.
func (r *Repo) Git(args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = r.Dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=Test", "GIT_AUTHOR_EMAIL=test@camfleet.dev", "GIT_COMMITTER_NAME=Test", "GIT_COMMITTER_EMAIL=test@camfleet.dev")
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// Write puts files (path, content, path, content …) into the work tree.
func (r *Repo) Write(pairs ...string) {
	r.t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		name := filepath.Join(r.Dir, filepath.FromSlash(pairs[i]))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			r.t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(pairs[i+1]), 0o644); err != nil {
			r.t.Fatal(err)
		}
	}
}

// Commit writes files and commits everything; it returns the commit's hash.
func (r *Repo) Commit(pairs ...string) string {
	r.t.Helper()
	r.Write(pairs...)
	r.Git("add", "-A")
	r.Git("commit", "-q", "--allow-empty", "-m", "Change the fleet\n\nwith a body")
	return r.Git("rev-parse", "HEAD")
}
