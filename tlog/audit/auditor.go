package audit

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/backoff"
)

// Recorder makes events durable. Recording one again changes nothing, nor does a doubt
// with the id of one that is recorded, whatever else it says.
type Recorder interface {
	Record(ctx context.Context, e *domain.Event) error
}

// Budget says how much the auditor may take of the machine.
type Budget struct {
	Every time.Duration // between two looks at what is new
	// Rate is how many events it reads in a second at most, new ones and old ones. What
	// is recorded faster than this for long is verified later.
	Rate int
}

// DefaultBudget takes a tenth of a core at most, and reads ten million events again
// in an hour or two.
func DefaultBudget() Budget { return Budget{Every: 10 * time.Second, Rate: 5000} }

// Auditor verifies without being asked: what is new every time, and then a piece of all
// the rest, over and over. On a doubt it says so everywhere: in the log, in its metrics,
// in Ready, and as an event. It holds nothing up.
type Auditor struct {
	subject  Subject
	origin   string
	signer   Signer
	recorder Recorder
	budget   Budget
	log      *slog.Logger
	metrics  *metrics

	verifying chan struct{} // full while one verifies: they share the state

	mu     sync.Mutex
	doubts map[string]Finding // what is doubted, by what found it: "new" and "again"
	failed error              // why the last one could not be done
	told   map[string]bool    // event ids of doubts that were recorded

	verified *VerifiedUpTo // the last that was intact
	again    uint64        // leaves
}

// NewAuditor makes an auditor; nothing is verified before Run.
func NewAuditor(subject Subject, origin string, signer Signer, recorder Recorder, budget Budget, log *slog.Logger, registry prometheus.Registerer) (*Auditor, error) {
	a := &Auditor{
		subject: subject, origin: origin, signer: signer, recorder: recorder, budget: budget, log: log, metrics: newMetrics(),
		verifying: make(chan struct{}, 1), doubts: make(map[string]Finding), told: make(map[string]bool),
	}
	a.subject.Views = nil // it would take a copy of all read models each time
	return a, a.metrics.register(registry)
}

// Ready is nil while nothing is doubted.
func (a *Auditor) Ready() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, f := range a.doubts {
		return &domain.Error{Class: domain.ClassIntegrity, Code: "integrity_doubted", Message: f.String()}
	}
	return nil
}

// Verify verifies when somebody asks, between two looks of the auditor's own.
func (a *Auditor) Verify(ctx context.Context, subject Subject, scope Scope) (Report, error) {
	select {
	case a.verifying <- struct{}{}:
	case <-ctx.Done():
		return Report{}, ctx.Err()
	}
	defer func() { <-a.verifying }()
	return Verify(ctx, subject, scope)
}

// Run verifies until ctx ends.
func (a *Auditor) Run(ctx context.Context) error {
	for attempt := 0; ; {
		err := a.look(ctx)
		a.mu.Lock()
		a.failed = err
		a.mu.Unlock()
		wait := a.budget.Every
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			a.metrics.failures.Inc()
			a.log.WarnContext(ctx, "the log could not be verified", slog.Any("error", err), slog.Int("attempt", attempt))
			wait *= 1 << min(attempt, 5)
			attempt++
		default:
			attempt = 0
		}
		if err := backoff.Wait(ctx, 0, wait, wait); err != nil {
			return err
		}
	}
}

// look verifies what is new, a piece of the rest, and certifies days that are over.
func (a *Auditor) look(ctx context.Context) error {
	report, err := a.Verify(ctx, a.subject, Scope{Rate: a.budget.Rate})
	if err != nil {
		return err
	}
	if err := a.judge(ctx, "new", report); err != nil || !report.Intact {
		return err
	}
	a.metrics.verified.Set(float64(report.Size))
	a.mu.Lock()
	a.verified = &VerifiedUpTo{Size: report.Size, Root: report.Root, At: a.subject.Now().UTC()}
	a.mu.Unlock()
	piece := max(uint64(a.budget.Every.Seconds()*float64(a.budget.Rate)), batchEvents)
	again, err := a.Verify(ctx, a.subject, Scope{Rate: a.budget.Rate, Round: piece})
	if err != nil {
		return err
	}
	if err := a.judge(ctx, "again", again); err != nil || !again.Intact {
		return err
	}
	a.metrics.again.Set(float64(again.From + again.Verified))
	a.mu.Lock()
	a.again = again.From + again.Verified
	a.mu.Unlock()
	return a.certify(ctx, report)
}

// judge raises the alarm, or ends it.
func (a *Auditor) judge(ctx context.Context, which string, r Report) error {
	if r.Intact || len(r.Findings) == 0 {
		a.mu.Lock()
		delete(a.doubts, which)
		a.metrics.doubts.Set(float64(len(a.doubts)))
		a.mu.Unlock()
		return nil
	}
	first := r.Findings[0]
	e := doubted(a.origin, first, r, a.subject.Now())
	a.mu.Lock()
	a.doubts[which] = first
	a.metrics.doubts.Set(float64(len(a.doubts)))
	told := a.told[e.ID]
	a.mu.Unlock()
	if told {
		return nil
	}
	a.log.ErrorContext(ctx, "integrity is in doubt", slog.String("finding", first.String()), slog.Int("findings", len(r.Findings)))
	if err := a.recorder.Record(ctx, e); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.told[e.ID] = true
	return nil
}
