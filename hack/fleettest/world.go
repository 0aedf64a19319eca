package fleettest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"camfleet.dev/hack/cptest"
	"camfleet.dev/hack/manifests"
	"camfleet.dev/hack/programs"
	"camfleet.dev/reconciler/source/sourcetest"
)

// World is a control plane, a Git server and a fleet's repository.
type World struct {
	testing.TB
	API      *cptest.Cluster
	Repo     *sourcetest.Repo
	Git      *sourcetest.Server
	Programs *programs.Set
	// Kubeconfig is whom the reconciler is.
	Kubeconfig string
	// PodName is which Pod it is, as the lease says it; "" makes each process another one.
	PodName string

	admin        *http.Client
	benchCameras string
	every        time.Duration // how often Eventually looks; 0 means as often as it may
}

// New makes a world around a control plane. Its reconciler has the rights of the
// ServiceAccount in manifests/, and no others.
func New(t testing.TB, api *cptest.Cluster, built *programs.Set) *World {
	t.Helper()
	kubeconfig, err := api.Kubeconfig(manifests.Token(t, api))
	if err != nil {
		t.Fatal(err)
	}
	w := &World{TB: t, API: api, Repo: sourcetest.NewRepo(t), Programs: built, Kubeconfig: kubeconfig}
	w.Git = sourcetest.NewServer(t, filepath.Dir(w.Repo.Dir))
	w.Repo.Commit(Base()...)
	return w
}

// URL is the repository's address on the Git server.
func (w *World) URL() string { return w.Git.URL + "/" + filepath.Base(w.Repo.Dir) + "/.git" }

// Kubectl runs kubectl as the administrator, and returns what it printed.
func (w *World) Kubectl(args ...string) string {
	w.Helper()
	out, err := w.TryKubectl(args...)
	if err != nil {
		w.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// TryKubectl is Kubectl for what may fail.
func (w *World) TryKubectl(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	out, err := w.API.Kubectl(ctx, args...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// Camfleet runs a command of camfleet against the cluster, and returns what it
// printed, both streams together.
func (w *World) Camfleet(args ...string) (string, error) {
	w.Helper()
	cmd := exec.Command(w.Programs.Path(w, "camfleet"), args...)
	cmd.Env = append(cmd.Environ(), "KUBECONFIG="+w.API.KubeconfigFile, "POD_NAMESPACE=")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// Object is what the tests look at of any object.
type Object struct {
	Kind     string
	Metadata struct {
		Name, Namespace, UID, ResourceVersion string
		Labels, Annotations                   map[string]string
		DeletionTimestamp                     string
		Finalizers                            []string
	}
	Spec struct {
		NodeName string
	}
	Status struct {
		Phase      string
		Conditions []struct{ Type, Status string }
	}
}

// ID is kind, namespace and name, for messages and maps.
func (o Object) ID() string { return o.Metadata.Namespace + "/" + o.Kind + "/" + o.Metadata.Name }

// Ready tells whether a Pod is.
func (o Object) Ready() bool {
	for _, c := range o.Status.Conditions {
		if c.Type == "Ready" {
			return c.Status == "True"
		}
	}
	return false
}

// List lists the fleet's objects of some kinds ("pods,configmaps"), in all namespaces.
func (w *World) List(kinds string) []Object {
	w.Helper()
	var list struct{ Items []Object }
	out := w.Kubectl("get", kinds, "-A", "-l", "camfleet.dev/fleet="+UID, "-o", "json", "--request-timeout=30s")
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		w.Fatalf("kubectl get %s: %v", kinds, err)
	}
	return list.Items
}

// Pods are the fleet's camera Pods, by namespace/name.
func (w *World) Pods() map[string]Object {
	w.Helper()
	pods := map[string]Object{}
	for _, o := range w.List("pods") {
		if o.Metadata.Labels["camfleet.dev/role"] == "camera" {
			pods[o.Metadata.Namespace+"/"+o.Metadata.Name] = o
		}
	}
	return pods
}

// Eventually waits until f has nothing to complain about.
func (w *World) Eventually(what string, limit time.Duration, f func() error) time.Duration {
	w.Helper()
	began := time.Now()
	ticker := time.NewTicker(max(w.every, 50*time.Millisecond))
	defer ticker.Stop()
	for {
		err := f()
		if err == nil {
			return time.Since(began)
		}
		if time.Since(began) > limit {
			w.Fatalf("%s: not within %s: %v", what, limit, err)
		}
		<-ticker.C
	}
}

// Running waits until the fleet has exactly so many camera Pods, all running and ready.
func (w *World) Running(cameras int, limit time.Duration) time.Duration {
	w.Helper()
	return w.Eventually(fmt.Sprintf("%d cameras run", cameras), limit, func() error {
		pods := w.Pods()
		for id, p := range pods {
			if p.Status.Phase != "Running" || !p.Ready() || p.Metadata.DeletionTimestamp != "" {
				return fmt.Errorf("%s is %s", id, p.Status.Phase)
			}
		}
		if len(pods) != cameras {
			return fmt.Errorf("there are %d", len(pods))
		}
		return nil
	})
}

// get reads a page of the reconciler.
func get(ctx context.Context, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err == nil && resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		err = errors.New(url + " answers " + resp.Status)
	}
	return resp, err
}
