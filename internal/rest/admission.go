package rest

import (
	"context"
	"io"
	"math"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
)

// DoorLimits bound what is on its way in at a time.
type DoorLimits struct {
	Bodies     int   // being read and recorded, in all
	BodiesEach int   // for one principal
	Bytes      int64 // of bodies in memory, in all; for one principal half of it
}

// DefaultDoorLimits are those of a server.
func DefaultDoorLimits() DoorLimits {
	return DoorLimits{Bodies: 1024, BodiesEach: 512, Bytes: 256 << 20}
}

// admission decides who may send a body, and counts what is in memory of them.
type admission struct {
	seats   *seats
	memory  *memory
	metrics admissionMetrics
}

type admissionMetrics struct {
	bodies, bytes prometheus.Gauge
	refused       *prometheus.CounterVec
}

func newAdmission(limits DoorLimits, reg prometheus.Registerer) *admission {
	a := &admission{
		seats: newSeats("bodies", limits.Bodies, limits.BodiesEach),
		metrics: admissionMetrics{
			bodies: prometheus.NewGauge(prometheus.GaugeOpts{
				Name: "tradetrail_bodies", Help: "Bodies with events that are being read and recorded.",
			}),
			bytes: prometheus.NewGauge(prometheus.GaugeOpts{
				Name: "tradetrail_body_bytes", Help: "Bytes of bodies with events in memory.",
			}),
			refused: prometheus.NewCounterVec(prometheus.CounterOpts{
				Name: "tradetrail_bodies_refused_total", Help: "Bodies with events that were refused unread, or in the middle, by reason.",
			}, []string{"reason"}),
		},
	}
	reg.MustRegister(a.metrics.bodies, a.metrics.bytes, a.metrics.refused)
	a.memory = newMemory(limits.Bytes, a.metrics.bytes, a.refuse)
	return a
}

// enter lets a body in, or says why not: before anything of it is read.
func (a *admission) enter(ctx context.Context, available func() error) (leave func(), err error) {
	if err := available(); err != nil {
		return nil, a.refuse(err)
	}
	free, err := a.seats.take(ctx)
	if err != nil {
		return nil, a.refuse(err)
	}
	a.metrics.bodies.Inc()
	return func() {
		a.metrics.bodies.Dec()
		free()
	}, nil
}

func (a *admission) refuse(err error) error {
	a.metrics.refused.WithLabelValues(problemOf(err).Code).Inc()
	return err
}

// meteredStep is how much memory a body takes at a time, as it comes.
const meteredStep = 256 << 10

// metered is a body in memory, which takes more of it as more is read. It ends with
// errTooManyBytes when there is no more memory for bodies.
type metered struct {
	io.Reader

	account     *account
	lasting     bool
	most        int64 // is never in memory more
	read, taken int64
	gives       []func()
}

// meter takes memory for a body that is read as a whole. Its length, if known, is
// what it may take in the end, not what it takes before it has come.
func (c *account) meter(body io.Reader, length int64) (*metered, error) {
	m := &metered{Reader: body, account: c, most: math.MaxInt64}
	return m, m.grow(min(max(length, 0), meteredStep))
}

// What one line of a stream takes before its end has come: a share that is taken
// from the beginning, and what a long line takes at most.
const (
	lineShare = 128 << 10
	lineMost  = 2 << 20
)

// meterLines takes memory for the line of a stream that has no end yet.
func (c *account) meterLines(body io.Reader) (*metered, error) {
	m := &metered{Reader: body, account: c, lasting: true, most: lineMost}
	return m, m.grow(lineShare)
}

// restart gives back what was taken since the first time.
func (m *metered) restart() {
	for _, give := range m.gives[1:] {
		give()
	}
	m.gives, m.read, m.taken = m.gives[:1], 0, lineShare
}

func (m *metered) grow(by int64) error {
	if by == 0 {
		return nil
	}
	give, err := m.account.take(by, m.lasting)
	if err != nil {
		return err
	}
	m.gives = append(m.gives, give)
	m.taken += by
	return nil
}

func (m *metered) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	if m.read = min(m.read+int64(n), m.most); m.read > m.taken {
		if err := m.grow(max(meteredStep, m.read-m.taken)); err != nil {
			return n, err
		}
	}
	return n, err
}

// give gives the memory back.
func (m *metered) give() {
	for _, give := range m.gives {
		give()
	}
	m.gives = nil
}

// meteredBody is a request body that is metered.
type meteredBody struct {
	*metered
	io.Closer
}

// Metered bounds the memory for the bodies of another handler's requests, too.
func (d *Door) Metered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		account := d.admission.memory.open(r.Context())
		defer account.close()
		m, err := account.meter(r.Body, r.ContentLength)
		defer m.give()
		if err != nil {
			writeProblem(w, r, d.log, problemOf(err))
			return
		}
		r.Body = meteredBody{m, r.Body}
		next.ServeHTTP(w, r)
	})
}
