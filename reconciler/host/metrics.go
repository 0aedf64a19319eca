package host

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// metrics are this process's own, those of others in it, and those of its workers, with their shard as a label.
func (h *Host) metrics(others prometheus.Gatherer) http.Handler {
	own := prometheus.NewRegistry()
	own.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), hostCollector{h})
	client := &http.Client{Transport: h.toWorkers(), Timeout: 3 * time.Second}
	all := prometheus.Gatherers{own, prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		return h.scrape(client)
	})}
	if others != nil {
		all = append(all, others)
	}
	return promhttp.HandlerFor(all, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError,
		ErrorLog:      slog.NewLogLogger(h.log.Handler(), slog.LevelDebug),
	})
}

// scrape asks every worker. One that does not answer is left out: its
// camfleet_host_worker_up says so.
func (h *Host) scrape(client *http.Client) ([]*dto.MetricFamily, error) {
	merged := map[string]*dto.MetricFamily{}
	for _, w := range h.workers.status() {
		families, err := scrapeOne(client, w.shard)
		if err != nil {
			h.log.Debug("a worker's metrics cannot be read", "worker", w.shard, "error", err)
			continue
		}
		for name, f := range families {
			for _, m := range f.Metric {
				label, value := "worker", w.shard
				m.Label = append(m.Label, &dto.LabelPair{Name: &label, Value: &value})
			}
			if merged[name] == nil {
				merged[name] = f
			} else {
				merged[name].Metric = append(merged[name].Metric, f.Metric...)
			}
		}
	}
	out := make([]*dto.MetricFamily, 0, len(merged))
	for _, f := range merged {
		out = append(out, f)
	}
	return out, nil
}

func scrapeOne(client *http.Client, shard string) (map[string]*dto.MetricFamily, error) {
	resp, err := client.Get("http://" + shard + "/metrics")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %s", resp.Status)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(http.MaxBytesReader(nil, resp.Body, maxState))
}

// hostCollector tells about the host itself.
type hostCollector struct{ host *Host }

const prefix = "camfleet_host_"

func describe() (up, restarts, cameras, warnings *prometheus.Desc) {
	return prometheus.NewDesc(prefix+"worker_up", "1 while the worker process runs.", []string{"worker"}, nil),
		prometheus.NewDesc(prefix+"worker_restarts_total", "How often the worker process ended and was started again.", []string{"worker"}, nil),
		prometheus.NewDesc(prefix+"cameras", "Cameras that the objects ask for.", nil, nil),
		prometheus.NewDesc(prefix+"warnings", "Objects that this host does not run.", nil, nil)
}

// Describe implements prometheus.Collector.
func (c hostCollector) Describe(ch chan<- *prometheus.Desc) {
	up, restarts, cameras, warnings := describe()
	for _, d := range []*prometheus.Desc{up, restarts, cameras, warnings} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c hostCollector) Collect(ch chan<- prometheus.Metric) {
	up, restarts, cameras, warnings := describe()
	for _, w := range c.host.workers.status() {
		runs := 0.0
		if w.pid != 0 {
			runs = 1
		}
		ch <- prometheus.MustNewConstMetric(up, prometheus.GaugeValue, runs, w.shard)
		ch <- prometheus.MustNewConstMetric(restarts, prometheus.CounterValue, float64(w.restarts), w.shard)
	}
	v := c.host.view()
	ch <- prometheus.MustNewConstMetric(cameras, prometheus.GaugeValue, float64(len(v.cameras)))
	ch <- prometheus.MustNewConstMetric(warnings, prometheus.GaugeValue, float64(len(v.warnings)))
}
