package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

// reportFlags are what a report can be about.
type reportFlags struct {
	order, account, strategy, user, daily string
	compliance                            bool
	from, to, format                      string
}

// parameters are those of POST /audit/report.
func (f reportFlags) parameters() (url.Values, error) {
	query := url.Values{"format": {f.format}}
	about := 0
	for kind, id := range map[string]string{"order": f.order, "account": f.account, "strategy": f.strategy, "user": f.user} {
		if id != "" {
			query.Set("kind", kind)
			query.Set("id", id)
			about++
		}
	}
	if f.daily != "" {
		query.Set("kind", "daily")
		query.Set("day", f.daily)
		about++
	}
	if f.compliance {
		query.Set("kind", "compliance")
		about++
	}
	if about != 1 {
		return nil, errors.New("exactly one of --order, --account, --strategy, --user, --daily and --compliance must be given")
	}
	for name, value := range map[string]string{"from": f.from, "to": f.to} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return query, nil
}

func newReport(e env) *cobra.Command {
	var from asked
	var flags reportFlags
	var output string
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Write a report",
		Long: "Writes a report of an order's chain, of the history of an account, a strategy or a user, of a UTC\n" +
			"day, or for compliance. That it was made is recorded as an event. When no server answers it is\n" +
			"made from the event store in --data-dir.",
		Example: `  tradetrail report --order ord-1 --output ord-1.pdf
  tradetrail report --daily 2026-03-02 --format text
  tradetrail report --account acc-1001 --from 2026-03-01 --to 2026-04-01 --output march.pdf`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			query, err := flags.parameters()
			if err != nil {
				return usageError{err}
			}
			if !strings.Contains(" pdf html csv json text ", " "+flags.format+" ") {
				return usageError{fmt.Errorf("unknown format %q: pdf, html, csv, json or text", flags.format)}
			}
			if output == "" && flags.format == "pdf" && isTerminal(e.stdout) {
				return usageError{errors.New("a PDF is nothing for a terminal: say --output FILE, or --format text")}
			}
			client, err := from.open(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, client.Close()) }()
			return writeReport(cmd.Context(), client, query, output, e)
		},
	}
	for name, flag := range map[string]struct {
		target *string
		usage  string
	}{
		"order":    {&flags.order, "the chain of this order"},
		"account":  {&flags.account, "the history of this account"},
		"strategy": {&flags.strategy, "the history of this strategy"},
		"user":     {&flags.user, "the history of this user"},
		"daily":    {&flags.daily, "the audit report of this UTC day, such as 2026-03-02"},
		"from":     {&flags.from, "the beginning of the window of occurred_at: 2026-03-02T14:30:00Z, or a date"},
		"to":       {&flags.to, "the end of the window, which is not in it"},
	} {
		cmd.Flags().StringVar(flag.target, name, "", flag.usage)
	}
	cmd.Flags().BoolVar(&flags.compliance, "compliance", false, "what is recorded, how long it is to be kept, what is missing, and who looked")
	cmd.Flags().StringVar(&flags.format, "format", "pdf", "pdf, html, csv, json or text")
	cmd.Flags().StringVar(&output, "output", "", "file to write to; it is there only when all is in it")
	from.flags(cmd, e)
	return cmd
}

func writeReport(ctx context.Context, client *answering, query url.Values, output string, e env) error {
	job, err := client.Report(ctx, query)
	if err != nil {
		return err
	}
	if err := writeTo(output, e.stdout, func(w io.Writer) error { return client.ReportContent(ctx, job, w) }); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stderr, "sha256 %s, %d rows, recorded as event %s, report %s\n", job.SHA256, job.Rows, job.EventID, job.ID)
	return err
}
