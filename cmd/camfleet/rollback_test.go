package main

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"camfleet.dev/reconciler/source/sourcetest"
)

func rollback(t *testing.T, args ...string) (string, int) {
	t.Helper()
	var out bytes.Buffer
	code := run(t.Context(), append([]string{"rollback"}, args...), nil, &out, &out)
	return out.String(), code
}

// TestRollback runs what is printed, and looks whether the files are as they were.
func TestRollback(t *testing.T) {
	t.Parallel()
	repo := sourcetest.NewRepo(t)
	first := repo.Commit("fleet.cue", "1")
	if out, code := rollback(t, repo.Dir); code != exitUsage || !strings.Contains(out, "one commit only") {
		t.Errorf("one commit: %d, %s", code, out)
	}
	repo.Commit("fleet.cue", "2")
	repo.Git("checkout", "-q", "-b", "side", first)
	repo.Commit("side.cue", "3")
	repo.Git("checkout", "-q", "main")
	repo.Git("merge", "-q", "--no-edit", "-m", "Merge\tside", "side")
	repo.Commit("fleet.cue", "4")

	for _, c := range []struct {
		args    []string
		reverts int
		fleet   string
		side    bool
	}{
		{nil, 1, "2", true},                      // 4
		{[]string{"--to", first}, 4, "1", false}, // the revert, 4, the merge, 2
	} {
		out, code := rollback(t, append(c.args, repo.Dir)...)
		if n := strings.Count(out, "git revert"); code != exitOK || n != c.reverts {
			t.Fatalf("%v: exit code %d, %d reverts, want %d:\n%s", c.args, code, n, c.reverts, out)
		}
		cmd := exec.Command("sh", "-ec", strings.ReplaceAll(out, "git push", ""))
		cmd.Dir = repo.Dir
		cmd.Env = append(cmd.Environ(), "GIT_AUTHOR_NAME=T", "GIT_AUTHOR_EMAIL=t@example.org", "GIT_COMMITTER_NAME=T", "GIT_COMMITTER_EMAIL=t@example.org")
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("running what was printed: %v\n%s\n%s", err, out, text)
		}
		if got := repo.Git("show", "HEAD:fleet.cue"); got != c.fleet {
			t.Errorf("%v: fleet.cue is %q, want %q", c.args, got, c.fleet)
		}
		if got := strings.Contains(repo.Git("ls-files"), "side.cue"); got != c.side {
			t.Errorf("%v: side.cue is there: %v, want %v", c.args, got, c.side)
		}
	}
}

func TestRollbackRefuses(t *testing.T) {
	t.Parallel()
	repo := sourcetest.NewRepo(t)
	repo.Commit("a", "1")
	repo.Commit("a", "2")
	repo.Git("checkout", "-q", "--orphan", "other")
	other := repo.Commit("b", "1")
	repo.Git("checkout", "-q", "main")
	for want, args := range map[string][]string{
		"in no Git repository":                   {t.TempDir()},
		"no such commit":                         {"--to", "feature", repo.Dir},
		"is not among":                           {"--to", other, repo.Dir},
		"--to HEAD~500: there is no such commit": {"--to", "HEAD~500", repo.Dir},
		"nothing to undo":                        {"--to", "HEAD", repo.Dir},
	} {
		if out, code := rollback(t, args...); code != exitUsage || !strings.Contains(out, want) {
			t.Errorf("%v: %d, %s; want %q", args, code, out, want)
		}
	}
}

func TestRollbackPrintsNoControlCharacters(t *testing.T) {
	t.Parallel()
	repo := sourcetest.NewRepo(t)
	repo.Commit("a", "1")
	repo.Write("a", "2")
	repo.Git("commit", "-qam", "x\x1b[31m\rgit push --force")
	out, _ := rollback(t, repo.Dir)
	if strings.ContainsAny(out, "\x1b\r") || strings.Count(out, "\n") != 3 {
		t.Errorf("%q", out)
	}
}
