package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/eventstore/embedded"
	"github.com/tradetrail/tradetrail/internal/config"
)

// Store is the event store that the configuration names: a connection to a real
// one, or the embedded node and a connection to it.
type Store struct {
	*eventstore.Store

	Node *embedded.Node // nil with a real server
}

// OpenStore opens the event store, which lives until Close.
func OpenStore(cfg config.Config, log *slog.Logger) (*Store, error) {
	if cfg.EventStore != "" {
		remote, err := eventstore.ParseURL(cfg.EventStore)
		if err != nil {
			return nil, err
		}
		store, err := eventstore.Open(remote, log)
		if err != nil {
			return nil, err
		}
		return &Store{Store: store}, nil
	}
	node, err := embedded.Open(storeDir(cfg.DataDir), embedded.Options{Logger: log, Listen: cfg.EventStoreListen})
	if err != nil {
		return nil, classify(err)
	}
	if cfg.EventStoreListen != "" {
		log.InfoContext(context.Background(), "event store takes clients from this machine", slog.String("url", "esdb://"+node.Address()+"?tls=false"))
	}
	return &Store{Store: eventstore.Over(node.Conn(), log), Node: node}, nil
}

// Close closes the connection, then the node.
func (s *Store) Close() error {
	err := s.Store.Close()
	if s.Node != nil {
		err = errors.Join(err, s.Node.Close())
	}
	return err
}

// watch ends when the node does, with its reason.
func (s *Store) watch(ctx context.Context) error {
	select {
	case <-s.Node.Done():
		return fmt.Errorf("the node stopped: %w", classify(s.Node.Err()))
	case <-ctx.Done():
		return nil
	}
}

// classify gives damage found by the node its class; the node knows nothing of
// ours.
func classify(err error) error {
	if _, damaged := errors.AsType[*embedded.IntegrityError](err); damaged {
		return &domain.Error{Class: domain.ClassIntegrity, Code: eventstore.CodeDamaged, Message: "the embedded event store is damaged", Err: err}
	}
	return err
}
