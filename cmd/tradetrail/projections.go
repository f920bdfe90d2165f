package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tradetrail/tradetrail/internal/remote"
)

// maxBehind is up to where the server counts what a view has not applied yet.
const maxBehind = 10_000

type projectionAnswer struct {
	Name       string      `json:"name"`
	Version    int         `json:"version"`
	Generation int         `json:"generation"`
	Position   string      `json:"position"`
	Events     int64       `json:"events"`
	Behind     int64       `json:"behind"`
	Lag        string      `json:"lag"`
	Parked     int64       `json:"parked"`
	Rebuild    *rebuilding `json:"rebuild"`
}

type parkedAnswer struct {
	Projection string  `json:"projection"`
	Position   string  `json:"position"`
	Stream     string  `json:"stream"`
	Revision   int64   `json:"revision"`
	EventType  *string `json:"eventType"`
	EventID    *string `json:"eventId"`
	OrderID    *string `json:"orderId"`
	Reason     string  `json:"reason"`
}

func newProjections(e env) *cobra.Command {
	var server, format string
	cmd := &cobra.Command{
		Use:   "projections",
		Short: "Show where the read models stand",
		Args:  exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := remote.New(server)
			if err != nil {
				return usageError{err}
			}
			if err := checkFormat(format); err != nil {
				return err
			}
			var raw struct {
				Projections json.RawMessage `json:"projections"`
			}
			const query = `{ projections { name version generation position head caughtUp events behind lag parked rebuild { ` + rebuildFields + ` queuedAt updatedAt endedAt } } }`
			if err := client.Query(cmd.Context(), query, nil, &raw); err != nil {
				return err
			}
			if format == "json" {
				_, err := fmt.Fprintf(e.stdout, "%s\n", raw.Projections)
				return err
			}
			var all []projectionAnswer
			if err := json.Unmarshal(raw.Projections, &all); err != nil {
				return fmt.Errorf("reading where the read models stand: %w", err)
			}
			return printProjections(e.stdout, all)
		},
	}
	formatFlag(cmd, &format)
	serverFlag(cmd, e, &server)
	cmd.AddCommand(newParked(e), newReplay(e))
	return cmd
}

func formatFlag(cmd *cobra.Command, format *string) {
	cmd.Flags().StringVar(format, "format", "table", "table or json")
}

func checkFormat(format string) error {
	if format != "table" && format != "json" {
		return usageError{fmt.Errorf("unknown format %q: table or json", format)}
	}
	return nil
}

func printProjections(out io.Writer, all []projectionAnswer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tVERSION\tGENERATION\tPOSITION\tEVENTS\tBEHIND\tLAG\tPARKED\tREBUILD")
	for _, p := range all {
		behind, lag, rebuild := fmt.Sprint(p.Behind), p.Lag, "-"
		if p.Behind >= maxBehind {
			behind += "+"
		}
		if d, ok := isoDuration(p.Lag); ok {
			lag = d.Round(time.Millisecond).String()
		}
		if p.Rebuild != nil {
			rebuild = p.Rebuild.howFar()
		}
		fmt.Fprintf(table, "%s\t%d\t%d\t%s\t%d\t%s\t%s\t%d\t%s\n", p.Name, p.Version, p.Generation, p.Position, p.Events, behind, lag, p.Parked, rebuild)
	}
	return table.Flush()
}

func newParked(e env) *cobra.Command {
	var server, format string
	cmd := &cobra.Command{
		Use:   "parked [VIEW...]",
		Short: "List the events that read models could not take in",
		Long: "Lists the events that each VIEW (all by default) could not take in, and those that wait behind them:\n" +
			"later events of the same order, or else of the same stream. All others went on.",
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := remote.New(server)
			if err != nil {
				return usageError{err}
			}
			if err := checkFormat(format); err != nil {
				return err
			}
			all, err := parkedIn(cmd.Context(), client, args)
			if err != nil {
				return err
			}
			if format == "json" {
				return json.NewEncoder(e.stdout).Encode(all)
			}
			return printParked(e.stdout, all)
		},
	}
	formatFlag(cmd, &format)
	serverFlag(cmd, e, &server)
	return cmd
}

// parkedIn lists what is parked in some views, in all if none is named.
func parkedIn(ctx context.Context, client *remote.Client, names []string) ([]parkedAnswer, error) {
	wanted := []any{nil}
	if len(names) > 0 {
		wanted = wanted[:0]
		for _, name := range names {
			wanted = append(wanted, name)
		}
	}
	all := []parkedAnswer{}
	for _, name := range wanted {
		var answer struct {
			Parked []parkedAnswer `json:"parked"`
		}
		const query = `query($name: String) { parked(projection: $name) { projection position stream revision eventType eventId orderId reason } }`
		if err := client.Query(ctx, query, map[string]any{"name": name}, &answer); err != nil {
			return nil, err
		}
		all = append(all, answer.Parked...)
	}
	return all, nil
}

func printParked(out io.Writer, all []parkedAnswer) error {
	if len(all) == 0 {
		fmt.Fprintln(out, "nothing is parked")
		return nil
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "VIEW\tPOSITION\tSTREAM\tREVISION\tEVENT\tREASON")
	for _, p := range all {
		kind := "-"
		if p.EventType != nil {
			kind = printable(*p.EventType)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\n", p.Projection, p.Position, printable(p.Stream), p.Revision, kind, printable(p.Reason))
	}
	return table.Flush()
}

func newReplay(e env) *cobra.Command {
	var server string
	var detach bool
	cmd := &cobra.Command{
		Use:   "replay [VIEW...]",
		Short: "Take in what read models have parked",
		Long: "Rebuilds those of the VIEWs (of all by default) that have parked events: a rebuild takes them in, in the\n" +
			"order of the log, if the program can by now. Exit status: 0 nothing is parked any more, 1 otherwise.\n" +
			"Ctrl-C cancels what is under way.",
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := remote.New(server)
			if err != nil {
				return usageError{err}
			}
			const mutation = `mutation($names: [String!]) { started: replay(projections: $names) { ` + rebuildFields + ` } }`
			started, err := startRebuilds(cmd.Context(), client, mutation, map[string]any{"names": nilIfEmpty(args)})
			if err != nil {
				return err
			}
			if len(started) == 0 {
				return printParked(e.stdout, nil)
			}
			if detach {
				return printDetached(e.stdout, started)
			}
			ended, err := watchRebuilds(cmd.Context(), e, client, started)
			if err != nil {
				return err
			}
			names := make([]string, len(ended))
			for i, r := range ended {
				names[i] = r.Projection
				if r.State == "DONE" {
					fmt.Fprintf(e.stdout, "%s: generation %d at %s\n", r.Projection, r.Generation, r.Position)
					continue
				}
				fmt.Fprintf(e.stdout, "%s: %s\n", r.Projection, r.verdict())
				err = errors.New("not everything was rebuilt")
			}
			left, leftErr := parkedIn(cmd.Context(), client, names)
			if leftErr != nil {
				return errors.Join(err, leftErr)
			}
			if len(left) > 0 {
				err = errors.Join(err, fmt.Errorf("%d events are still parked", len(left)))
			}
			return errors.Join(printParked(e.stdout, left), err)
		},
	}
	cmd.Flags().BoolVar(&detach, "detach", false, "only start the rebuilds")
	serverFlag(cmd, e, &server)
	return cmd
}
