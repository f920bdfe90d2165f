package agent

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tradetrail/tradetrail/client"
)

// newMetrics makes a registry that looks at the recorder when it is asked.
func newMetrics(recorder Recorder) (*prometheus.Registry, error) {
	registry := prometheus.NewRegistry()
	var problems []error
	for _, m := range []struct {
		name, help string
		value      func(client.Stats) float64
		gauge      bool
	}{
		{"recorded_events_total", "Events taken into the spool.", func(s client.Stats) float64 { return float64(s.Recorded) }, false},
		{"delivered_events_total", "Events that the service has answered as durable.", func(s client.Stats) float64 { return float64(s.Delivered) }, false},
		{"rejected_events_total", "Events that the service has refused.", func(s client.Stats) float64 { return float64(s.Rejected) }, false},
		{"unkept_rejections_total", "Rejected events that are not in the dead-letter file.", func(s client.Stats) float64 { return float64(s.Unkept) }, false},
		{"dropped_events_total", "Events that found no room.", func(s client.Stats) float64 { return float64(s.Dropped) }, false},
		{"damaged_events_total", "Events that can't be read any more, at least.", func(s client.Stats) float64 { return float64(s.Damaged) }, false},
		{"delivery_retries_total", "Requests to the service without a receipt.", func(s client.Stats) float64 { return float64(s.Retries) }, false},
		{"pending_events", "Events that wait for delivery.", func(s client.Stats) float64 { return float64(s.Pending) }, true},
		{"spool_bytes", "Size of the spool's files.", func(s client.Stats) float64 { return float64(s.SpooledBytes) }, true},
		{"oldest_event_seconds", "How long the oldest event has waited.", func(s client.Stats) float64 { return s.OldestWaits.Seconds() }, true},
		{"record_p99_seconds", "99 of 100 events were taken within.", func(s client.Stats) float64 { return s.P99.Seconds() }, true},
	} {
		name := "tradetrail_agent_" + m.name
		look := func() float64 { return m.value(recorder.Stats()) }
		var c prometheus.Collector = prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: m.help}, look)
		if m.gauge {
			c = prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: m.help}, look)
		}
		problems = append(problems, registry.Register(c))
	}
	return registry, errors.Join(problems...)
}
