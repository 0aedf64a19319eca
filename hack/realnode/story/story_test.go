package story

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestStory(t *testing.T) {
	w := newWorld(t)
	w.step("compile and kubectl apply", w.applyByHand)
	w.step("camera Pods are Ready", w.camerasReady)
	w.step("nginx serves page, archive and live video", w.pageServes)
	w.step("kubectl apply -k: the reconciler takes over", w.install)
	w.step("a push adds a camera", w.addCamera)
	w.step("every camera plays in Chromium", w.everyCameraPlays)
	w.step("a Pod is deleted, a process killed: healed, and the gaps are known", w.heals)
	w.step("the CronJob makes a day file", w.makesDay)
	w.step("a bad commit, a fix", w.breaksAndFixes)
	w.step("a camera gets more memory in place", w.resizes)
	w.step("a node is drained", w.drains)
	w.step("the page gets a password", w.closesDoor)
	w.step("every camera plays again, for who has it", w.everyCameraPlays)
	w.step("half of the cameras are taken away: held, approved", w.takesAway)
	if os.Getenv("CAMFLEET_SWEEP") != "" { // minutes of waiting; make soak
		w.step("a node dies, and comes back", w.nodeDies)
	}
}

// applyByHand is what somebody does who has no reconciler: the compiled files are plain.
func (w *world) applyByHand() {
	out := filepath.Join(w.TempDir(), "out")
	w.camfleet("compile", w.repo.Dir, "--cluster", cluster, "-o", out)
	w.kubectl("create", "namespace", namespace)
	w.kubectl("create", "secret", "generic", "-n", namespace, "cameras", "--from-literal=username=camfleet", "--from-literal=password="+password)
	w.kubectl("apply", "--server-side", "--force-conflicts", "-R", "-f", out)
}

func (w *world) camerasReady() {
	for _, name := range cameras {
		w.ready(name)
	}
	if node := w.node("south"); node != "node-0" {
		w.Errorf("the pinned camera is on %s", node)
	}
}

// roofFile is the CUE of one more camera.
func (w *world) roofFile(more string) string {
	return fmt.Sprintf("package site\n\nsite: cameras: roof: {\n\turl: %q\n\t%s\n}\n", w.cams.URL(site, "roof"), more)
}

// addCamera pushes one more camera, and it records.
func (w *world) addCamera() {
	before := w.pods()
	began := time.Now()
	commit := w.push("sites/gate/roof.cue", w.roofFile(""))
	w.within(30*time.Second, "the new camera has a Pod", func() error {
		if w.pods()["camera-roof"] == "" {
			return errors.New("not yet")
		}
		return nil
	})
	w.Logf("          its Pod is there %.1f s after the push", time.Since(began).Seconds())
	w.synced(commit)
	cameras = append(cameras, "roof")
	w.camerasReady()
	for name, uid := range before {
		if w.pods()[name] != uid {
			w.Errorf("%s was replaced by a push that is not about it", name)
		}
	}
}

// page is the address of the page's Service.
func (w *world) page() string {
	return "http://" + w.kubectl("get", "service", "-n", namespace, "page", "-o", "jsonpath={.spec.clusterIP}")
}

func (w *world) pageServes() {
	w.kubectl("rollout", "status", "-n", namespace, "deployment/page", "--timeout=60s")
	page := w.page()
	for path, want := range map[string]string{
		"/":                  "<html",
		"/assets/fleet.json": `"name":"gate"`,
	} {
		w.answers(page+path, want)
	}
	for _, name := range cameras {
		w.answers(page+"/archive/"+site+"/"+name+"/live.m3u8", "#EXTINF")
		w.answers(page+"/archive/"+site+"/"+name+"/status.json", `"state":"live"`)
		w.answers(page+"/live/"+site+"/"+name+"/index.m3u8", "#EXTM3U")
	}
}

// answers waits until a URL answers with something in it.
func (w *world) answers(url, want string) {
	w.Helper()
	w.within(30*time.Second, url+" says "+want, func() error {
		text, err := w.get(url)
		if err == nil && !strings.Contains(text, want) {
			err = fmt.Errorf("it says %.300q", text)
		}
		return err
	})
}

func (w *world) get(url string) (string, error) {
	req, err := http.NewRequestWithContext(w.ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	res, err := (&http.Client{Timeout: 5 * time.Second}).Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %.200s", res.Status, text)
	}
	return string(text), err
}
