package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/internal/remote"
)

func newRecord(e env) *cobra.Command {
	var server string
	cmd := &cobra.Command{
		Use:   "record [EVENT]",
		Short: "Record one or more events and print their receipts",
		Long: "Records EVENT, a JSON object in any of the input shapes, or what comes on standard input:\n" +
			"one object, an array of objects, or NDJSON. Prints one receipt a line.",
		Example: `  tradetrail record '{"event_type":"user.action","occurred_at":"2026-03-02T14:29:58Z","user_id":"ops1","data":{"action":"kill switch tested"}}'
  tradetrail record < events.ndjson`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := remote.New(server)
			if err != nil {
				return usageError{err}
			}
			body := e.stdin
			if len(args) == 1 {
				body = bytes.NewReader([]byte(args[0]))
			}
			items, err := ingest.ParseBody(body, ingest.FramingGuess)
			if err != nil {
				return err
			}
			receipts, err := client.Record(cmd.Context(), "record", items)
			if err != nil {
				return err
			}
			return printReceipts(e.stdout, receipts)
		},
	}
	serverFlag(cmd, e, &server)
	return cmd
}

var errRejected = errors.New("some events were rejected; their input is in quarantine")

func printReceipts(out io.Writer, receipts []ingest.Receipt) error {
	rejected := false
	for _, r := range receipts {
		line := map[string]any{
			"line": r.Line, "status": r.Status, "stream": r.Stream, "revision": r.Revision, "position": r.Position.String(),
		}
		if r.EventID != "" {
			line["event_id"] = r.EventID
		}
		if r.Err != nil {
			rejected = true
			line["error"] = map[string]string{"code": r.Err.Code, "field": r.Err.Field, "message": r.Err.Message}
		}
		text, err := json.Marshal(line)
		if err != nil {
			return fmt.Errorf("printing a receipt: %w", err)
		}
		if _, err := fmt.Fprintf(out, "%s\n", text); err != nil {
			return fmt.Errorf("printing a receipt: %w", err)
		}
	}
	if rejected {
		return errRejected
	}
	return nil
}
