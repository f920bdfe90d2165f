package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/ingest/broker"
	"github.com/tradetrail/tradetrail/ingest/fix"
	"github.com/tradetrail/tradetrail/ingest/kafka"
	"github.com/tradetrail/tradetrail/ingest/nats"
	"github.com/tradetrail/tradetrail/ingest/rabbitmq"
	"github.com/tradetrail/tradetrail/ingest/redisstream"
	"github.com/tradetrail/tradetrail/ingest/source"
	"github.com/tradetrail/tradetrail/internal/rest"
)

// Source is a configured source that records until its context ends. It waits for
// whatever is away, and ends by itself only when what is stored is damaged.
type Source interface {
	Name() string
	Run(ctx context.Context) error
	// Ready tells why nothing is recorded at the moment, or nil.
	Ready() error
}

// door is what sources record through, and what they tell about themselves.
type door struct {
	recorder *ingest.Recorder
	store    *eventstore.Store
	dir      string // for what a source keeps
	log      *slog.Logger
	registry prometheus.Registerer
}

// plan is a source whose configuration is known to be right.
type plan struct {
	open  func(to door) (Source, error)
	reads []string // see broker.Broker
}

// kinds are the kinds of sources there are, each with what reads its configuration.
func kinds() map[string]func(source.Entry) (plan, error) {
	return map[string]func(source.Entry) (plan, error){
		"kafka":    fromBroker[kafka.Config],
		"nats":     fromBroker[nats.Config],
		"rabbitmq": fromBroker[rabbitmq.Config],
		"redis":    fromBroker[redisstream.Config],
		"fix":      fromFIX,
	}
}

// configuration is that of a broker.
type configuration interface {
	broker.Broker
	Validate() error
}

func fromBroker[C configuration](entry source.Entry) (plan, error) {
	var config C
	if err := entry.Decode(&config); err != nil {
		return plan{}, err
	}
	if err := config.Validate(); err != nil {
		return plan{}, err
	}
	return plan{reads: config.Reads(), open: func(to door) (Source, error) {
		return broker.New(entry.Name, config, to.recorder, to.log, time.Now, to.registry)
	}}, nil
}

func fromFIX(entry source.Entry) (plan, error) {
	var config fix.Config
	if err := entry.Decode(&config); err != nil {
		return plan{}, err
	}
	if err := config.Validate(); err != nil {
		return plan{}, err
	}
	return plan{open: func(to door) (Source, error) {
		if to.dir == "" {
			return nil, domain.Rejectf(domain.CodeMissing, "data-dir", "the FIX session %s needs a directory for its sequence numbers", config.Name)
		}
		return fix.New(config, fix.Deps{
			Recorder: to.recorder, Origins: fix.NewLinks(to.store), Log: to.log, Now: time.Now, Dir: filepath.Join(to.dir, "fix"),
		})
	}}, nil
}

// AddSources has Run record from these sources, too. It must be called before Run.
// The error says everything that is wrong with their configuration.
func (a *App) AddSources(entries []source.Entry) error {
	var problems []error
	readers := make(map[[2]string]string) // kind and what is read -> name of the source
	for _, entry := range entries {
		read, ok := kinds()[entry.Kind]
		if !ok {
			problems = append(problems, domain.Rejectf(domain.CodeInvalid, "sources."+entry.Name, "%.50q is no kind of source", entry.Kind))
			continue
		}
		plan, err := read(entry)
		if err != nil {
			problems = append(problems, fmt.Errorf("source %s: %w", entry.Name, err))
		}
		for _, place := range plan.reads {
			key := [2]string{entry.Kind, place}
			if other, taken := readers[key]; taken {
				problems = append(problems, domain.Rejectf(domain.CodeInvalid, "sources."+entry.Name,
					"it reads what %s reads, and shares its place: messages would be recorded under either name, or both", other))
			}
			readers[key] = entry.Name
		}
		a.plans = append(a.plans, plan)
	}
	return errors.Join(problems...)
}

// openSources makes the sources; none run yet.
func (a *App) openSources(recorder *ingest.Recorder, store *eventstore.Store) ([]Source, error) {
	to := door{recorder: recorder, store: store, dir: a.cfg.DataDir, log: a.log, registry: a.registry}
	var sources []Source
	for _, plan := range a.plans {
		s, err := plan.open(to)
		if err != nil {
			return nil, err
		}
		sources = append(sources, s)
	}
	return sources, nil
}

// sourceChecks show the sources beside what must be well. A broker that is away
// keeps its messages and takes nothing from those who ask: the service stays ready.
func sourceChecks(sources []Source) []rest.Check {
	var checks []rest.Check
	for _, s := range sources {
		checks = append(checks, rest.Check{Name: "source " + s.Name(), Ready: func(context.Context) error { return s.Ready() }, Advisory: true})
	}
	return checks
}

func sourceComponents(sources []Source) []component {
	var components []component
	for _, s := range sources {
		components = append(components, component{name: "source " + s.Name(), run: s.Run})
	}
	return components
}
