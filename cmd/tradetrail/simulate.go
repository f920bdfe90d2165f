package main

import (
	"bufio"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tradetrail/tradetrail/ingest/simulator"
)

func newSimulate(e env) *cobra.Command {
	var cfg simulator.Config
	var start string
	cmd := &cobra.Command{
		Use:     "simulate",
		Short:   "Print a simulated trading day as NDJSON",
		Long:    "Prints the events of a simulated trading day, the same ones for the same flags.",
		Example: "  tradetrail simulate --seed 7 | tradetrail record",
		Args:    exactly(),
		RunE: func(*cobra.Command, []string) error {
			if start != "" {
				var err error
				if cfg.Start, err = time.Parse(time.RFC3339, start); err != nil {
					return usageError{fmt.Errorf("--start: %w", err)}
				}
			}
			out := bufio.NewWriter(e.stdout)
			day := simulator.New(cfg)
			for event, ok := day.Next(); ok; event, ok = day.Next() {
				line, err := event.Encode()
				if err != nil {
					return fmt.Errorf("encoding event %s: %w", event.ID, err)
				}
				if _, err := out.Write(append(line, '\n')); err != nil {
					return fmt.Errorf("printing: %w", err)
				}
			}
			return out.Flush()
		},
	}
	flags := cmd.Flags()
	flags.Uint64Var(&cfg.Seed, "seed", 1, "which day")
	flags.StringVar(&start, "start", "", "opening of the market, RFC 3339 (default: 2026-03-02T14:30:00Z)")
	flags.DurationVar(&cfg.Length, "length", 0, "from the opening to the close (default 6h30m)")
	flags.IntVar(&cfg.Decisions, "decisions", 0, "recommendations, each of which may become an order (default 220)")
	return cmd
}
