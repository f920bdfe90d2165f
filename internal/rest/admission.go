package rest

import (
	"context"
	"io"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
)

// DoorLimits bound what is on its way in at a time.
type DoorLimits struct {
	Bodies     int   // being read and recorded, in all
	BodiesEach int   // for one principal
	Bytes      int64 // of bodies in memory, in all
}

// DefaultDoorLimits are those of a server.
func DefaultDoorLimits() DoorLimits {
	return DoorLimits{Bodies: 1024, BodiesEach: 512, Bytes: 256 << 20}
}

// The codes of bodies that were not taken.
const codeTooManyBytes = "overloaded"

var errTooManyBytes = &domain.Error{
	Class: domain.ClassTransient, Code: codeTooManyBytes, Message: "too many bytes of other requests are being recorded; try again",
}

// admission decides who may send a body, and counts what is in memory of them.
type admission struct {
	limits  DoorLimits
	seats   *seats
	bytes   *semaphore.Weighted
	metrics admissionMetrics
}

type admissionMetrics struct {
	bodies, bytes prometheus.Gauge
	refused       *prometheus.CounterVec
}

func newAdmission(limits DoorLimits, reg prometheus.Registerer) *admission {
	a := &admission{
		limits: limits, seats: newSeats("bodies", limits.Bodies, limits.BodiesEach), bytes: semaphore.NewWeighted(limits.Bytes),
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

// wait takes memory for a slice of a stream, when there is some.
func (a *admission) wait(ctx context.Context, bytes int64) (give func(), err error) {
	bytes = min(bytes, a.limits.Bytes)
	if err := a.bytes.Acquire(ctx, bytes); err != nil {
		return nil, err
	}
	return a.taken(bytes), nil
}

func (a *admission) taken(bytes int64) (give func()) {
	a.metrics.bytes.Add(float64(bytes))
	return func() {
		a.metrics.bytes.Sub(float64(bytes))
		a.bytes.Release(bytes)
	}
}

// meteredStep is how much memory a body of unknown length takes at a time.
const meteredStep = 256 << 10

// metered is a body that is read into memory as a whole. It ends with
// errTooManyBytes when there is no more memory for bodies.
type metered struct {
	io.Reader

	admission   *admission
	read, taken int64
	gives       []func()
}

// meter takes memory for a body: all of it at once if its length is known.
func (a *admission) meter(body io.Reader, length int64) (*metered, error) {
	m := &metered{Reader: body, admission: a}
	// The bound of a body is looked at where it is read; a byte more is noticed there.
	return m, m.grow(min(max(length, 0), ingest.MaxBodyBytes+1))
}

func (m *metered) grow(by int64) error {
	if by == 0 {
		return nil
	}
	if !m.admission.bytes.TryAcquire(by) {
		return m.admission.refuse(errTooManyBytes)
	}
	m.gives = append(m.gives, m.admission.taken(by))
	m.taken += by
	return nil
}

func (m *metered) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	if m.read += int64(n); m.read > m.taken {
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
		m, err := d.admission.meter(r.Body, r.ContentLength)
		defer m.give()
		if err != nil {
			writeProblem(w, r, d.log, problemOf(err))
			return
		}
		r.Body = meteredBody{m, r.Body}
		next.ServeHTTP(w, r)
	})
}
