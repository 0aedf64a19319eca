// Package story tells what a user of camfleet does with a cluster, from the first
// `kubectl apply` on, on real nodes with real Pods, a real nginx and a real browser.
package story

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"camfleet.dev/hack/image"
	"camfleet.dev/hack/programs"
	"camfleet.dev/hack/realnode"
	"camfleet.dev/reconciler/source/sourcetest"
	"camfleet.dev/workers/fakecam"
)

var built programs.Set

func TestMain(m *testing.M) {
	code := realnode.Main(m)
	if err := built.Remove(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// The fleet: one site, three cameras.
const (
	site      = "gate"
	namespace = "camfleet-" + site
	cluster   = "home"
	password  = "a secret of the south camera"
)

// floating cameras run anywhere; south is pinned to node-0 and has a password.
var (
	cameras  = []string{"north", "south", "barrier"}
	floating = []string{"north", "barrier", "roof"} // roof comes with a push
)

// world is a cluster with two real nodes, cameras in its network, and a fleet's repository.
type world struct {
	*testing.T
	ctx  context.Context
	c    *realnode.Cluster
	cams *fakecam.Set
	repo *sourcetest.Repo

	gitURL string // of the repository, as Pods reach it
	closed bool   // the page asks for a password
}

func newWorld(t *testing.T) *world {
	c := realnode.Start(t, realnode.Options{Nodes: 2})
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	t.Cleanup(cancel)
	w := &world{T: t, ctx: ctx, c: c, repo: sourcetest.NewRepo(t)}
	w.pushImages()
	w.startCameras()
	w.repo.Commit(
		"fleet.cue", "package fleet\n\nimport \"camfleet.dev/schema\"\n\nfleet: schema.#Fleet & {\n\tname: \"story\"\n\tuid:  \"0f5c8a61-9d5b-4c55-a5f4-7f5a52d90002\"\n}\n",
		"cue.mod/module.cue", "module: \"fleet.example\"\nlanguage: version: \"v0.12.0\"\n",
		"clusters/home.cue", fmt.Sprintf(clusterFile, c.Registry),
		"sites/gate/site.cue", siteFile,
		"sites/gate/cameras.cue", w.cameraFile(""),
	)
	return w
}

const clusterFile = `package clusters

import "camfleet.dev/schema"

clusters: schema.#Clusters & {home: {
	images: {camfleet: "registry.example/camfleet:story", nginx: "docker.io/library/nginx:1.28"}
	registry: {host: %q, insecure: true}
}}
`

const siteFile = `package site

import "camfleet.dev/schema"

site: schema.#Site & {
	title:    "Gate"
	cluster:  "home"
	timeZone: "UTC"
	storage: {size: "20Ti", accessMode: "ReadWriteMany"}
	edges: "gate-1": {node: "node-0", arch: "amd64", capacity: {cpu: "2", memory: "2Gi"}}
}
`

// cameraFile is the cameras' CUE; more is added to north.
func (w *world) cameraFile(more string) string {
	url := func(camera string) string { return w.cams.URL(site, camera) }
	return fmt.Sprintf(`package site

site: cameras: {
	north: {url: %q%s}
	south: {url: %q, edge: "gate-1", credentials: secret: "cameras"}
	barrier: {url: %q, live: latency: "standard"}
}
`, url("north"), more, url("south"), url("barrier"))
}

// pushImages puts our image and nginx where the fleet's cluster pulls from.
func (w *world) pushImages() {
	w.Helper()
	began := time.Now()
	index, err := image.Build(w.ctx, image.Options{Platforms: []string{image.Host()}, Version: "story"})
	w.must(err)
	_, err = image.Push(w.ctx, index, w.c.Registry+"/camfleet:story", true)
	w.must(err)
	_, err = w.c.PushNginx(w.ctx, "library/nginx:1.28")
	w.must(err)
	w.Logf("images built and pushed in %.1f s", time.Since(began).Seconds())
}

// startCameras starts simulated cameras that Pods reach, as devices at a site are.
func (w *world) startCameras() {
	w.Helper()
	var sources []fakecam.Source
	at := net.JoinHostPort(w.c.Address, "8554")
	for _, name := range append([]string{"roof"}, cameras...) {
		s := fakecam.Source{Site: site, Name: name, URL: "rtsp://" + at + "/" + site + "/" + name}
		if name == "south" {
			s.Username, s.Password = "camfleet", password
		}
		sources = append(sources, s)
	}
	var err error
	w.cams, err = fakecam.NewSet(at, sources, slog.New(slog.DiscardHandler))
	w.must(err)
	for _, server := range w.cams.Servers {
		server.AllowRemote = true // the network is the test's own
	}
	w.must(w.cams.Start())
	w.Cleanup(w.cams.Close)
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// kubectl runs it as the administrator and returns what it printed.
func (w *world) kubectl(args ...string) string {
	w.Helper()
	out, err := w.c.Kubectl(w.ctx, args...).CombinedOutput()
	if err != nil {
		w.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// camfleet runs a command of ours and returns what it printed.
func (w *world) camfleet(args ...string) string {
	w.Helper()
	out, err := w.tryCamfleet(args...)
	if err != nil {
		w.Fatalf("camfleet %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// tryCamfleet is camfleet for what may fail; the result is what it printed on stdout.
func (w *world) tryCamfleet(args ...string) (string, error) {
	w.Helper()
	cmd := exec.CommandContext(w.ctx, built.Path(w, "camfleet"), args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+w.c.KubeconfigFile)
	out, err := cmd.Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	return string(out), err
}

// step does one part of the story and says how long it took.
func (w *world) step(what string, do func()) {
	w.Helper()
	began := time.Now()
	do()
	w.Logf("%6.1f s  %s", time.Since(began).Seconds(), what)
}

// archive is a camera's folder on the volume.
func (w *world) archive(camera string) string {
	return filepath.Join(w.c.Volume(namespace, "archive"), camera)
}

// within waits until check has no error.
func (w *world) within(limit time.Duration, what string, check func() error) time.Duration {
	w.Helper()
	began := time.Now()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return time.Since(began)
		}
		if time.Since(began) > limit || w.ctx.Err() != nil {
			w.describe()
			w.Fatalf("%s: not within %s: %v", what, limit, err)
		}
		<-tick.C
	}
}

// describe shows what a person would look at who wonders why.
func (w *world) describe() {
	for _, args := range [][]string{
		{"get", "pods,jobs", "-A", "-o", "wide"},
		{"get", "events", "-A", "--sort-by=.metadata.creationTimestamp", "-o", "custom-columns=T:.metadata.creationTimestamp,O:.involvedObject.name,M:.message"},
		{"logs", "-n", namespace, "-l", "camfleet.dev/site=" + site, "--all-containers", "--tail=15", "--prefix"},
		{"logs", "-n", "camfleet-system", "-l", "app.kubernetes.io/name=camfleet", "--tail=60", "--prefix"},
	} {
		out, err := w.c.Kubectl(context.WithoutCancel(w.ctx), args...).CombinedOutput()
		w.Logf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}
