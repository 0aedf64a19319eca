package manifests

import (
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"camfleet.dev/hack/cptest"
	"camfleet.dev/reconciler/source/sourcetest"
)

// program is the real camfleet, built once, into the folder that TestMain makes.
var program = sync.OnceValues(func() (string, error) {
	path := filepath.Join(work, "camfleet")
	if out, err := exec.Command("go", "build", "-o", path, "camfleet.dev/cmd/camfleet").CombinedOutput(); err != nil {
		return "", errors.New(string(out))
	}
	return path, nil
})

func camfleet(t *testing.T) string {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestArgumentsAreKnown: what the Deployment says, with every component, is what
// the program takes.
func TestArgumentsAreKnown(t *testing.T) {
	found, err := filepath.Glob(filepath.Join(Folder("components"), "*"))
	if err != nil {
		t.Fatal(err)
	}
	help, err := exec.CommandContext(t.Context(), camfleet(t), "reconcile", "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	c := one[appsv1.Deployment](t, build(t, overlay(t, elsewhere, found)), "Deployment").Spec.Template.Spec.Containers[0]
	for _, arg := range c.Args[2:] {
		flag, _, _ := strings.Cut(arg, "=")
		if !strings.Contains(string(help), flag+" ") {
			t.Errorf("camfleet reconcile has no flag %s", flag)
		}
	}
}

// fleet is a fleet whose repository a real Git server has, and the processes of
// its reconciler, started as the Deployment says.
type fleet struct {
	*testing.T
	*cptest.Cluster
	repo       *sourcetest.Repo
	args       []string
	kubeconfig string // of the reconciler's ServiceAccount
}

const head = "import \"camfleet.dev/schema\"\n\n"

func camera(name, more string) (string, string) {
	return "sites/gate/" + name + ".cue", "package site\n\n" + head +
		`site: schema.#Site & {cameras: ` + name + `: {edge: "nowhere", url: "rtsp://10.0.0.1/` + name + `"` + more + "}}\n"
}

// newFleet has three cameras whose Pods wait for an edge that is not there:
// kwok, which would run them, deletes Pods by name (see reconciler/cluster).
func newFleet(t *testing.T, c *cptest.Cluster) *fleet {
	t.Helper()
	f := &fleet{T: t, Cluster: c, repo: sourcetest.NewRepo(t)}
	files := []string{
		"cue.mod/module.cue", "module: \"example.com/fleet@v0\"\nlanguage: version: \"v0.17.0\"\n",
		"fleet.cue", "package fleet\n\n" + head + "fleet: schema.#Fleet & {name: \"test\", uid: \"0191b3a0-7e1a-7cc3-98c5-000000000012\"}\n",
		"clusters/home.cue", "package clusters\n\n" + head + `clusters: schema.#Clusters & {test: images: {camfleet: "camfleet:1", nginx: "nginx:1"}}` + "\n",
		"sites/gate/site.cue", "package site\n\n" + head + `site: schema.#Site & {cluster: "test", timeZone: "Europe/Berlin", storage: {size: "9Ti", accessMode: "ReadWriteMany"},
	edges: nowhere: {arch: "arm64", capacity: {cpu: "4", memory: "4Gi"}}}` + "\n",
	}
	for _, name := range []string{"north", "south", "east"} {
		path, text := camera(name, "")
		files = append(files, path, text)
	}
	f.repo.Commit(files...)
	server := sourcetest.NewServer(t, filepath.Dir(f.repo.Dir))
	token := Token(t, c)
	var err error
	if f.kubeconfig, err = c.Kubeconfig(token); err != nil {
		t.Fatal(err)
	}
	f.args = f.deployed(server.URL + "/" + filepath.Base(f.repo.Dir))
	return f
}

// deployed are the arguments of the Deployment, as a kubelet would fill them in.
func (f *fleet) deployed(repository string) []string {
	f.Helper()
	objects := build(f.T, overlay(f.T, repository, nil))
	var filled []string
	for _, cm := range all[corev1.ConfigMap](f.T, objects, "ConfigMap") {
		if !strings.HasPrefix(cm.Name, "camfleet-settings") {
			continue
		}
		for _, arg := range one[appsv1.Deployment](f.T, objects, "Deployment").Spec.Template.Spec.Containers[0].Args {
			for k, v := range cm.Data {
				arg = strings.ReplaceAll(arg, "$("+k+")", v)
			}
			filled = append(filled, arg)
		}
	}
	return filled
}

// replica starts a process with the rights of the ServiceAccount, and returns its
// URL and what stops it.
func (f *fleet) replica(name string) (string, func(os.Signal)) {
	f.Helper()
	dir := f.TempDir()
	address := filepath.Join(dir, "address")
	cmd := exec.Command(camfleet(f.T), append(f.args,
		"--kubeconfig="+f.kubeconfig, "--listen=127.0.0.1:0", "--address-file="+address, "--poll=1s", "--lease=3s", "--log-format=text")...)
	cmd.Dir, cmd.Env = dir, []string{"POD_NAMESPACE=" + Namespace, "POD_NAME=" + name, "GOMEMLIMIT=448MiB"}
	cmd.Stdout, cmd.Stderr = f.Output(), f.Output()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		f.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait() //nolint:errcheck // ended by a signal
		close(ended)
	}()
	stop := func(sig os.Signal) {
		cmd.Process.Signal(sig) //nolint:errcheck // it may have ended already
		select {
		case <-ended:
		case <-time.After(patience):
			cmd.Process.Kill() //nolint:errcheck // see above
			f.Errorf("%s did not end %s after %s", name, patience, sig)
			<-ended
		}
	}
	f.Cleanup(func() { stop(syscall.SIGKILL) })
	var text []byte
	f.until(name+" listens", func() bool {
		text, _ = os.ReadFile(address)
		return len(text) > 0
	})
	return "http://" + strings.TrimSpace(string(text)), stop
}

func (f *fleet) until(what string, done func() bool) {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.Context(), 60*time.Second)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			f.Fatalf("waited too long: %s", what)
		}
	}
}

// admin is what kubectl answers to somebody who may do everything; "" when it fails.
func (f *fleet) admin(args ...string) string {
	f.Helper()
	out, err := f.Kubectl(f.Context(), args...).Output()
	if err != nil {
		return ""
	}
	return string(out)
}

// pod is a field of a camera's Pod.
func (f *fleet) pod(camera, field string) string {
	f.Helper()
	return f.admin("-n", siteNamespace, "get", "pod", "camera-"+camera, "-o", "jsonpath={"+field+"}")
}

// answers tells whether a replica says 200.
func (f *fleet) answers(url string) bool {
	f.Helper()
	res, err := http.Get(url)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// as runs camfleet as the owner of a token.
func (f *fleet) as(token string, args ...string) (string, error) {
	f.Helper()
	kubeconfig, err := f.Kubeconfig(token)
	if err != nil {
		f.Fatal(err)
	}
	cmd := exec.CommandContext(f.Context(), camfleet(f.T), append(args, "--kubeconfig="+kubeconfig)...)
	cmd.Dir, cmd.Env = f.TempDir(), []string{"HOME=" + f.TempDir()}
	out, err := cmd.CombinedOutput()
	return string(out), err
}
