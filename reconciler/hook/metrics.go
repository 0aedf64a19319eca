package hook

import "github.com/prometheus/client_golang/prometheus"

var _ prometheus.Collector = (*Handler)(nil)

// Describe implements prometheus.Collector.
func (h *Handler) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(h, ch) }

// Collect implements prometheus.Collector: Counts, as metrics.
func (h *Handler) Collect(ch chan<- prometheus.Metric) {
	calls := prometheus.NewDesc("camfleet_reconcile_hook_calls_total",
		"Calls of the web hook: accepted, ignored (not about a push), refused (not signed with the secret), tooLarge, failed.", []string{"result"}, nil)
	wakes := prometheus.NewDesc("camfleet_reconcile_hook_wakes_total", "Looks at the repository because of a call of the web hook.", nil, nil)
	n := h.Counts()
	for result, count := range map[string]uint64{
		"accepted": n.Accepted, "ignored": n.Ignored, "refused": n.Refused, "tooLarge": n.TooLarge, "failed": n.Failed,
	} {
		ch <- prometheus.MustNewConstMetric(calls, prometheus.CounterValue, float64(count), result)
	}
	ch <- prometheus.MustNewConstMetric(wakes, prometheus.CounterValue, float64(n.Wakes))
}
