package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/tradetrail/tradetrail/internal/app"
	"github.com/tradetrail/tradetrail/internal/config"
	"github.com/tradetrail/tradetrail/internal/obs"
	"github.com/tradetrail/tradetrail/internal/remote"
)

func newBackup(e env) *cobra.Command {
	cfg := config.FromEnvironment(e.lookup)
	var output, server string
	cmd := &cobra.Command{
		Use:   "backup --output FILE",
		Short: "Copy the embedded event store into a file, while it is being used",
		Long: "Copies the embedded event store of the running server into FILE, which must not exist: everything\n" +
			"that was recorded before, and nothing by halves. When no server answers, and --server was not\n" +
			"given, the copy is made of the event store in --data-dir.\n\n" +
			"The read models are not in it: they are made anew from the log.",
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output == "" {
				return usageError{errors.New("--output FILE is missing")}
			}
			client, err := remote.New(server)
			if err != nil {
				return usageError{err}
			}
			source := client.Backup
			dataDirGiven := cmd.Flags().Changed("data-dir")
			if !cmd.Flags().Changed("server") && (dataDirGiven || !client.Reachable(cmd.Context())) {
				if cfg.EventStore != "" && !dataDirGiven {
					return usageError{errors.New("TRADETRAIL_EVENTSTORE names another event store: use the backup of its cluster")}
				}
				fmt.Fprintf(e.stderr, "no server: copying the event store in %s\n", cfg.DataDir)
				source = app.BackupOf(cfg.DataDir, obs.NewLogger(e.stderr, slog.LevelWarn))
			}
			b, err := app.SaveBackup(cmd.Context(), output, source)
			if err != nil {
				return err
			}
			return describe(e.stdout, "wrote "+output, b)
		},
	}
	cmd.Flags().StringVar(&output, "output", "", "file to write; it must not exist")
	cmd.Flags().StringVar(&cfg.DataDir, "data-dir", cfg.DataDir, "directory of the embedded event store, for a copy without a server")
	serverFlag(cmd, e, &server)
	cmd.MarkFlagsMutuallyExclusive("server", "data-dir")
	return cmd
}

func newRestore(e env) *cobra.Command {
	cfg := config.FromEnvironment(e.lookup)
	var input string
	cmd := &cobra.Command{
		Use:   "restore --input FILE --data-dir DIR",
		Short: "Make a data directory of a copy that backup wrote",
		Long: "Makes the event store in DIR, which must be empty or not exist, of FILE (- for standard input).\n" +
			"Every event is read and checked first. If anything is wrong the exit code is 3, and DIR stays as\n" +
			"it was.",
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if input == "" || !cmd.Flags().Changed("data-dir") || cfg.DataDir == "" {
				return usageError{errors.New("--input FILE and --data-dir DIR must be given")}
			}
			in := e.stdin
			if input != "-" {
				file, err := os.Open(input)
				if err != nil {
					return fmt.Errorf("opening the backup: %w", err)
				}
				defer func() { _ = file.Close() }() // only read
				in = file
			}
			b, err := app.Restore(cmd.Context(), in, cfg)
			if err != nil {
				return err
			}
			return describe(e.stdout, "restored to "+cfg.DataDir, b)
		},
	}
	cmd.Flags().StringVar(&input, "input", "", "file that backup wrote, - for standard input")
	cmd.Flags().StringVar(&cfg.DataDir, "data-dir", cfg.DataDir, "data directory to make")
	return cmd
}

// describe says what a copy holds.
func describe(out io.Writer, done string, b app.Backup) error {
	latest := "there is no event yet"
	if b.Events > 0 {
		latest = fmt.Sprintf("up to position C:%d/P:%d, recorded %s", b.Position, b.Position, b.Created.Format(time.RFC3339))
	}
	_, err := fmt.Fprintf(out, "%s: %d events, %s; %d bytes in %d files; copied %s\n",
		done, b.Events, latest, b.Bytes, b.Files, b.Time.Format(time.RFC3339))
	return err
}
