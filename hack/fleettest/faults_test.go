package fleettest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"camfleet.dev/hack/cptest"
	"camfleet.dev/reconciler/source/sourcetest"
	"camfleet.dev/reconciler/status"
)

// faulty is a world whose Git server, repository or newest commit goes wrong.
type faulty struct {
	*World
	*Process
	file    string // of the allowed signers
	good    string // the last commit that was
	claims  string
	watched map[string]Object // Pods that nobody may touch
}

// reconcile starts the reconciler, or another one in its place.
func (f *faulty) reconcile() {
	f.World.Helper()
	if f.Process != nil {
		f.Stop()
	}
	f.Process = f.World.Reconcile("--lease", "2s", "--poll", "200ms", "--allowed-signers", f.file)
}

// heals deletes a Pod, and waits until it is there again.
func (f *faulty) heals(what string) {
	f.World.Helper()
	before := f.Pods()[healed].Metadata.UID
	f.Kubectl("delete", "pod", "-n", "camfleet-gate", "camera-c0", "--wait=false", "--grace-period=1")
	f.Eventually(what+": a deleted Pod is made anew", 15*time.Second, func() error {
		if p := f.Pods()[healed]; p.Metadata.UID == before || p.Status.Phase != "Running" {
			s, err := f.Status()
			return fmt.Errorf("it is %s; %s at %.12s: %s%s %q, %w", p.Status.Phase, s.State, s.Commit, s.FetchError, s.Unverified, s.Warnings, err)
		}
		return nil
	})
}

// untouched looks for what must not happen, whatever Git does.
func (f *faulty) untouched(what string) {
	f.World.Helper()
	pods := f.Pods()
	for id, was := range f.watched {
		if now := pods[id].Metadata; now.UID != was.Metadata.UID || now.DeletionTimestamp != "" {
			f.World.Errorf("%s: %s was deleted or replaced", what, id)
		}
	}
	if now := f.volumes(); now != f.claims {
		f.World.Errorf("%s: the claims were %q, and are %q", what, f.claims, now)
	}
}

func (f *faulty) volumes() string {
	return f.Kubectl("get", "pvc", "-A", "-o", "jsonpath={.items[*].metadata.uid}")
}

// says waits until the status names the cause, beside the commit that goes on.
func (f *faulty) says(what string, words ...string) {
	f.World.Helper()
	f.Wait(what+": the status names the cause", 20*time.Second, func(s status.Status) bool {
		said := s.FetchError + s.Unverified
		for _, word := range words {
			if !strings.Contains(said, word) {
				return false
			}
		}
		return s.Commit == f.good && len(s.Problems) == 0 && s.State != status.Synced && len(s.Cameras) == 3
	})
}

// back makes the good commit the newest one again.
func (f *faulty) back(what string) {
	f.World.Helper()
	f.Repo.Git("reset", "-q", "--hard", f.good)
	f.Repo.Git("clean", "-qfd")
	f.Synced(f.good, 30*time.Second)
	f.untouched(what)
}

// fault is something that goes wrong with Git.
type fault struct {
	name  string
	do    func(*faulty)
	words []string
	again bool // the reconciler is restarted meanwhile
}

func faults(other *sourcetest.Key) []fault {
	file := func(name, content string) func(*faulty) {
		return func(f *faulty) { f.Repo.Commit(name, content) }
	}
	return []fault{
		{"emptied", func(f *faulty) { f.Repo.Git("rm", "-rqf", "."); f.Repo.Git("commit", "-qm", "x") }, []string{"it holds no files"}, true},
		{"a symbolic link out of it", func(f *faulty) {
			if err := os.Symlink("/etc/passwd", filepath.Join(f.Repo.Dir, "sites/gate/link.cue")); err != nil {
				f.World.Fatal(err)
			}
			f.Repo.Commit()
		}, []string{"sites/gate/link.cue", "symbolic link"}, true},
		{"a submodule", func(f *faulty) {
			f.Repo.Git("update-index", "--add", "--cacheinfo", "160000,"+f.good+",sites/gate/sub")
			f.Repo.Git("commit", "-qm", "x")
		}, []string{"sites/gate/sub", "submodule"}, false},
		{"a path that is not UTF-8", file("sites/gate/\xff.cue", "package site\n"), []string{"sites/gate/", "UTF-8"}, false},
		{"100 MB", func(f *faulty) {
			noise := make([]byte, 100<<20)
			_, _ = rand.Read(noise) // it never fails
			f.Repo.Commit("sites/gate/large.bin", string(noise))
		}, []string{"it is larger than", "keep the rest elsewhere"}, false},
		{"not signed", func(f *faulty) {
			f.Repo.SignWith(nil)
			f.Repo.Commit(SiteFile("gate"), Site("gate", 1))
		}, []string{"it is not signed"}, true},
		{"signed by somebody else", func(f *faulty) {
			f.Repo.SignWith(other)
			f.Repo.Commit(SiteFile("gate"), Site("gate", 1))
		}, []string{other.Fingerprint(), "does not list"}, false},
	}
}

// TestGitFaults does to a repository whatever people and outages do: nothing is
// deleted, the status names the cause, what is deleted in the cluster comes
// back, and all is well again by itself.
func TestGitFaults(t *testing.T) {
	t.Parallel()
	key, other := sourcetest.NewKey(t, "ed25519"), sourcetest.NewKey(t, "ed25519")
	w := New(t, cptest.Start(t, cptest.Options{Nodes: 1}), &built)
	f := &faulty{World: w, file: filepath.Join(t.TempDir(), "signers")}
	if err := os.WriteFile(f.file, []byte("alice@example.org "+key.Public()+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	w.Repo.SignWith(key)
	f.good = w.Repo.Commit(SiteFile("gate"), Site("gate", 2), SiteFile("yard"), Site("yard", 1))
	f.reconcile()
	f.Synced(f.good, time.Minute)
	w.Running(3, time.Minute)
	f.watched, f.claims = w.Pods(), f.volumes()
	delete(f.watched, healed)

	f.deposed()
	for _, fault := range faults(other) {
		fault.do(f)
		f.says(fault.name, fault.words...)
		if fault.again {
			f.reconcile()
		}
		f.heals(fault.name)
		f.says(fault.name, fault.words...)
		f.untouched(fault.name)
		w.Repo.SignWith(key)
		f.back(fault.name)
	}
	f.away()
	f.rewritten()
	f.Stop()
}

// deposed takes the lease away for a moment: no camera is said to be missing
// before the cluster was listed again, and nothing to be well that nobody knows.
func (f *faulty) deposed() {
	f.World.Helper()
	stolen := fmt.Sprintf(`{"spec":{"holderIdentity":"somebody","renewTime":%q}}`, time.Now().UTC().Format("2006-01-02T15:04:05.000000Z"))
	f.Kubectl("patch", "lease", "-n", "camfleet-system", "camfleet", "--type", "merge", "-p", stolen)
	f.Eventually("it leads again", 30*time.Second, func() error {
		s, err := f.Status()
		if err != nil {
			return err
		}
		for _, c := range s.Cameras {
			if c.State == "missing" {
				f.World.Errorf("%s/%s is said to be missing", c.Site, c.Name)
			}
		}
		if s.State == status.Synced && len(s.Cameras) != 3 {
			f.World.Errorf("it is said to be synced with %d cameras", len(s.Cameras))
		}
		if log := f.Log(); strings.Count(log, "this replica leads") < 2 || s.Commit != f.good || s.State != status.Synced {
			return fmt.Errorf("%s at %.12s", s.State, s.Commit)
		}
		return nil
	})
	f.untouched("deposed")
}

// away moves the repository away, and its branch.
func (f *faulty) away() {
	f.World.Helper()
	git := filepath.Join(f.Repo.Dir, ".git")
	for what, steps := range map[string][2]func() error{
		"the repository is gone": {
			func() error { return os.Rename(git, git+"-away") }, func() error { return os.Rename(git+"-away", git) },
		},
		"the branch is gone": {
			func() error { f.Repo.Git("update-ref", "-d", "refs/heads/main"); return nil },
			func() error { f.Repo.Git("update-ref", "refs/heads/main", f.good); return nil },
		},
	} {
		if err := steps[0](); err != nil {
			f.World.Fatal(err)
		}
		f.says(what, "repository "+f.World.URL())
		f.heals(what)
		f.untouched(what)
		if err := steps[1](); err != nil {
			f.World.Fatal(err)
		}
		f.back(what)
	}
	// A reconciler that starts meanwhile has nothing to heal with, and says so.
	if err := os.Rename(git, git+"-away"); err != nil {
		f.World.Fatal(err)
	}
	f.reconcile()
	f.Wait("it says that nothing is healed", 20*time.Second, func(s status.Status) bool {
		return strings.Contains(strings.Join(s.Warnings, " "), "nothing is healed until a commit can be read") && s.FetchError != "" && len(s.Cameras) == 0
	})
	if err := errors.Join(os.Rename(git+"-away", git)); err != nil {
		f.World.Fatal(err)
	}
	f.back("restarted while the repository was gone")
	f.heals("the repository is back")
}

// rewritten pushes the same files as a history of its own: that is followed,
// and changes nothing in the cluster.
func (f *faulty) rewritten() {
	f.World.Helper()
	before := f.Pods()
	f.Repo.Git("checkout", "-q", "--orphan", "rewritten")
	f.Repo.Git("commit", "-qm", "The same, from the beginning")
	f.Repo.Git("branch", "-qM", "main")
	f.good = f.Repo.Git("rev-parse", "HEAD")
	f.Synced(f.good, 30*time.Second)
	f.untouched("rewritten")
	if now := f.Pods()[healed]; now.Metadata.UID != before[healed].Metadata.UID {
		f.World.Error("another history with the same files replaced a Pod")
	}
}
