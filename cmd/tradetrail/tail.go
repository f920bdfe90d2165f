package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

// subjects are what a live feed can be about, and the flags of tail.
func subjects() []string {
	return []string{"account", "user", "strategy", "order", "instrument", "entity"}
}

func newTail(e env) *cobra.Command {
	var from asked
	var format, after string
	values := make(map[string]*string)
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Show events as they are recorded",
		Long: "Shows the events of one account, user, strategy, order, instrument or other entity as they are\n" +
			"recorded, one a line, until it is interrupted. When the connection breaks it goes on by itself,\n" +
			"with no event missing and none twice. With --data-dir it shows what is in that event store, which no\n" +
			"server may be using, behind --after, by default all, and ends.",
		Example: `  tradetrail tail --account acc-1001
  tradetrail tail --order ord_501 --after C:0/P:0 --format json`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			subject, err := chosen(values)
			if err != nil {
				return usageError{err}
			}
			line, err := lineFormat(format)
			if err != nil {
				return usageError{err}
			}
			client, err := from.openNamed(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, client.Close()) }()
			if client.local != nil {
				if subject == "order" {
					return usageError{errors.New("without a server an order's events are shown by: tradetrail chain")}
				}
				_, err := client.Export(cmd.Context(), recorded(subject, *values[subject], after), "application/x-ndjson", &eventLines{out: e.stdout, line: line})
				return err
			}
			return client.Follow(cmd.Context(), subject, *values[subject], after, func(event []byte) error { return line(e.stdout, event) })
		},
	}
	for _, name := range subjects() {
		values[name] = cmd.Flags().String(name, "", "the "+name+" to follow")
	}
	cmd.Flags().Lookup("entity").Usage = "any other entity to follow, as TYPE:ID"
	cmd.Flags().StringVar(&after, "after", "", "position to begin behind, such as C:120/P:120; C:0/P:0 is the beginning (default: now)")
	cmd.Flags().StringVar(&format, "format", "table", "table or json")
	from.flags(cmd, e)
	return cmd
}

// recorded is the search for what a feed would have shown.
func recorded(subject, id, after string) url.Values {
	query := make(url.Values)
	switch subject { // an order's feed is its chain, and has more than its own events
	case "instrument":
		query.Set("ticker", id)
	case "entity":
		kind, name, _ := strings.Cut(id, ":")
		query.Set("entity_type", kind)
		query.Set("entity_id", name)
	default:
		query.Set(subject, id)
	}
	if after != "" {
		query.Set("cursor", after)
	}
	return query
}

func chosen(values map[string]*string) (string, error) {
	var given []string
	for _, name := range subjects() {
		if *values[name] != "" {
			given = append(given, name)
		}
	}
	if len(given) != 1 {
		return "", fmt.Errorf("give exactly one of --%s", strings.Join(subjects(), ", --"))
	}
	return given[0], nil
}

// lineFormat writes an event as one line.
func lineFormat(format string) (func(w io.Writer, event []byte) error, error) {
	switch format {
	case "json":
		return func(w io.Writer, event []byte) error {
			_, err := fmt.Fprintf(w, "%s\n", event)
			return err
		}, nil
	case "table":
		return printEvent, nil
	default:
		return nil, fmt.Errorf("unknown format %q: table or json", format)
	}
}

var errEvent = errors.New("the server sent something that is no event")

func printEvent(w io.Writer, event []byte) error {
	var e struct {
		OccurredAt string          `json:"occurred_at"`
		Type       string          `json:"event_type"`
		Account    string          `json:"account_id"`
		Order      string          `json:"order_id"`
		Data       json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(event, &e); err != nil {
		return errors.Join(errEvent, err)
	}
	_, err := fmt.Fprintf(w, "%-30s  %-26s  %-12s  %-20s  %s\n", e.OccurredAt, e.Type, e.Account, e.Order, e.Data)
	return err
}
