package main

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/tradetrail/tradetrail/internal/app"
	"github.com/tradetrail/tradetrail/internal/config"
	"github.com/tradetrail/tradetrail/internal/obs"
	"github.com/tradetrail/tradetrail/internal/remote"
)

// asked is what a command asks that only reads: a running server or, when none
// answers, the embedded event store in a data directory.
type asked struct {
	env    env
	server string
	cfg    config.Config
}

func (a *asked) flags(cmd *cobra.Command, e env) {
	a.env, a.cfg = e, config.FromEnvironment(e.lookup)
	serverFlag(cmd, e, &a.server)
	cmd.Flags().StringVar(&a.cfg.DataDir, "data-dir", a.cfg.DataDir, "directory of the embedded event store, to read it without a server")
	cmd.MarkFlagsMutuallyExclusive("server", "data-dir")
}

// answering is who answers a command.
type answering struct {
	*remote.Client

	local *app.Local // nil: a running server
}

// Close ends what was begun for the command.
func (a *answering) Close() error {
	if a.local == nil {
		return nil
	}
	return a.local.Close()
}

// open finds whom to ask. Close must be called.
func (a *asked) open(cmd *cobra.Command) (*answering, error) {
	client, err := remote.New(a.server)
	if err != nil {
		return nil, usageError{err}
	}
	_, serverNamed := a.env.lookup("TRADETRAIL_SERVER")
	if !cmd.Flags().Changed("data-dir") && (cmd.Flags().Changed("server") || serverNamed || a.cfg.EventStore != "" || client.Reachable(cmd.Context())) {
		return &answering{Client: client}, nil
	}
	return a.openLocal(cmd)
}

// openNamed is open for a command that waits for what a server records: a data
// directory must have been named.
func (a *asked) openNamed(cmd *cobra.Command) (*answering, error) {
	if cmd.Flags().Changed("data-dir") {
		return a.openLocal(cmd)
	}
	client, err := remote.New(a.server)
	if err != nil {
		return nil, usageError{err}
	}
	return &answering{Client: client}, nil
}

func (a *asked) openLocal(cmd *cobra.Command) (*answering, error) {
	fmt.Fprintf(a.env.stderr, "reading the event store in %s\n", a.cfg.DataDir)
	local, err := app.OpenLocal(cmd.Context(), a.cfg.DataDir, obs.NewLogger(a.env.stderr, slog.LevelError))
	if err != nil {
		return nil, err
	}
	client, err := remote.New(local.URL)
	if err != nil {
		return nil, errors.Join(err, local.Close())
	}
	return &answering{client, local}, nil
}
