package main

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/tradetrail/tradetrail/internal/remote"
)

func newHealth(e env) *cobra.Command {
	var server string
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Exit 0 if the server is ready",
		Args:  exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := remote.New(server)
			if err != nil {
				return usageError{err}
			}
			return client.Ready(cmd.Context())
		},
	}
	serverFlag(cmd, e, &server)
	return cmd
}

func newVersion(e env) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  exactly(),
		RunE: func(*cobra.Command, []string) error {
			version, commit := "unknown", "unknown"
			if info, ok := debug.ReadBuildInfo(); ok {
				version = info.Main.Version
				for _, s := range info.Settings {
					if s.Key == "vcs.revision" {
						commit = s.Value
					}
				}
			}
			_, err := fmt.Fprintf(e.stdout, "tradetrail %s (commit %s)\n", version, commit)
			return err
		},
	}
}
