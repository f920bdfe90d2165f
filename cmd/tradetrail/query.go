package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"

	"github.com/spf13/cobra"
)

// queryLists are the flags that may be given several times.
func queryLists() []string { return []string{"type", "strategy", "account", "user", "ticker", "order"} }

func newQuery(e env) *cobra.Command {
	var from asked
	var format, output string
	lists := make(map[string]*[]string)
	texts := make(map[string]*string)
	cmd := &cobra.Command{
		Use:   "query",
		Short: "Find events",
		Long: "Finds events in the order of the log. All conditions must hold; of a flag that is given several\n" +
			"times, any of the values. Without --limit all events come, and the command fails unless they do.\n" +
			"When no server answers it looks in the event store in --data-dir.",
		Example: `  tradetrail query --account acc-1001 --type 'order.*' --last 24h
  tradetrail query --filter 'fill_price * fill_quantity > 10000' --format csv --output fills.csv`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			accept, ok := map[string]string{"table": "application/x-ndjson", "json": "application/x-ndjson", "csv": "text/csv"}[format]
			if !ok {
				return usageError{fmt.Errorf("unknown format %q: table, json or csv", format)}
			}
			client, err := from.open(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, client.Close()) }()
			query := make(url.Values)
			for name, values := range lists {
				if len(*values) > 0 {
					query[name] = *values
				}
			}
			for name, value := range texts {
				if cmd.Flags().Changed(name) {
					query.Set(name, *value)
				}
			}
			return writeTo(output, e.stdout, func(w io.Writer) error {
				if format == "table" {
					w = &eventLines{out: w, line: printEvent}
				}
				missing, err := client.Export(cmd.Context(), query, accept, w)
				if missing.Failed > 0 {
					fmt.Fprintf(e.stderr, "tradetrail: the filter made no sense on %d events, which are left out\n", missing.Failed)
				}
				if missing.Parked > 0 {
					fmt.Fprintf(e.stderr, "tradetrail: the read models could not take in %d events, which are in the log and in no answer; see tradetrail projections\n", missing.Parked)
				}
				return err
			})
		},
	}
	for _, name := range queryLists() {
		lists[name] = cmd.Flags().StringArray(name, nil, "events of this "+name)
	}
	for name, usage := range map[string]string{
		"last":   "events of this time up to now: 90s, 24h, 7d, 2w",
		"after":  "events that occurred at this time or later: 2026-03-02T14:30:00Z, or a date",
		"before": "events that occurred before this time",
		"filter": "an expression, such as 'slippage_bps > 5 && venue == \"NASDAQ\"'",
		"limit":  "at most so many events (default: all)",
	} {
		texts[name] = cmd.Flags().String(name, "", usage)
	}
	cmd.Flags().StringVar(&format, "format", "table", "table, json (one event a line) or csv")
	cmd.Flags().StringVar(&output, "output", "", "file to write to; it is there only when all is in it")
	from.flags(cmd, e)
	return cmd
}

// eventLines prints events that come as NDJSON.
type eventLines struct {
	out  io.Writer
	line func(w io.Writer, event []byte) error
	rest []byte // of a line whose end has not come
}

func (t *eventLines) Write(p []byte) (int, error) {
	t.rest = append(t.rest, p...)
	for {
		line, rest, ended := bytes.Cut(t.rest, []byte("\n"))
		if !ended {
			return len(p), nil
		}
		if err := t.line(t.out, line); err != nil {
			return 0, err
		}
		t.rest = rest
	}
}

// writeTo writes to a file, which appears only when all is in it, or without a path to
// stdout.
func writeTo(path string, stdout io.Writer, write func(io.Writer) error) (err error) {
	if path == "" {
		return write(stdout)
	}
	partial := path + ".partial"
	file, err := os.OpenFile(partial, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	if err = errors.Join(write(file), file.Sync(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(partial))
	}
	return os.Rename(partial, path)
}
