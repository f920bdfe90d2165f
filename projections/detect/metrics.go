package detect

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what is counted, and a collector of where the detector stands.
type metrics struct {
	judged   prometheus.Counter
	findings *prometheus.CounterVec
	failed   prometheus.Counter
	unsaved  prometheus.Counter
	bytes    prometheus.Gauge
	from     *Detector

	judges, lag, behind, position, broken, unjudged, forgotten, uncomputable *prometheus.Desc
}

func newMetrics() *metrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("tradetrail_detection_"+name, help, labels, nil)
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "tradetrail_detection_" + name, Help: help})
	}
	return &metrics{
		judged: counter("events_total", "Events of the log judged by this process, those that are judged again included."),
		findings: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tradetrail_findings_total", Help: "Findings by rule, and by whether they are recorded now, were known, or were refused.",
		}, []string{"rule", "outcome"}),
		failed:       counter("failures_total", "Failed attempts to record findings, which are tried again."),
		unsaved:      counter("snapshot_failures_total", "Snapshots that could not be saved."),
		bytes:        prometheus.NewGauge(prometheus.GaugeOpts{Name: "tradetrail_detection_snapshot_bytes", Help: "Size of the latest snapshot."}),
		judges:       desc("judges", "1 while this process judges the log."),
		lag:          desc("lag_seconds", "Age of the newest event that was judged, while it is not the newest of the log."),
		behind:       desc("behind_bytes", "Distance from there to the end of the log in log positions."),
		position:     desc("position_bytes", "Commit position that was judged last."),
		broken:       desc("broken_rules", "Rules that broke and judge no more."),
		unjudged:     desc("unjudged", "Questions whose order or decision was forgotten before they came due."),
		forgotten:    desc("forgotten_orders", "Orders that were forgotten while they were open."),
		uncomputable: desc("uncomputable_events", "Events on which the rule's expression makes no sense.", "rule"),
	}
}

func (m *metrics) register(reg prometheus.Registerer, from *Detector) error {
	m.from = from
	return errors.Join(reg.Register(m.judged), reg.Register(m.findings), reg.Register(m.failed),
		reg.Register(m.unsaved), reg.Register(m.bytes), reg.Register(m))
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.judges, m.lag, m.behind, m.position, m.broken, m.unjudged, m.forgotten, m.uncomputable} {
		out <- d
	}
}

// collectTimeout bounds what a scrape asks of the event store.
const collectTimeout = time.Second

// Collect implements prometheus.Collector. What the event store does not tell in time
// is left out, and so is what a process does not know that does not judge.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	t := m.from.turn.Load()
	if t == nil {
		gauge(m.judges, 0)
		return
	}
	gauge(m.judges, 1)
	if stats := t.stats.Load(); stats != nil {
		gauge(m.broken, float64(len(stats.Broken)))
		gauge(m.unjudged, float64(stats.Unjudged))
		gauge(m.forgotten, float64(stats.Forgotten))
		for rule, n := range stats.Uncomputable {
			gauge(m.uncomputable, float64(n), rule)
		}
	}
	seen := t.stand()
	gauge(m.position, float64(seen.position.Commit))
	ctx, cancel := context.WithTimeout(context.Background(), collectTimeout)
	defer cancel()
	head, err := m.from.Store.Head(ctx)
	if err != nil {
		return
	}
	gauge(m.behind, float64(head.Commit-min(head.Commit, seen.position.Commit)))
	lag := time.Duration(0)
	if seen.position.Compare(head) < 0 && !seen.recorded.IsZero() {
		lag = max(0, m.from.Now().Sub(seen.recorded))
	}
	gauge(m.lag, lag.Seconds())
}
