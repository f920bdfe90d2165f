package audit

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	doubts, verified, again prometheus.Gauge
	failures, certificates  prometheus.Counter
}

func newMetrics() *metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "tradetrail_integrity_" + name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "tradetrail_integrity_" + name, Help: help})
	}
	return &metrics{
		doubts:       gauge("doubts", "More than 0: the event store and the transparency log do not agree. Nothing else matters then."),
		verified:     gauge("verified_leaves", "Leaves of the log up to which everything new was verified."),
		again:        gauge("verified_again_leaves", "Leaves up to which the round has come that verifies everything again."),
		failures:     counter("failures_total", "Verifications that could not be done."),
		certificates: counter("certificates_total", "Daily certificates that were signed by this process."),
	}
}

func (m *metrics) register(registry prometheus.Registerer) error {
	for _, c := range []prometheus.Collector{m.doubts, m.verified, m.again, m.failures, m.certificates} {
		if err := registry.Register(c); err != nil {
			return fmt.Errorf("registering the auditor's metrics: %w", err)
		}
	}
	return nil
}
