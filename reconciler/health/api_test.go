package health_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"camfleet.dev/compiler"
	"camfleet.dev/hack/cptest"
	"camfleet.dev/reconciler/cluster"
	"camfleet.dev/reconciler/engine"
	"camfleet.dev/reconciler/health"
	"camfleet.dev/reconciler/status"
)

var shared = cptest.Shared{Options: cptest.Options{Nodes: 2}}

func TestMain(m *testing.M) { os.Exit(shared.Main(m)) }

// TestOnACluster looks at a fleet in front of a real API server, scheduler and
// controllers: one camera runs, one waits for an edge that is not there, one
// asks for more than any node has, and somebody suspended a CronJob.
func TestOnACluster(t *testing.T) {
	t.Parallel()
	cp := shared.Get(t)
	id := strings.ToLower(rand.Text()[:8])
	file := func(pkg, body string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte("package " + pkg + "\n\nimport \"camfleet.dev/schema\"\n\n" + body + "\n")}
	}
	r, err := compiler.Compile(t.Context(), fstest.MapFS{
		"cue.mod/module.cue": {Data: []byte("module: \"example.com/fleet@v0\"\nlanguage: version: \"v0.17.0\"\n")},
		"fleet.cue":          file("fleet", `fleet: schema.#Fleet & {name: "test", uid: "uid-`+id+`"}`),
		"clusters/home.cue":  file("clusters", `clusters: schema.#Clusters & {home: images: {camfleet: "camfleet:1", nginx: "nginx:1"}}`),
		"sites/" + id + "/site.cue": file("site", `site: schema.#Site & {cluster: "home", timeZone: "Europe/Berlin", storage: {size: "9Ti", accessMode: "ReadWriteMany"},
			edges: pole: {arch: "arm64", node: "nowhere", capacity: {cpu: "4", memory: "4Gi"}},
			cameras: {north: url: "rtsp://10.0.0.1/n", pole: {url: "rtsp://10.0.0.1/p", edge: "pole"}, huge: {url: "rtsp://10.0.0.1/h", resources: memory: "200Ti"}, off: {url: "rtsp://10.0.0.1/o", disabled: true}}}`),
	}, compiler.Options{})
	if err != nil || len(r.Problems) > 0 {
		t.Fatalf("%v %v", err, r)
	}
	client, err := cluster.Client(&rest.Config{Host: cp.Host, BearerToken: cp.AdminToken, TLSClientConfig: rest.TLSClientConfig{CAData: cp.CA}})
	if err != nil {
		t.Fatal(err)
	}
	target := &cluster.Cluster{Client: client, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	defer target.Close()
	live, err := target.List(t.Context(), r.Fleet.UID)
	if err != nil {
		t.Fatal(err)
	}
	set := engine.Applier{Cluster: target, Parallel: 8}.Apply(t.Context(), engine.Plan(r, live, engine.Options{Commit: "c0ffee", Now: time.Now()}))
	failed := slices.DeleteFunc(set.Changes, func(c engine.Change) bool { return c.Action != engine.Failed || c.Camera == "huge" })
	if len(failed) > 0 {
		t.Fatalf("%v", failed)
	}
	jobs := client.Resource(schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "cronjobs"}).Namespace("camfleet-" + id)
	if _, err := jobs.Patch(t.Context(), "days-north", types.MergePatchType, []byte(`{"spec":{"suspend":true}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	want := health.Wanted(r.Objects)
	states := func() string {
		var out []string
		for _, c := range health.Cameras(want, target.Observe(), nil) {
			out = append(out, c.Name+" "+c.State)
		}
		return strings.Join(out, ", ")
	}
	const all = "huge noRoom, north live, off disabled, pole offline"
	until(t, all, func() (string, bool) { s := states(); return s, s == all })
	until(t, "the CronJob is seen to be suspended", func() (string, bool) {
		s := found(target.Observe(), time.Now())
		return s, strings.Contains(s, "CronJob/days-north degraded: it is suspended")
	})
	nodes := health.Nodes(want, target.Observe())
	i := slices.IndexFunc(nodes, func(n status.Node) bool { return n.Name == "nowhere" })
	if i < 0 || !nodes[i].Missing || nodes[i].Cameras != 1 {
		t.Errorf("nodes %+v", nodes)
	}
	for _, p := range target.Observe().Pods {
		if p.Ready && p.IP == "" {
			t.Errorf("%s runs and has no address", p.Name)
		}
	}
}

func until(t *testing.T, what string, done func() (string, bool)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		is, ok := done()
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("it took too long until: %s\nit is: %s", what, is)
		}
	}
}
