package cluster

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"camfleet.dev/hack/cptest"
	"camfleet.dev/hack/manifests"
	"camfleet.dev/reconciler/engine"
)

// TestSpeed measures a cold apply, a cycle without a change and what kubectl
// takes, for CAMFLEET_CLUSTER_BENCH cameras: with kwok nodes, on one machine.
func TestSpeed(t *testing.T) {
	cameras := 0
	if _, err := fmt.Sscan(os.Getenv("CAMFLEET_CLUSTER_BENCH"), &cameras); err != nil {
		t.Skip("CAMFLEET_CLUSTER_BENCH is not a number of cameras")
	}
	cp := cptest.Start(t, cptest.Options{Nodes: 20})
	token := manifests.Token(t, cp)
	for _, parallel := range []int{8, 32, 64, 128} {
		w := newWorldOn(t, cp, token)
		w.many(cameras)
		r := w.compile()
		found, err := w.List(t.Context(), w.fleet)
		if err != nil {
			t.Fatal(err)
		}
		began, cpu := time.Now(), used()
		set := engine.Applier{Cluster: w, Parallel: parallel}.Apply(t.Context(), engine.Plan(r, found, engine.Options{Now: time.Now()}))
		took := time.Since(began)
		if n := set.Counts()[engine.Failed]; n > 0 {
			t.Errorf("%d failed:\n%s", n, set.Changed())
		}
		t.Logf("%3d at once: %d objects in %.1f s, %.0f/s, %.2f ms CPU each, %s", parallel, len(r.Objects), took.Seconds(),
			float64(len(r.Objects))/took.Seconds(), float64((used()-cpu).Microseconds())/1000/float64(len(r.Objects)), memory())
		began = time.Now()
		for range 10 {
			w.plan(r)
		}
		t.Logf("     a cycle: %v, with status updates coming in meanwhile", (time.Since(began) / 10).Round(time.Microsecond))
		w.Close()
	}
	w := newWorldOn(t, cp, token)
	w.many(cameras)
	r := w.compile()
	began := time.Now()
	kubectl(t, cp, r)
	t.Logf("kubectl: %d objects in %.1f s", len(r.Objects), time.Since(began).Seconds())
}

// many fills the fleet with cameras.
func (w *world) many(cameras int) {
	w.write("site", `site: schema.#Site & {cluster: "home", timeZone: "Europe/Berlin", storage: {size: "90000Ti", accessMode: "ReadWriteMany"}}`)
	var all strings.Builder
	for i := range cameras {
		fmt.Fprintf(&all, "\"c%04d\": url: \"rtsp://10.0.%d.%d/main\"\n", i, i/200, i%200)
	}
	w.write("cameras", "site: schema.#Site & {cameras: {\n"+all.String()+"}}")
}

func used() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// memory is the process's, and what of it is in use after a collection.
func memory() string {
	raw, _ := os.ReadFile("/proc/self/status")
	peak := ""
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			peak = strings.TrimSpace(rest)
		}
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return fmt.Sprintf("peak RSS %s, heap %d MB", peak, m.HeapAlloc>>20)
}
