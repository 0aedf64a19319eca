package fleettest

import (
	"bufio"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"camfleet.dev/hack/cptest"
	"camfleet.dev/reconciler/status"
)

// TestCommands goes through what people type, in the order of a first day: look
// at what would happen, do it once by hand, leave it to the reconciler, watch.
func TestCommands(t *testing.T) {
	t.Parallel()
	w := New(t, cptest.Start(t, cptest.Options{Nodes: 1}), &built)
	w.Repo.Commit(SiteFile("gate"), Site("gate", 2))

	empty := w.said(0, "diff", w.Repo.Dir, "--cluster", Cluster)
	expect(t, "the difference to an empty cluster", empty, "+ Namespace/camfleet-gate  created", "+ camfleet-gate/Pod/camera-c1  created", "14 created")
	w.said(1, "diff", w.Repo.Dir, "--cluster", Cluster, "--exit-code")
	if pods := w.Pods(); len(pods) != 0 {
		t.Fatalf("diff has made %d Pods", len(pods))
	}

	expect(t, "apply", w.said(0, "apply", w.Repo.Dir, "--cluster", Cluster), "created", "the cluster is as commit")
	w.Running(2, time.Minute)
	expect(t, "the difference afterwards", w.said(0, "diff", w.Repo.Dir, "--cluster", Cluster, "--exit-code"), "unchanged")

	w.edits(t)
	w.approves(t)
	w.watched(t)
}

// edits looks at a change that nobody has committed.
func (w *World) edits(t *testing.T) {
	t.Helper()
	cameras := strings.Replace(Cameras("gate", 0, 2), "/gate/1\"", "/gate/another\"", 1)
	w.Repo.Write(SiteFile("gate"), SiteWith("gate", cameras))
	out := w.said(0, "diff", w.Repo.Dir, "--cluster", Cluster)
	expect(t, "the difference of another address", out, "± camfleet-gate/Pod/camera-c1  replaced", "camera.json", "1 camera replaced")
	if strings.Contains(out, "camera-c0") {
		t.Errorf("camera c0 has not changed:\n%s", out)
	}
	expect(t, "the same as JSON", w.said(0, "diff", w.Repo.Dir, "--cluster", Cluster, "-o", "json"), `"action": "replaced"`, `"price"`)
	w.Repo.Write(SiteFile("gate"), SiteWith("gate", "c0: urll: 1"))
	expect(t, "the difference of a broken site", w.said(1, "diff", w.Repo.Dir, "--cluster", Cluster), "sites/gate/site.cue:", "urll")
	w.Repo.Write(SiteFile("gate"), Site("gate", 2))
}

// approves types what apply asks for when a commit takes a site away.
func (w *World) approves(t *testing.T) {
	t.Helper()
	w.Repo.Commit(SiteFile("yard"), Site("yard", 1))
	w.said(0, "apply", w.Repo.Dir, "--cluster", Cluster)
	w.Repo.Git("rm", "-rq", "sites/yard")
	w.Repo.Commit()
	held := w.said(1, "apply", w.Repo.Dir, "--cluster", Cluster)
	expect(t, "what apply holds", held, "the whole site")
	expect(t, "approving what is no commit", w.said(2, "apply", w.Repo.Dir, "--cluster", Cluster, "--approve", "xyz"), "is not a commit")
	expect(t, "approving another commit", w.said(2, "apply", w.Repo.Dir, "--cluster", Cluster, "--approve", "0123456"), "the newest commit is")
	command := regexp.MustCompile(`camfleet (apply \S+ --cluster \S+ --approve [0-9a-f]+)`).FindStringSubmatch(held)
	if command == nil {
		t.Fatalf("apply does not say what to type:\n%s", held)
	}
	w.said(0, strings.Fields(command[1])...)
	w.Eventually("the site is gone", time.Minute, func() error {
		if n := len(w.Pods()); n != 2 {
			return fmt.Errorf("%d Pods", n)
		}
		return nil
	})
}

// watched watches while a reconciler takes over and a camera is added.
func (w *World) watched(t *testing.T) {
	t.Helper()
	before := w.Pods()
	r := w.Reconcile("--lease", "2s")
	r.Wait("it takes over", time.Minute, func(s status.Status) bool { return s.State == status.Synced })
	expect(t, "apply beside a reconciler", w.said(1, "apply", w.Repo.Dir, "--cluster", Cluster), "keeps this cluster equal", "camfleet suspend")

	watch := exec.CommandContext(w.Context(), w.Programs.Path(w, "camfleet"), "status", "--watch", "-n", "camfleet-system")
	watch.Env = append(watch.Environ(), "KUBECONFIG="+w.API.KubeconfigFile)
	watch.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := watch.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	seen := make(chan struct{})
	go func() {
		defer close(seen)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if strings.Contains(lines.Text(), "gate/c2") {
				return
			}
		}
	}()
	w.Repo.Commit(SiteFile("gate"), Site("gate", 3))
	select {
	case <-seen:
	case <-time.After(time.Minute):
		t.Error("camfleet status --watch does not show the new camera")
	}
	if err := watch.Process.Signal(syscall.SIGINT); err != nil {
		t.Error(err)
	}
	if err := watch.Wait(); err != nil {
		t.Errorf("camfleet status --watch, interrupted: %v", err)
	}
	for id, pod := range before {
		if w.Pods()[id].Metadata.UID != pod.Metadata.UID {
			t.Errorf("%s was replaced by the reconciler that took over", id)
		}
	}
	r.Stop()
}

// said runs camfleet, which is to exit with a code, and is what it printed.
func (w *World) said(code int, args ...string) string {
	w.Helper()
	out, err := w.Camfleet(args...)
	got := 0
	if exit, ok := err.(*exec.ExitError); ok {
		got = exit.ExitCode()
	} else if err != nil {
		w.Fatal(err)
	}
	if got != code {
		w.Fatalf("camfleet %s: exit code %d, want %d\n%s", strings.Join(args, " "), got, code, out)
	}
	return out
}

func expect(t *testing.T, what, out string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(out, part) {
			t.Errorf("%s lacks %q:\n%s", what, part, out)
		}
	}
}
