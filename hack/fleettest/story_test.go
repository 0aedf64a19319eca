package fleettest

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"camfleet.dev/hack/cptest"
	"camfleet.dev/hack/programs"
	"camfleet.dev/reconciler/status"
)

var (
	shared = cptest.Shared{Options: cptest.Options{Nodes: 3}}
	built  programs.Set
)

func TestMain(m *testing.M) {
	code := shared.Main(m)
	if err := built.Remove(); err != nil {
		code = max(code, 1)
	}
	os.Exit(code)
}

// TestStory is the whole story of a fleet in a cluster: push, delete, heal,
// break, fix, take away, approve.
func TestStory(t *testing.T) {
	t.Parallel()
	w := New(t, shared.Get(t), &built)
	first := w.Repo.Commit(SiteFile("gate"), Site("gate", 3), SiteFile("yard"), Site("yard", 2))
	r := w.Reconcile("--lease", "2s")
	r.Synced(first, time.Minute)
	w.Running(5, time.Minute)
	unchanged := w.Pods()

	heals(w)
	breaks(w, r)
	takesAway(w, r)

	for id, before := range unchanged {
		if after := w.Pods()[id]; strings.HasPrefix(id, "camfleet-gate/") && id != healed && after.Metadata.UID != before.Metadata.UID {
			t.Errorf("%s is another Pod now: nothing of the story was about it", id)
		}
	}
	if log := r.Log(); strings.Contains(log, "forbidden") {
		t.Errorf("the reconciler was forbidden something:\n%s", log)
	}
	r.Stop()
}

// healed is the Pod that somebody deletes.
const healed = "camfleet-gate/camera-c0"

func heals(w *World) {
	w.Helper()
	before := w.Pods()[healed].Metadata.UID
	w.Kubectl("delete", "pod", "-n", "camfleet-gate", "camera-c0", "--wait=false", "--grace-period=1")
	w.Eventually("the deleted Pod is made anew", 15*time.Second, func() error {
		if p := w.Pods()[healed]; p.Metadata.UID == before || p.Status.Phase != "Running" {
			return fmt.Errorf("%s is %s, uid %s (was %s)", healed, p.Status.Phase, p.Metadata.UID, before)
		}
		return nil
	})
	// A field that somebody changes comes back, and the event says who it was.
	w.Kubectl("label", "pod", "-n", "camfleet-gate", "camera-c1", "camfleet.dev/role=mine", "--overwrite", "--field-manager=somebody")
	w.Eventually("the changed field is put back", 15*time.Second, func() error {
		if w.Pods()["camfleet-gate/camera-c1"].Metadata.Name == "" {
			return errors.New("it is not a camera")
		}
		return nil
	})
	w.Eventually("an event names who changed it", 15*time.Second, func() error {
		events := w.Kubectl("get", "events", "-n", "camfleet-gate", "-o", "jsonpath={.items[*].message}")
		if !strings.Contains(events, "somebody") {
			return errors.New(events)
		}
		return nil
	})
}

// breaks commits an error in one site and a change in the other: the one stays, the other goes on.
func breaks(w *World, r *Process) {
	w.Helper()
	before := w.Pods()
	bad := w.Repo.Commit(SiteFile("gate"), strings.Replace(Site("gate", 3), "c1: url", "c1: urll", 1), SiteFile("yard"), Site("yard", 3))
	s := r.Wait("the error is told with its place", 30*time.Second, func(s status.Status) bool {
		return s.Commit == bad && len(s.Problems) > 0
	})
	if p := s.Problems[0]; p.File != SiteFile("gate") || p.Line == 0 || !strings.Contains(p.Message, "url") {
		w.Errorf("the problem is %+v", p)
	}
	w.Running(6, 30*time.Second)
	// The broken site still heals: what worked last stays.
	w.Kubectl("delete", "pod", "-n", "camfleet-gate", "camera-c0", "--wait=false", "--grace-period=1")
	w.Eventually("the broken site's Pod is made anew", 15*time.Second, func() error {
		if p := w.Pods()[healed]; p.Metadata.UID == before[healed].Metadata.UID || p.Status.Phase != "Running" {
			return fmt.Errorf("it is %s", p.Status.Phase)
		}
		return nil
	})
	r.Synced(w.Repo.Commit(SiteFile("gate"), Site("gate", 3)), 30*time.Second)
}

// takesAway removes a whole site: it waits until somebody approves.
func takesAway(w *World, r *Process) {
	w.Helper()
	w.Repo.Git("rm", "-rq", "sites/yard")
	gone := w.Repo.Commit()
	r.Wait("the deletions are held", 30*time.Second, func(s status.Status) bool {
		return s.Commit == gone && s.State == status.Held && len(s.Held) > 0
	})
	w.Running(6, 10*time.Second)
	w.Eventually("camfleet status tells what is held, and what to type", 15*time.Second, func() error {
		out, err := w.Camfleet("status", "-n", "camfleet-system")
		if err == nil || !strings.Contains(out, "camfleet approve "+gone) || !strings.Contains(out, "yard/c0, yard/c1, yard/c2") {
			return fmt.Errorf("%w\n%s", err, out)
		}
		return nil
	})
	if out, err := w.Camfleet("approve", gone[:12], "-n", "camfleet-system"); err != nil {
		w.Fatalf("camfleet approve: %v\n%s", err, out)
	}
	r.Synced(gone, 30*time.Second)
	w.Running(3, 30*time.Second)
	if claims := w.Kubectl("get", "pvc", "-n", "camfleet-yard", "-o", "name"); !strings.Contains(claims, "archive") {
		w.Errorf("the claim with the recordings of the site that is gone: %q", claims)
	}
}
