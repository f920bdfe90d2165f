package projections

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/tradetrail/tradetrail/projections/views"
)

// metrics are what is counted, and a collector of where the views stand.
type metrics struct {
	applied prometheus.Counter
	failed  prometheus.Counter
	redis   redisTimes
	from    *Projections

	writes, lag, behind, parked, position, events, rebuilt, rebuildRate *prometheus.Desc
}

func newMetrics() *metrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("tradetrail_"+name, help, labels, nil)
	}
	return &metrics{
		applied: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tradetrail_projected_events_total", Help: "Events of the log applied to the views by this process.",
		}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tradetrail_projection_failures_total", Help: "Slices that could not be applied and were tried again.",
		}),
		redis: redisTimes{prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tradetrail_redis_seconds", Help: "Time of a round trip to the Redis of the views.",
			Buckets: prometheus.ExponentialBuckets(0.00005, 2.5, 12),
		}, []string{"kind"})},
		writes:      desc("projection_writes", "1 while this process writes the views."),
		lag:         desc("projection_lag_seconds", "Age of the newest event in the view, while it is not the newest of the log.", "view"),
		behind:      desc("projection_behind_bytes", "Distance from the view to the end of the log in log positions.", "view"),
		position:    desc("projection_position_bytes", "Commit position that the view has come to.", "view"),
		events:      desc("projection_events", "Events of the log that are in the view.", "view"),
		parked:      desc("projection_parked_events", "Events that the view could not take in, and those that wait behind them.", "view"),
		rebuilt:     desc("projection_rebuild_ratio", "How much of the rebuild under way is done, from 0 to 1.", "view"),
		rebuildRate: desc("projection_rebuild_events_per_second", "Rate of the rebuild under way.", "view"),
	}
}

func (m *metrics) register(reg prometheus.Registerer, from *Projections) error {
	m.from = from
	return errors.Join(reg.Register(m.applied), reg.Register(m.failed), reg.Register(m.redis.seconds), reg.Register(m))
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.writes, m.lag, m.behind, m.position, m.events, m.parked, m.rebuilt, m.rebuildRate} {
		out <- d
	}
}

// collectTimeout bounds what a scrape asks of Redis.
const collectTimeout = time.Second

// Collect implements prometheus.Collector. What Redis does not tell in time is
// left out.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	writes := 0.0
	if m.from.Writes() {
		writes = 1
	}
	gauge(m.writes, writes)
	seen, head := m.from.Views.Seen()
	for view, at := range seen {
		gauge(m.lag, at.Lag(head, m.from.Views.Now()).Seconds(), view)
		gauge(m.behind, float64(head.Commit-min(head.Commit, at.Position.Commit)), view)
		gauge(m.position, float64(at.Position.Commit), view)
		gauge(m.events, float64(at.Events), view)
	}
	ctx, cancel := context.WithTimeout(context.Background(), collectTimeout)
	defer cancel()
	if counts, err := m.from.Views.ParkedCounts(ctx); err == nil {
		for view, n := range counts {
			gauge(m.parked, float64(n), view)
		}
	}
	rebuilds, err := m.from.Views.Rebuilds(ctx)
	if err != nil {
		return
	}
	for view, p := range rebuilds {
		if p.State == views.RebuildBuilding && p.Total > 0 {
			gauge(m.rebuilt, float64(p.Events)/float64(p.Total), view)
			gauge(m.rebuildRate, p.PerSecond, view)
		}
	}
}

// redisTimes measures round trips: it is a hook of the client.
type redisTimes struct{ seconds *prometheus.HistogramVec }

func (r redisTimes) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		defer prometheus.NewTimer(r.seconds.WithLabelValues("dial")).ObserveDuration()
		return next(ctx, network, address)
	}
}

func (r redisTimes) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		defer prometheus.NewTimer(r.seconds.WithLabelValues("command")).ObserveDuration()
		return next(ctx, cmd)
	}
}

func (r redisTimes) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		defer prometheus.NewTimer(r.seconds.WithLabelValues("pipeline")).ObserveDuration()
		return next(ctx, cmds)
	}
}
