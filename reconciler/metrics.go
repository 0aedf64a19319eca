package reconciler

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"camfleet.dev/reconciler/engine"
	"camfleet.dev/reconciler/status"
)

const metricPrefix = "camfleet_reconcile_"

// metrics count what the loop does. What is so now is read from the status
// when somebody asks (statusCollector).
type metrics struct {
	fetches, compiles, syncs, changes, hooks *prometheus.CounterVec
	heals                                    prometheus.Counter
	compileTook, syncTook                    prometheus.Histogram
	objects                                  *prometheus.GaugeVec
	compiledAt, syncedAt                     prometheus.Gauge
}

func newMetrics() *metrics {
	counter := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: metricPrefix + name, Help: help}, []string{label})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: metricPrefix + name, Help: help})
	}
	took := func(name, help string) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: metricPrefix + name, Help: help, Buckets: []float64{0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100},
		})
	}
	return &metrics{
		fetches:     counter("fetches_total", "Looks at the repository, by result: ok, error.", "result"),
		compiles:    counter("compilations_total", "Compilations, by result: ok, error (of the compiler itself).", "result"),
		syncs:       counter("syncs_total", "Comparisons of the target with the commit, by result: ok, failed (an object), error (the target cannot be read).", "result"),
		changes:     counter("changes_total", "Changes that were made, or failed, by action.", "action"),
		hooks:       counter("hooks_total", "Calls of the web hook, by HTTP status code.", "code"),
		heals:       prometheus.NewCounter(prometheus.CounterOpts{Name: metricPrefix + "healed_objects_total", Help: "Objects that were put back although the commit had not changed."}),
		compileTook: took("compile_duration_seconds", "How long compiling a commit took."),
		syncTook:    took("sync_duration_seconds", "How long comparing and applying took."),
		objects: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: metricPrefix + "objects", Help: "Objects of the last sync, by what happened to them."}, []string{"action"}),
		compiledAt: gauge("last_compile_timestamp_seconds", "When a commit was last compiled."),
		syncedAt:   gauge("last_sync_timestamp_seconds", "When the target was last as the commit says, as far as it can be."),
	}
}

// registry is a new registry of everything, for a status: of r, or, when that is
// true, of another replica.
func (r *Reconciler) registry(of func() (status.Status, bool)) *prometheus.Registry {
	m, reg := r.metrics, prometheus.NewRegistry()
	reg.MustRegister(m.fetches, m.compiles, m.syncs, m.changes, m.hooks, m.heals, m.compileTook, m.syncTook, m.objects,
		m.compiledAt, m.syncedAt, statusCollector{of})
	return reg
}

// Metrics are the loop's own metrics, camfleet_reconcile_….
func (r *Reconciler) Metrics() prometheus.Gatherer {
	r.prepare()
	return r.registry(func() (status.Status, bool) { return r.Status(), false })
}

func result(err error) string {
	if err != nil {
		return "error"
	}
	return "ok"
}

func (m *metrics) fetched(err error) { m.fetches.WithLabelValues(result(err)).Inc() }

func (m *metrics) compiled(now time.Time, took time.Duration, err error) {
	m.compiles.WithLabelValues(result(err)).Inc()
	if err == nil {
		m.compileTook.Observe(took.Seconds())
		m.compiledAt.Set(seconds(now))
	}
}

func (m *metrics) listFailed() { m.syncs.WithLabelValues("error").Inc() }

func (m *metrics) synced(now time.Time, set engine.ChangeSet, took time.Duration, healed int) {
	counts := set.Counts()
	for _, a := range engine.Actions() {
		m.objects.WithLabelValues(string(a)).Set(float64(counts[a]))
	}
	for _, a := range []engine.Action{engine.Created, engine.Configured, engine.Replaced, engine.Deleted, engine.Failed} {
		m.changes.WithLabelValues(string(a)).Add(float64(counts[a]))
	}
	m.heals.Add(float64(healed))
	m.syncTook.Observe(took.Seconds())
	if counts[engine.Failed] > 0 {
		m.syncs.WithLabelValues("failed").Inc()
		return
	}
	m.syncs.WithLabelValues("ok").Inc()
	m.syncedAt.Set(seconds(now))
}

// planned takes up a sync that was suspended: nothing was changed.
func (m *metrics) planned(set engine.ChangeSet) {
	counts := set.Counts()
	for _, a := range engine.Actions() {
		m.objects.WithLabelValues(string(a)).Set(float64(counts[a]))
	}
}

func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

// statusCollector is a status as metrics. A replica that stands by has none of
// its own, and the leader's would be there twice: it only says that it stands by.
type statusCollector struct{ status func() (status.Status, bool) }

// Describe implements prometheus.Collector: which metrics there are depends on the status.
func (c statusCollector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c statusCollector) Collect(ch chan<- prometheus.Metric) {
	s, standby := c.status()
	gauge := func(name, help string, value float64) {
		ch <- prometheus.MustNewConstMetric(prometheus.NewDesc(metricPrefix+name, help, nil, nil), prometheus.GaugeValue, value)
	}
	by := func(name, help, label string, values map[string]int) {
		desc := prometheus.NewDesc(metricPrefix+name, help, []string{label}, nil)
		for value, n := range values {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(n), value)
		}
	}
	gauge("leader", "1 for the replica that looks after the cluster, 0 for one that stands by.", truth(!standby))
	if standby {
		return
	}
	gauge("held_changes", "Changes that wait for approval.", float64(len(s.Held)))
	gauge("waiting_changes", "Changes that wait for their turn, a node or the next try.", float64(len(s.Waiting)))
	gauge("failed_changes", "Objects that could not be applied, and are tried again.", float64(len(s.Failed)))
	gauge("problems", "Problems of the newest commit.", float64(len(s.Problems)))
	gauge("suspended", "1 while nothing is applied because somebody said so.", truth(s.Suspended != nil))
	gauge("last_fetch_timestamp_seconds", "When the repository last answered.", seconds(s.Fetched))
	by("commit_info", "1 for the commit that is applied.", "commit", map[string]int{s.Commit: 1})
	by("cameras", "Cameras by state.", "state", cameraStates(s))
	by("sites", "Sites of the commit: ok, or broken (kept as they were).", "state", siteStates(s))
	by("nodes", "Nodes that cameras need: ready, notReady or missing.", "state", nodeStates(s))
	by("unhealthy_objects", "What is not well, cameras and nodes apart: degraded or failed.", "state", healthStates(s))
	conditions := map[string]int{}
	for _, c := range s.Conditions {
		conditions[c.Type] = int(truth(c.Status == isTrue))
	}
	by("condition", "1 for each condition of the status that is True.", "type", conditions)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func cameraStates(s status.Status) map[string]int {
	n := map[string]int{}
	for _, c := range s.Cameras {
		n[c.State]++
	}
	return n
}

func siteStates(s status.Status) map[string]int {
	n := map[string]int{"ok": 0, "broken": 0}
	for _, site := range s.Sites {
		if site.Broken {
			n["broken"]++
		} else {
			n["ok"]++
		}
	}
	return n
}

func nodeStates(s status.Status) map[string]int {
	n := map[string]int{"ready": 0, "notReady": 0, "missing": 0}
	for _, node := range s.Nodes {
		switch {
		case node.Missing:
			n["missing"]++
		case node.Ready:
			n["ready"]++
		default:
			n["notReady"]++
		}
	}
	return n
}

func healthStates(s status.Status) map[string]int {
	n := map[string]int{"degraded": 0, "failed": 0}
	for _, h := range s.Health {
		n[h.State]++
	}
	return n
}
