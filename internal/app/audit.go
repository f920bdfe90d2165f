package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/eventstore/embedded"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/internal/authz"
	"github.com/tradetrail/tradetrail/internal/config"
	"github.com/tradetrail/tradetrail/internal/rest"
	"github.com/tradetrail/tradetrail/projections/views"
	"github.com/tradetrail/tradetrail/tlog"
	"github.com/tradetrail/tradetrail/tlog/audit"
	"github.com/tradetrail/tradetrail/tlog/stamp"
)

// auditing is the auditor in this process, and how it is asked.
type auditing struct {
	verify     rest.Verify   // nil where the log is not
	standing   rest.Standing // likewise
	components []component
	checks     []rest.Check
}

// openAuditor makes what verifies the log that this process writes.
func (a *App) openAuditor(log sealing, store *eventstore.Store, set *views.Set, recorder *ingest.Recorder, policy authz.Policy) (auditing, error) {
	if !a.cfg.WritesLog() {
		return auditing{}, nil
	}
	subject, err := subjectOf(a.cfg, log.salt, store)
	if err != nil {
		return auditing{}, err
	}
	if log.key.First() && subject.FirstKey == "" {
		subject.FirstKey = log.key.Verifier() // of a log that is older than the file
	}
	subject.Authorities, subject.Witnesses = log.authorities, log.witnesses
	auditor, err := audit.NewAuditor(subject, log.key.Origin(), log.key.Signer(), integrityRecorder{recorder}, audit.DefaultBudget(), a.log, a.registry)
	if err != nil {
		return auditing{}, err
	}
	subject.Views = func(ctx context.Context) (audit.Views, []audit.Finding, error) { return compareViews(ctx, set) }
	verify := func(ctx context.Context, ask rest.VerifyRequest, progress func(done, total uint64)) (any, error) {
		if err := authz.Check(ctx, policy, authz.Operate, authz.Resource{Kind: "tlog"}); err != nil {
			return nil, err
		}
		subject := subject
		if ask.NoViews {
			subject.Views = nil
		}
		if err := trust(&subject, ask); err != nil {
			return nil, err
		}
		return auditor.Verify(ctx, subject, audit.Scope{Full: ask.Full, Outside: ask.Checkpoints, Progress: progress})
	}
	standing := func(ctx context.Context, before string, limit int) (any, error) {
		if err := authz.Check(ctx, policy, authz.Read, authz.Resource{Kind: "tlog"}); err != nil {
			return nil, err
		}
		return auditor.Standing(before, limit)
	}
	return auditing{
		verify:     verify,
		standing:   standing,
		components: []component{{name: "auditor", run: auditor.Run}},
		checks:     []rest.Check{{Name: "integrity", Ready: func(context.Context) error { return auditor.Ready() }}},
	}, nil
}

// subjectOf is what a configuration says of what is verified. Only what stands outside the
// log's own folder can say with which key it began.
func subjectOf(cfg config.Config, salt []byte, events audit.Events) (audit.Subject, error) {
	first, err := tlog.Place{Dir: cfg.LogDir(), SaltKey: cfg.SaltKeyFile()}.FirstKey()
	return audit.Subject{Events: events, Dir: cfg.LogDir(), SaltKey: salt, Now: time.Now, FirstKey: first}, err
}

// trust makes a subject trust the key and the authorities that are asked for, if any are.
func trust(subject *audit.Subject, ask rest.VerifyRequest) (err error) {
	if ask.Key != "" {
		subject.FirstKey = ask.Key
	}
	if ask.TSARoots != "" {
		subject.Authorities, err = stamp.ParseRoots([]byte(ask.TSARoots))
	}
	return err
}

// integrityRecorder records what the auditor says, like anything else that happens. A
// doubt that is recorded is not recorded again: the time, and what else is wrong by
// then, may differ after a restart.
type integrityRecorder struct{ recorder *ingest.Recorder }

func (r integrityRecorder) Record(ctx context.Context, e *domain.Event) error {
	item := ingest.Item{Line: 1, Event: e}
	if e.Type == domain.IntegrityDoubted {
		item.Same = func(recorded *domain.Event) bool { return recorded.Type == e.Type && recorded.EntityID == e.EntityID }
	}
	receipts, err := r.recorder.Record(ctx, "integrity", []ingest.Item{item})
	if err != nil {
		return fmt.Errorf("recording %s: %w", e.Type, err)
	}
	if len(receipts) != 1 || receipts[0].Err != nil {
		return fmt.Errorf("recording %s: it was not accepted: %v", e.Type, receipts)
	}
	return nil
}

// compareViews makes all read models anew beside those that are served, compares, and
// removes them again.
func compareViews(ctx context.Context, set *views.Set) (out audit.Views, found []audit.Finding, err error) {
	compared, err := set.Rebuild(ctx, set.Names(), views.RebuildOptions{Compare: true})
	if err != nil {
		return out, nil, err
	}
	for _, p := range compared {
		if p.State != views.RebuildDone {
			return out, nil, fmt.Errorf("comparing the view %s: %s %s", p.View, p.State, p.Error)
		}
		out.Compared = append(out.Compared, p.View)
		out.Keys += p.Keys
		out.Differing += p.Differing
		for _, key := range p.Different {
			found = append(found, audit.Finding{Kind: audit.View, Where: p.View + ": " + key, Text: "the key does not hold what the events say"})
		}
	}
	return out, found, nil
}

// codeRemoved is the code of what must stand beside a log, and is not there.
const codeRemoved = "removed"

func removed(format string, args ...any) error {
	return &domain.Error{Class: domain.ClassIntegrity, Code: codeRemoved, Message: fmt.Sprintf(format, args...)}
}

func noSalts(cfg config.Config) error {
	return removed("there is a transparency log in %s, and the key of its salts is gone: %s", cfg.DataDir, cfg.SaltKeyFile())
}

// hasLog says whether there is a log in the data directory, or what is left of one.
func hasLog(cfg config.Config) bool {
	_, err := os.Stat(cfg.LogDir())
	return err == nil
}

// VerifyOffline verifies a data directory that no server uses. Its read models were in
// the memory of that server, so there are none to compare. Unless ask is for less, the
// store also compares its log with its own index.
func VerifyOffline(ctx context.Context, cfg config.Config, ask rest.VerifyRequest, progress func(done, total uint64)) (audit.Report, error) {
	if _, err := os.Stat(storeDir(cfg.DataDir)); err != nil {
		if errors.Is(err, fs.ErrNotExist) && hasLog(cfg) {
			return audit.Report{}, removed("there is a transparency log in %s, and its event store is gone", cfg.DataDir)
		}
		return audit.Report{}, domain.Rejectf(domain.CodeInvalid, "data-dir", "there is no event store in %s: %v", cfg.DataDir, err)
	}
	place := tlog.Place{Dir: cfg.LogDir(), SaltKey: cfg.SaltKeyFile()}
	exists, err := place.Exists()
	switch {
	case err != nil:
		return audit.Report{}, err // a log that is gone is a verdict
	case !exists && hasLog(cfg):
		return audit.Report{}, noSalts(cfg)
	case !exists:
		return audit.Report{}, domain.Rejectf(domain.CodeInvalid, "data-dir", "there is no transparency log of %s", cfg.DataDir)
	}
	node, err := embedded.Open(storeDir(cfg.DataDir), embedded.Options{}) //nolint:contextcheck // what is opened here outlives ctx, until it is closed
	if err != nil {
		return audit.Report{}, classify(err)
	}
	store := eventstore.Over(node.Conn(), slog.New(slog.DiscardHandler))
	defer func() { _ = errors.Join(store.Close(), node.Close()) }() // nothing was written
	salt, err := tlog.ReadSaltKey(place.SaltKey)
	if errors.Is(err, fs.ErrNotExist) {
		return audit.Report{}, noSalts(cfg)
	}
	if err != nil {
		return audit.Report{}, err
	}
	subject, err := subjectOf(cfg, salt, store)
	if err != nil {
		return audit.Report{}, err
	}
	if subject.Witnesses, err = readWitnesses(cfg.WitnessPolicy); err != nil {
		return audit.Report{}, err
	}
	if err := trust(&subject, ask); err != nil {
		return audit.Report{}, err
	}
	report, err := audit.Verify(ctx, subject, audit.Scope{Full: ask.Full, Outside: ask.Checkpoints, Progress: progress})
	if err != nil || !ask.Full || !report.Intact {
		return report, err
	}
	if _, err := node.Check(ctx); err != nil {
		if domain.ClassOf(classify(err)) != domain.ClassIntegrity {
			return report, classify(err)
		}
		report.Findings = append(report.Findings, audit.Finding{Kind: audit.Unreadable, Where: storeDir(cfg.DataDir), Text: err.Error()})
		report.Counts[audit.Unreadable]++
		report.Intact = false
	}
	return report, nil
}
