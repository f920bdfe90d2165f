package main

import (
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
	cmd.Flags().StringVar(&a.cfg.DataDir, "data-dir", a.cfg.DataDir, "directory of the embedded event store, read when no server answers")
	cmd.MarkFlagsMutuallyExclusive("server", "data-dir")
}

// open finds whom to ask. closing must be called.
func (a *asked) open(cmd *cobra.Command) (client *remote.Client, closing func() error, err error) {
	client, err = remote.New(a.server)
	if err != nil {
		return nil, nil, usageError{err}
	}
	stay := func() error { return nil }
	_, serverNamed := a.env.lookup("TRADETRAIL_SERVER")
	dataDirGiven := cmd.Flags().Changed("data-dir")
	switch {
	case dataDirGiven:
	case cmd.Flags().Changed("server"), serverNamed, a.cfg.EventStore != "", client.Reachable(cmd.Context()):
		return client, stay, nil
	}
	fmt.Fprintf(a.env.stderr, "no server: reading the event store in %s\n", a.cfg.DataDir)
	local, err := app.OpenLocal(cmd.Context(), a.cfg.DataDir, obs.NewLogger(a.env.stderr, slog.LevelError))
	if err != nil {
		return nil, nil, err
	}
	if client, err = remote.New(local.URL); err != nil {
		_ = local.Close()
		return nil, nil, err
	}
	return client, local.Close, nil
}
