package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/app"
	"github.com/tradetrail/tradetrail/internal/config"
	"github.com/tradetrail/tradetrail/internal/remote"
	"github.com/tradetrail/tradetrail/internal/rest"
	"github.com/tradetrail/tradetrail/tlog/audit"
)

type verifyOptions struct {
	server, dataDir, key, tsaRoots string
	checkpoints                    []string
	full, noViews, json            bool
}

func newVerify(e env) *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Find out whether anything was changed, removed or left out",
		Long: "Reads the payloads of the event store, computes the leaves of the transparency log and its tree anew, and compares\n" +
			"them with the log and with every checkpoint that was ever signed; and the read models with what the events say.\n" +
			"What was verified earlier is not read again, unless --full is given. --data-dir verifies where no server runs.\n\n" +
			"A --checkpoint that somebody kept elsewhere also exposes a history that was rewritten as a whole.\n\n" +
			"Exit status: 0 nothing is wrong, 3 something is (it is named), 1 it could not be verified.",
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ask := rest.VerifyRequest{Full: o.full, NoViews: o.noViews, Key: o.key, Checkpoints: make(map[string]string)}
			for _, path := range o.checkpoints {
				text, err := checkpointIn(path)
				if err != nil {
					return err
				}
				ask.Checkpoints[path] = text
			}
			if o.tsaRoots != "" {
				text, err := os.ReadFile(o.tsaRoots)
				if err != nil {
					return fmt.Errorf("reading the roots of authorities: %w", err)
				}
				ask.TSARoots = string(text)
			}
			report, err := runVerify(cmd.Context(), e, o, ask)
			if err != nil {
				return err
			}
			if o.json {
				err = json.NewEncoder(e.stdout).Encode(report)
			} else {
				err = printReport(e.stdout, report)
			}
			if err == nil && !report.Intact {
				err = &domain.Error{Class: domain.ClassIntegrity, Code: "not_intact", Message: "the log is not intact"}
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.dataDir, "data-dir", "", "verify this data directory, which no server uses")
	flags.StringVar(&o.key, "key", "", "the public key with which the log began, as keygen printed it")
	flags.StringArrayVar(&o.checkpoints, "checkpoint", nil, "file with a checkpoint that was kept elsewhere; may be repeated")
	flags.StringVar(&o.tsaRoots, "tsa-roots", "", "root certificates, in PEM, of the time-stamping authorities that you trust (default: those of the server)")
	flags.BoolVar(&o.full, "full", false, "begin at the first event, whatever was verified earlier")
	flags.BoolVar(&o.noViews, "no-views", false, "leave the read models out")
	flags.BoolVar(&o.json, "json", false, "print the report as JSON")
	serverFlag(cmd, e, &o.server)
	return cmd
}

// checkpointIn reads a checkpoint that somebody kept.
func checkpointIn(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("reading a checkpoint: %w", err)
	}
	return string(text), nil
}

func runVerify(ctx context.Context, e env, o verifyOptions, ask rest.VerifyRequest) (audit.Report, error) {
	show := newVerifyProgress(e.stderr)
	defer show.end()
	if o.dataDir != "" {
		cfg := config.FromEnvironment(e.lookup)
		cfg.DataDir = o.dataDir
		return app.VerifyOffline(ctx, cfg, ask, show.update)
	}
	client, err := remote.New(o.server)
	if err != nil {
		return audit.Report{}, usageError{err}
	}
	var report audit.Report
	err = client.Verify(ctx, ask, show.update, &report)
	return report, err
}

// verifyProgress is a bar on a terminal, and nothing elsewhere.
type verifyProgress struct {
	out io.Writer
	bar *progressbar.ProgressBar
}

func newVerifyProgress(out io.Writer) *verifyProgress {
	p := &verifyProgress{out: out}
	if isTerminal(out) {
		p.bar = progressbar.NewOptions64(1, progressbar.OptionSetWriter(out), progressbar.OptionThrottle(barEvery),
			progressbar.OptionFullWidth(), progressbar.OptionShowCount(), progressbar.OptionSetDescription("verifying"))
	}
	return p
}

func (p *verifyProgress) update(done, total uint64) {
	if p.bar != nil {
		p.bar.ChangeMax64(int64(total) + 1) //nolint:gosec // a full bar would be a finished one
		_ = p.bar.Set64(int64(done))        //nolint:gosec // a bar that can't be drawn harms nobody
	}
}

func (p *verifyProgress) end() {
	if p.bar != nil {
		_ = p.bar.Exit() // as above
		fmt.Fprintln(p.out)
	}
}

// printReport says in plain words what was found.
func printReport(out io.Writer, r audit.Report) error {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-20s%s\n", name, fmt.Sprintf(format, args...))
	}
	line("log", "%s", printable(r.Origin))
	line("entries", "%d sealed, %d verified now (from index %d on), %d not sealed yet", r.Size, r.Verified, r.From, r.Unsealed)
	printPlace(line, "first", r.First)
	printPlace(line, "last", r.Last)
	bad := func(kinds ...audit.Kind) (n uint64) {
		for _, kind := range kinds {
			n += r.Counts[kind]
		}
		return n
	}
	verdict := func(n uint64, good, what string) string {
		if n == 0 {
			return good
		}
		return fmt.Sprintf("BROKEN: %d %s", n, what)
	}
	line("events", "%s", verdict(bad(audit.Changed, audit.Missing, audit.Inserted, audit.Reordered, audit.Truncated, audit.Unreadable, audit.SaltKey), "as they were sealed", "are not as they were sealed"))
	line("hash tree", "%s", verdict(bad(audit.Entry, audit.Tile, audit.Rewritten), "computed anew, root "+r.Root.String(), "files or checkpoints do not agree with it"))
	line("signatures", "%s", verdict(bad(audit.Signature), fmt.Sprintf("%d right", r.Signed), "are not the log's"))
	line("earlier checkpoints", "%s", verdict(bad(audit.Rewritten, audit.History, audit.Published, audit.State), fmt.Sprintf("%d, and the log begins with each", r.Compared), "are changed, cut off, or contradict the log"))
	if n := bad(audit.Certified); n > 0 {
		line("certificates", "%s", verdict(n, "", "are not right"))
	}
	for _, c := range r.Outside {
		said := "the log begins with it"
		if !c.Intact {
			said = "CONTRADICTS the log"
		}
		line("kept checkpoint", "%s, %d leaves: %s", printable(c.Name), c.Size, said)
	}
	if t := r.Timestamps; t != nil {
		good := fmt.Sprintf("%d, the last of %s", t.Read, t.Newest.Format(time.RFC3339))
		if !t.Checked {
			good += "; their tokens were not checked: name --tsa-roots"
		}
		line("timestamps", "%s", verdict(bad(audit.Timestamp), good, "are not right"))
	}
	if r.Views == nil {
		line("views", "not compared")
	} else {
		line("views", "%s", verdict(uint64(max(r.Views.Differing, 0)),
			fmt.Sprintf("%d views, %d keys, all what the events say", len(r.Views.Compared), r.Views.Keys), "keys differ from what the events say"))
	}
	for _, note := range r.Notes {
		line("note", "%s", printable(note))
	}
	for _, f := range r.Findings {
		line("FOUND", "%s", printable(f.String()))
	}
	said := "INTACT: nothing was changed, removed or left out"
	if !r.Intact {
		said = "NOT INTACT"
	}
	line("verdict", "%s (%s)", said, r.Took.Round(time.Millisecond))
	_, err := io.WriteString(out, b.String())
	return err
}

func printPlace(line func(name, format string, args ...any), name string, p *audit.Place) {
	if p != nil {
		line(name, "index %d, %s, %s revision %d, event %s, stored %s", p.Index, p.Position, printable(p.Stream), p.Revision, p.EventID, p.Created.Format(time.RFC3339Nano))
	}
}
