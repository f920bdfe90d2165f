package broker

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tradetrail/tradetrail/ingest"
)

// state is what a source tells about itself: it is a collector of metrics, and
// the answer to whether anything comes in.
type state struct {
	now func() time.Time

	messages  prometheus.Counter
	events    *prometheus.CounterVec
	connects  prometheus.Counter
	refusals  prometheus.Counter
	up        *prometheus.Desc
	behind    *prometheus.Desc
	lag       *prometheus.Desc
	positions *prometheus.Desc

	mu       sync.Mutex
	reader   Reader // of the session; nil between two
	trouble  error  // why no session lasts, or the broker does not answer
	refusal  error  // why the batch in hand is not recorded yet
	waiting  int64  // Behind, when last asked
	oldest   time.Time
	position map[string]string // partition -> offset of its last recorded message
}

func newState(now func() time.Time) *state {
	return &state{
		now: now, trouble: errNotYet, waiting: Unknown, position: make(map[string]string),
		messages: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tradetrail_source_messages_total", Help: "Messages recorded and acknowledged, redelivered ones included.",
		}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tradetrail_source_events_total", Help: "Events by outcome of recording them.",
		}, []string{"status"}),
		connects: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tradetrail_source_connects_total", Help: "Connections made to the broker; all but the first are reconnects.",
		}),
		refusals: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tradetrail_source_refusals_total", Help: "Batches that could not be recorded and were tried again.",
		}),
		up:     prometheus.NewDesc("tradetrail_source_up", "1 while the broker answers and what it sends is recorded.", nil, nil),
		behind: prometheus.NewDesc("tradetrail_source_behind_messages", "Messages that wait in the broker, if it tells.", nil, nil),
		lag:    prometheus.NewDesc("tradetrail_source_lag_seconds", "Age of the oldest message that is fetched and not recorded; 0 if there is none.", nil, nil),
		positions: prometheus.NewDesc("tradetrail_source_position",
			"Offset of the last recorded message, for brokers that number them.", []string{"partition"}, nil),
	}
}

var errNotYet = errors.New("not connected yet")

func (s *state) register(reg prometheus.Registerer) error {
	for _, status := range []ingest.Status{ingest.Recorded, ingest.Duplicate, ingest.Rejected} {
		s.events.WithLabelValues(string(status)) // there from the start, at 0
	}
	var problems []error
	for _, c := range []prometheus.Collector{s.messages, s.events, s.connects, s.refusals, s} {
		problems = append(problems, reg.Register(c))
	}
	return errors.Join(problems...)
}

// Describe implements prometheus.Collector.
func (s *state) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{s.up, s.behind, s.lag, s.positions} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (s *state) Collect(out chan<- prometheus.Metric) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	up := 0.0
	if s.trouble == nil && s.refusal == nil {
		up = 1
	}
	gauge(s.up, up)
	if s.waiting != Unknown {
		gauge(s.behind, float64(s.waiting))
	}
	lag := 0.0
	if !s.oldest.IsZero() {
		lag = max(0, s.now().Sub(s.oldest).Seconds())
	}
	gauge(s.lag, lag)
	for partition, offset := range s.position {
		if n, err := strconv.ParseUint(offset, 10, 64); err == nil {
			gauge(s.positions, float64(n), partition)
		}
	}
}

// connected names the reader of a session that begins; nil when it ends.
func (s *state) connected(reader Reader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reader = reader
	if reader != nil {
		s.trouble = nil
		s.connects.Inc()
	}
}

func (s *state) disconnected(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble, s.waiting = err, Unknown
}

func (s *state) inHand(b Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.oldest = b.Messages[0].At
}

func (s *state) refused(err error) {
	s.refusals.Inc()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusal = err
}

func (s *state) recorded(b Batch) {
	s.messages.Add(float64(len(b.Messages)))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusal, s.oldest = nil, time.Time{}
	for _, m := range b.Messages {
		s.position[m.Partition] = m.Offset
	}
}

func (s *state) count(receipts []ingest.Receipt) {
	for _, r := range receipts {
		if r.Status != "" {
			s.events.WithLabelValues(string(r.Status)).Inc()
		}
	}
}

// ready tells why nothing is recorded at the moment, or nil.
func (s *state) ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.trouble, s.refusal)
}

// askTimeout bounds one question to the broker.
const askTimeout = 5 * time.Second

// ask finds out how much waits, and whether the broker answers at all: clients
// that reconnect by themselves do not say that they try.
func (s *state) ask(ctx context.Context) {
	s.mu.Lock()
	reader := s.reader
	s.mu.Unlock()
	if reader == nil {
		return
	}
	asking, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	n, err := reader.Behind(asking)
	if ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reader != reader {
		return // another session knows better
	}
	if s.trouble, s.waiting = err, n; err != nil {
		s.waiting = Unknown
	}
}
