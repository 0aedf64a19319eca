package notify

import "github.com/prometheus/client_golang/prometheus"

var _ prometheus.Collector = (*Notifier)(nil)

// Describe implements prometheus.Collector.
func (n *Notifier) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(n, ch) }

// Collect implements prometheus.Collector: Counts, as metrics.
func (n *Notifier) Collect(ch chan<- prometheus.Metric) {
	told := prometheus.NewDesc("camfleet_reconcile_commit_statuses_total",
		"Marks of commits on the Git server: sent, failed (an attempt, which is made again), dropped (given up).", []string{"result"}, nil)
	waiting := prometheus.NewDesc("camfleet_reconcile_commit_statuses_waiting", "Marks of commits that the Git server has not taken yet.", nil, nil)
	c := n.Counts()
	for result, count := range map[string]uint64{"sent": c.Sent, "failed": c.Failed, "dropped": c.Dropped} {
		ch <- prometheus.MustNewConstMetric(told, prometheus.CounterValue, float64(count), result)
	}
	ch <- prometheus.MustNewConstMetric(waiting, prometheus.GaugeValue, float64(c.Waiting))
}
