package tlog

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	leaves, sealed, witnessed, doubt prometheus.Gauge
	timestamped, stampedAt           prometheus.Gauge
	failures, unwitnessed, unstamped prometheus.Counter
	contradicted                     prometheus.Counter
	delay                            prometheus.Histogram
}

func newMetrics() *metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "tradetrail_tlog_" + name, Help: help})
	}
	return &metrics{
		leaves:      gauge("leaves", "Leaves of the transparency log."),
		sealed:      gauge("sealed_leaves", "Leaves under a signed checkpoint."),
		witnessed:   gauge("witnessed_leaves", "Leaves under a checkpoint that witnesses have cosigned."),
		doubt:       gauge("doubt", "1 when the log contradicts itself or the event store, and has stopped."),
		timestamped: gauge("timestamped_leaves", "Leaves under a checkpoint that an authority has timestamped."),
		stampedAt:   gauge("timestamp_seconds", "What the last timestamp of this process says, in seconds of Unix time."),
		unstamped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tradetrail_tlog_timestamp_failures_total", Help: "Attempts to have a checkpoint timestamped that failed.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{Name: "tradetrail_tlog_failures_total", Help: "Attempts to write the transparency log that failed."}),
		unwitnessed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tradetrail_tlog_witness_failures_total", Help: "Checkpoints that too few witnesses have cosigned when they were asked.",
		}),
		contradicted: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tradetrail_tlog_witness_contradictions_total", Help: "Checkpoints of which a witness said that they do not continue what it has cosigned.",
		}),
		delay: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tradetrail_tlog_seal_seconds", Help: "From when the store took the oldest event of a batch to the checkpoint that includes it.",
			Buckets: []float64{0.05, 0.1, 0.2, 0.5, 1, 1.5, 2, 3, 5, 10, 30, 60},
		}),
	}
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.leaves, m.sealed, m.witnessed, m.doubt, m.timestamped, m.stampedAt, m.failures, m.unwitnessed, m.contradicted, m.unstamped, m.delay}
}
