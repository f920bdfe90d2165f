package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

const chainQuery = `query($id: ID!) { chain(orderId: $id) {
  orderId status latencyTotal
  order { side quantity cumQuantity leavesQuantity avgPrice ticker accountId strategyId }
  events { stage latencyFromPrevious event { occurredAt eventType actor data stream revision position } }
} }`

type chainAnswer struct {
	OrderID      string `json:"orderId"`
	Status       string `json:"status"`
	LatencyTotal string `json:"latencyTotal"`
	Order        struct {
		Side           string `json:"side"`
		Quantity       string `json:"quantity"`
		CumQuantity    string `json:"cumQuantity"`
		LeavesQuantity string `json:"leavesQuantity"`
		AvgPrice       string `json:"avgPrice"`
		Ticker         string `json:"ticker"`
		AccountID      string `json:"accountId"`
		StrategyID     string `json:"strategyId"`
	} `json:"order"`
	Events []struct {
		Stage               string `json:"stage"`
		LatencyFromPrevious string `json:"latencyFromPrevious"`
		Event               struct {
			OccurredAt string          `json:"occurredAt"`
			EventType  string          `json:"eventType"`
			Actor      string          `json:"actor"`
			Data       json.RawMessage `json:"data"`
		} `json:"event"`
	} `json:"events"`
}

func newChain(e env) *cobra.Command {
	var from asked
	var format string
	cmd := &cobra.Command{
		Use:   "chain ORDER",
		Short: "Show an order's whole decision history",
		Long: "Shows an order's whole decision history, as the running server tells it or, when none answers, from\n" +
			"the event store in --data-dir.",
		Args: exactly("ORDER"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if format != "json" && format != "table" {
				return usageError{fmt.Errorf("unknown format %q: table or json", format)}
			}
			client, err := from.open(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, client.Close()) }()
			var raw struct {
				Chain json.RawMessage `json:"chain"`
			}
			if err := client.Query(cmd.Context(), chainQuery, map[string]any{"id": args[0]}, &raw); err != nil {
				return err
			}
			if len(raw.Chain) == 0 || string(raw.Chain) == "null" {
				return fmt.Errorf("no event names order %s", args[0])
			}
			if format == "json" {
				_, err := fmt.Fprintf(e.stdout, "%s\n", raw.Chain)
				return err
			}
			var chain chainAnswer
			if err := json.Unmarshal(raw.Chain, &chain); err != nil {
				return fmt.Errorf("reading the chain: %w", err)
			}
			return printChain(e.stdout, chain)
		},
	}
	cmd.Flags().StringVar(&format, "format", "table", "table or json")
	from.flags(cmd, e)
	return cmd
}

func printChain(out io.Writer, c chainAnswer) error {
	o := c.Order
	_, headErr := fmt.Fprintf(out, "order %s  %s  %s\n", c.OrderID, c.Status, strings.Join(nonEmpty(
		o.Side, o.Ticker, label("quantity ", o.Quantity), label("filled ", o.CumQuantity), label("average ", o.AvgPrice),
		label("account ", o.AccountID), label("strategy ", o.StrategyID)), "  "))
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "OCCURRED\tSTAGE\tEVENT\tLATENCY\tDATA")
	for _, step := range c.Events {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", step.Event.OccurredAt, step.Stage, step.Event.EventType, step.LatencyFromPrevious, step.Event.Data)
	}
	_, footErr := fmt.Fprintf(table, "\t\t\t%s\ttotal\n", c.LatencyTotal)
	return errors.Join(headErr, footErr, table.Flush())
}

func label(name, value string) string {
	if value == "" {
		return ""
	}
	return name + value
}

func nonEmpty(texts ...string) []string {
	var out []string
	for _, text := range texts {
		if text != "" {
			out = append(out, text)
		}
	}
	return out
}
