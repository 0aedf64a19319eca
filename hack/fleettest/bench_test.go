package fleettest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"camfleet.dev/hack/cptest"
	"camfleet.dev/reconciler/hook/hooktest"
	"camfleet.dev/reconciler/status"
)

// BenchRequest is the variable that asks for TestBench, with how many cameras:
// CAMFLEET_BENCH=1000. It takes minutes, and is for a machine with nothing else to do.
const BenchRequest = "CAMFLEET_BENCH"

const (
	benchSites = 20
	benchNodes = 20
	commits    = 40
	secret     = "of the bench"
)

// table collects what was measured.
type table struct{ strings.Builder }

func (t *table) row(what, ours, peer, ratio string) {
	fmt.Fprintf(t, "%-58s %14s %14s %8s\n", what, ours, peer, ratio)
}

// TestBench measures the reconciler beside kubectl in the same run, each on a
// control plane of its own, and prints a table.
func TestBench(t *testing.T) {
	cameras := 0
	if _, err := fmt.Sscan(os.Getenv(BenchRequest), &cameras); err != nil || cameras < benchSites {
		t.Skipf("%s is not a number of cameras, at least %d", BenchRequest, benchSites)
	}
	var out table
	out.row(fmt.Sprintf("%d cameras, %d sites", cameras, benchSites), "camfleet", "kubectl", "ratio")
	peer, objects := kubectlApply(t, cameras)
	w := New(t, cptest.Start(t, cptest.Options{Nodes: benchNodes}), &built)
	w.every = 250 * time.Millisecond // a status of 1,000 cameras is work for both
	w.benchCameras = Cameras("site-03", 0, cameras/benchSites)
	first := w.Repo.Commit(sites(cameras)...)
	began := time.Now()
	r := w.reconcileBench()
	r.Synced(first, 10*time.Minute)
	took := time.Since(began)
	out.row(fmt.Sprintf("cold: %d objects applied, from start of the process", objects), seconds(took), seconds(peer), ratio(took, peer))
	out.row("  objects per second", fmt.Sprintf("%.0f", float64(objects)/took.Seconds()), fmt.Sprintf("%.0f", float64(objects)/peer.Seconds()), "")
	out.row("  peak RSS of the reconciler (its compile child apart)", r.peak(), "", "")
	w.Running(cameras, 10*time.Minute)

	r.row(&out, "unchanged: CPU of 30 s at a poll of 1 s", func() { <-time.After(30 * time.Second) })
	r.row(&out, "a commit that changes no object: CPU, compile child and all", func() {
		r.Synced(w.Repo.Commit("README.md", "nothing"), time.Minute)
	})
	settings, pods := w.commits(r)
	out.row(fmt.Sprintf("webhook → one ConfigMap applied, p50 of %d", commits), seconds(quantile(settings, 0.5)), "", "")
	out.row("  p95", seconds(quantile(settings, 0.95)), "", "")
	out.row(fmt.Sprintf("webhook → one Pod replaced (new one created), p50 of %d", commits), seconds(quantile(pods, 0.5)), "", "")
	out.row("  p95", seconds(quantile(pods, 0.95)), "", "")
	out.row("  peak RSS at the end", r.peak(), "", "")
	r.Stop()
	quiet(w, &out)
	t.Logf("\n%s", out.String())
	fmt.Println(out.String())
}

// kubectlApply measures the peer: the same objects, as files.
func kubectlApply(t *testing.T, cameras int) (time.Duration, int) {
	t.Helper()
	w := New(t, cptest.Start(t, cptest.Options{Nodes: benchNodes}), &built)
	w.Repo.Commit(sites(cameras)...)
	dir := filepath.Join(t.TempDir(), "objects")
	if out, err := w.Camfleet("compile", w.Repo.Dir, "--cluster", Cluster, "-o", dir); err != nil {
		t.Fatalf("camfleet compile: %v\n%s", err, out)
	}
	files := 0
	if err := filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files++
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	cmd := w.API.Kubectl(t.Context(), "apply", "--server-side", "-R", "-f", dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("kubectl apply: %v\n%.2000s", err, out)
	}
	took := time.Since(began)
	if err := w.API.Close(); err != nil {
		t.Fatal(err)
	}
	return took, files
}

func sites(cameras int) []string {
	var files []string
	for i := range benchSites {
		name := fmt.Sprintf("site-%02d", i)
		files = append(files, SiteFile(name), Site(name, cameras/benchSites))
	}
	return files
}

func (w *World) reconcileBench(args ...string) *Process {
	w.Helper()
	file := filepath.Join(w.TempDir(), "hook")
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		w.Fatal(err)
	}
	return w.Reconcile(append([]string{"--hook-secret-file", file}, args...)...)
}

// hook tells the reconciler of a push, as a Git server does.
func (p *Process) hook() {
	p.w.Helper()
	code, err := hooktest.Push(p.w.Context(), p.URL+"/hook", secret)
	if err != nil {
		p.w.Fatal(err)
	}
	if code >= http.StatusMultipleChoices {
		p.w.Fatalf("the hook answers %d", code)
	}
}

// commits pushes one-camera commits, and measures from the hook to the object.
func (w *World) commits(r *Process) (settings, pods []time.Duration) {
	w.Helper()
	const folder = "/api/v1/namespaces/camfleet-site-03/"
	cameras := w.benchCameras
	for i := range commits {
		mark := fmt.Sprintf("%dd", 100+i)
		w.Repo.Commit(SiteFile("site-03"), SiteWith("site-03", cameras+fmt.Sprintf("\t\tc7: recording: retention: age: %q\n", mark)))
		settings = append(settings, r.applied(folder+"configmaps/camera-c7", func(body string) bool { return strings.Contains(body, mark) }))
	}
	for i := range commits {
		before := uid(w.raw(folder + "pods/camera-c7"))
		text := strings.Replace(cameras, "/site-03/7\"", fmt.Sprintf("/site-03/new-%d\"", i), 1)
		w.Repo.Commit(SiteFile("site-03"), SiteWith("site-03", text))
		pods = append(pods, r.applied(folder+"pods/camera-c7", func(body string) bool { return uid(body) != "" && uid(body) != before }))
	}
	return settings, pods
}

// applied sends the hook, and measures until an object is as wanted.
func (p *Process) applied(path string, done func(body string) bool) time.Duration {
	p.w.Helper()
	began := time.Now()
	p.hook()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !done(p.w.raw(path)) {
		if time.Since(began) > time.Minute {
			p.w.Fatalf("%s is not as wanted after a minute", path)
		}
		<-ticker.C
	}
	return time.Since(began)
}

// raw reads an object as the administrator; "" when there is none.
func (w *World) raw(path string) string {
	w.Helper()
	resp, err := w.request(http.MethodGet, path, "", "")
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return ""
	}
	return string(body)
}

func uid(body string) string {
	var o Object
	if json.Unmarshal([]byte(body), &o) != nil {
		return ""
	}
	return o.Metadata.UID
}

// row measures the CPU that something takes, children that ended in it included.
func (p *Process) row(out *table, what string, f func()) {
	p.w.Helper()
	before := p.cpu()
	f()
	out.row(what, seconds(p.cpu()-before), "", "")
}

// tick is the unit of times in /proc (proc(5)); it is 100 Hz on every Linux that Go knows.
const tick = time.Second / 100

// cpu is what the process and its ended children have taken.
func (p *Process) cpu() time.Duration {
	p.w.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
	if err != nil {
		p.w.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	var sum time.Duration
	for _, field := range strings.Fields(rest)[11:15] { // utime stime cutime cstime
		n, err := strconv.Atoi(field)
		if err != nil {
			p.w.Fatal(err)
		}
		sum += time.Duration(n) * tick
	}
	return sum
}

// peak is the most memory that the process has had.
func (p *Process) peak() string {
	p.w.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		p.w.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	line, _, _ := strings.Cut(rest, "\n")
	kib, err := strconv.Atoi(strings.Fields(line)[0])
	if err != nil {
		p.w.Fatal(err)
	}
	return fmt.Sprintf("%d MiB", kib/1024)
}

// quiet counts what an unchanged cycle asks the API server for.
func quiet(w *World, out *table) {
	w.Helper()
	proxy := w.NewProxy()
	w.Kubeconfig = proxy.Kubeconfig
	r := w.reconcileBench()
	r.Wait("the reconciler has settled", 2*time.Minute, func(s status.Status) bool { return s.State == status.Synced })
	<-time.After(10 * time.Second)
	proxy.Reset()
	<-time.After(20 * time.Second)
	writes, reads := 0, 0
	for _, req := range proxy.Requests() {
		switch {
		case req.Lease() || req.Watch():
		case req.Write():
			writes++
			w.Logf("an unchanged cycle asks for %s", req)
		default:
			reads++
			w.Logf("an unchanged cycle asks for %s", req)
		}
	}
	out.row("unchanged: writes, GETs in 20 cycles (leases apart)", fmt.Sprintf("%d, %d", writes, reads), "", "")
	if writes+reads > 0 {
		w.Errorf("%d writes and %d reads in unchanged cycles", writes, reads)
	}
}

func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	d = slices.Sorted(slices.Values(d))
	return d[min(len(d)-1, int(q*float64(len(d))))]
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func ratio(a, b time.Duration) string { return fmt.Sprintf("%.3f", a.Seconds()/b.Seconds()) }
