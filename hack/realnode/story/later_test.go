package story

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"camfleet.dev/hack/manifests"
	"camfleet.dev/reconciler/status"
)

// resizes gives a camera more memory: its worker has it, and was not restarted.
func (w *world) resizes() {
	before := w.pods()
	w.synced(w.push("sites/gate/roof.cue", w.roofFile("resources: memory: \"300Mi\"")))
	const what = "jsonpath={.status.containerStatuses[0].resources.limits.memory} {.status.containerStatuses[0].restartCount}"
	took := w.within(60*time.Second, "the node gives the worker its memory", func() error {
		if got := w.kubectl("get", "pod", "-n", namespace, "camera-roof", "-o", what); got != "300Mi 0" {
			return fmt.Errorf("limit and restarts are %q", got)
		}
		return nil
	})
	w.Logf("          300Mi given by the node %.1f s after the commit was live", took.Seconds())
	if after := w.pods(); after["camera-roof"] != before["camera-roof"] {
		w.Error("the camera's Pod was replaced")
	}
}

// anna's password is "pass", as htpasswd writes it.
const anna = "anna:$apr1$5Xm2cZ1a$XR/YtPl1hB6X5DnXu.BNk/\n"

// closesDoor gives the page a password: nothing of the site is served without it.
func (w *world) closesDoor() {
	w.kubectl("create", "secret", "generic", "-n", namespace, "viewers", "--from-literal=auth="+anna)
	w.synced(w.push("sites/gate/page.cue", "package site\n\nsite: page: auth: secret: \"viewers\"\n"))
	w.kubectl("rollout", "status", "-n", namespace, "deployment/page", "--timeout=90s")
	w.closed = true
	page := w.page()
	for _, path := range []string{"/", "/assets/fleet.json", "/archive/gate/north/live.m3u8", "/archive/gate/north/status.json", "/live/gate/north/index.m3u8"} {
		w.within(30*time.Second, path+" asks who you are", func() error {
			return errors.Join(w.code(page+path, "", "", http.StatusUnauthorized), w.code(page+path, "anna", "guess", http.StatusUnauthorized),
				w.code(page+path, "anna", "pass", http.StatusOK))
		})
	}
}

// code checks the status with which a URL answers somebody.
func (w *world) code(url, user, pass string, want int) error {
	req, err := http.NewRequestWithContext(w.ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	if user != "" {
		req.SetBasicAuth(user, pass)
	}
	res, err := (&http.Client{Timeout: 5 * time.Second}).Do(req)
	if err != nil {
		return err
	}
	res.Body.Close()
	if res.StatusCode != want {
		return fmt.Errorf("%q gets %s, want %d", user, res.Status, want)
	}
	return nil
}

// takesAway pushes a commit that would end half of the cameras: it waits until
// somebody approves it. What they recorded stays.
func (w *world) takesAway() {
	before := w.pods()
	w.repo.Git("rm", "-q", "sites/gate/roof.cue")
	commit := w.push("sites/gate/cameras.cue", strings.ReplaceAll(w.cameraFile(""), "\tbarrier:", "\t// barrier:"))
	w.within(60*time.Second, "the removal is held", func() error {
		s, err := w.status()
		if err == nil && (s.Commit != commit || s.State != status.Held || len(s.Held) == 0) {
			err = fmt.Errorf("the status is %s at %s: %s", s.State, s.Commit, s.Summary)
		}
		return err
	})
	if after := w.pods(); len(after) != len(before) {
		w.Errorf("held, and yet the Pods are %v; they were %v", after, before)
	}
	w.camfleet("approve", commit, "--namespace", manifests.Namespace)
	w.synced(commit)
	w.within(60*time.Second, "the cameras are gone", func() error {
		if after := w.pods(); len(after) != 2 || after["camera-north"] != before["camera-north"] {
			return fmt.Errorf("the Pods are %v", after)
		}
		return nil
	})
	for _, name := range []string{"roof", "barrier"} {
		if files, err := filepath.Glob(filepath.Join(w.archive(name), "*", "*", "*.m4s")); err != nil || len(files) == 0 {
			w.Errorf("the recordings of %s are gone: %v", name, err)
		}
		if _, err := os.Stat(w.archive(name)); err != nil {
			w.Error(err)
		}
	}
}
