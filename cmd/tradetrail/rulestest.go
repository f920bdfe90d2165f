package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/rules"
)

// againstRecorded stands for the findings that are in the log.
const againstRecorded = "recorded"

// trialRun is history judged anew, beside what it is held against.
type trialRun struct {
	now, then *rules.Engine // then is nil: the recorded findings
	compared  *rules.Comparison
	events    int64
	recorded  int64
	bar       *progressbar.ProgressBar
}

func newRulesTest(e env) *cobra.Command {
	var from asked
	var against, format, output string
	var after, before string
	var show int
	cmd := &cobra.Command{
		Use:   "test RULES.yaml",
		Short: "Try out rules on history, without touching anything",
		Long: "Runs the rules of a file over the events that occurred from --from on and before --to, in the order of\n" +
			"the log, and shows how their findings differ from those of the rules that come along, of another\n" +
			"file (--against FILE), or from those that were recorded (--against recorded). Nothing is written.\n\n" +
			"Orders that began before --from are treated as those that began before the log: what is missing\n" +
			"is held against nobody. When no server answers it reads the event store in --data-dir.",
		Example: "  tradetrail rules test new.yaml --from 2026-03-01 --to 2026-04-01 --against rules.yaml",
		Args:    exactly("RULES.yaml"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if err := checkFormat(format); err != nil {
				return err
			}
			if show < 0 || show > rules.MaxExamples {
				return usageError{fmt.Errorf("--examples must be from 0 to %d", rules.MaxExamples)}
			}
			set, err := loadRules(args[0])
			if err != nil {
				return err
			}
			run := trialRun{now: set.Engine(), compared: rules.Compare()}
			if against != againstRecorded {
				then, err := loadRules(against)
				if err != nil {
					return err
				}
				run.then = then.Engine()
			}
			client, err := from.open(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, client.Close()) }()
			query := make(url.Values)
			for name, value := range map[string]string{"after": after, "before": before} {
				if value != "" {
					query.Set(name, value)
				}
			}
			run.bar = newCounter(e.stderr)
			missing, err := client.Export(cmd.Context(), query, "application/x-ndjson", &eventLines{out: io.Discard, line: run.event})
			err = errors.Join(err, run.bar.Exit())
			if err != nil {
				return err
			}
			if missing.Parked > 0 {
				fmt.Fprintf(e.stderr, "tradetrail: the read models could not take in %d events, which were not judged; see tradetrail projections\n", missing.Parked)
			}
			if before == "" {
				run.finish()
			}
			return writeTo(output, e.stdout, func(w io.Writer) error {
				if format == "json" {
					return writeJSON(w, run.outcome(show))
				}
				return printOutcome(w, run.outcome(show))
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&after, "from", "", "events that occurred at this time or later: 2026-03-02T14:30:00Z, or a date (default: the log's beginning)")
	flags.StringVar(&before, "to", "", "events that occurred before this time (default: the log's end)")
	flags.StringVar(&against, "against", "", "file of rules to compare with, or recorded (default: the rules that come along)")
	flags.IntVar(&show, "examples", 3, "how many examples of each rule are shown, new ones and vanished ones")
	flags.StringVar(&format, "format", "table", "table or json")
	flags.StringVar(&output, "output", "", "file to write to; it is there only when all is in it")
	from.flags(cmd, e)
	return cmd
}

// newCounter counts on a terminal only; in a log it would be noise.
func newCounter(out io.Writer) *progressbar.ProgressBar {
	return progressbar.NewOptions64(-1,
		progressbar.OptionSetWriter(out), progressbar.OptionSetVisibility(isTerminal(out)), progressbar.OptionShowCount(), progressbar.OptionShowIts(),
		progressbar.OptionSetItsString("events"), progressbar.OptionSetDescription("judging"), progressbar.OptionThrottle(barEvery), progressbar.OptionClearOnFinish())
}

// event judges a line of an export.
func (t *trialRun) event(_ io.Writer, line []byte) error {
	event, err := domain.Decode(line)
	if err != nil {
		return errors.Join(errEvent, err)
	}
	var place struct {
		Stream   string `json:"stream"`
		Revision uint64 `json:"revision"`
		Position string `json:"position"`
	}
	if err := json.Unmarshal(line, &place); err != nil {
		return errors.Join(errEvent, err)
	}
	located := domain.Located{Event: event, Stream: place.Stream, Revision: place.Revision}
	if located.Position, err = domain.ParsePosition(place.Position); err != nil {
		return errors.Join(errEvent, err)
	}
	t.events++
	t.compared.Now(t.now.Observe(located)...)
	if t.then != nil {
		t.compared.Then(t.then.Observe(located)...)
	} else if found, ok := rules.Recorded(event); ok {
		t.recorded++
		t.compared.Then(found)
	}
	return t.bar.Add(1)
}

// finish judges what waits for more of the log, when there is none. After a window it
// stays unjudged: what comes next is in the log, and not known here.
func (t *trialRun) finish() {
	t.compared.Now(t.now.Finish()...)
	if t.then != nil {
		t.compared.Then(t.then.Finish()...)
	}
}

// outcome is what a trial has shown.
type outcome struct {
	Events       int64              `json:"events"`
	Recorded     int64              `json:"recorded,omitempty"` // findings in the log
	Rules        []rules.Difference `json:"rules"`
	New          []rules.Finding    `json:"new"`      // examples
	Vanished     []rules.Finding    `json:"vanished"` // examples
	Unjudged     int64              `json:"unjudged"`
	Waiting      int                `json:"waiting"`    // for their grace, at the end of the window
	Uncompared   int64              `json:"uncompared"` // findings for which there was no room
	Uncomputable map[string]int64   `json:"uncomputable"`
}

func (t *trialRun) outcome(show int) outcome {
	stats := t.now.Stats()
	return outcome{
		Events: t.events, Recorded: t.recorded, Rules: t.compared.Differences(), New: t.compared.New(show), Vanished: t.compared.Vanished(show),
		Unjudged: stats.Unjudged, Waiting: stats.Waiting, Uncompared: t.compared.Uncompared(), Uncomputable: stats.Uncomputable,
	}
}

func printOutcome(out io.Writer, o outcome) error {
	fmt.Fprintf(out, "%d events\n\n", o.Events)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "new\tvanished\tunchanged\t rule\t")
	var sum rules.Difference
	for _, d := range o.Rules {
		fmt.Fprintf(table, "%d\t%d\t%d\t %s\t\n", d.New, d.Vanished, d.Unchanged, d.Rule)
		sum.New, sum.Vanished, sum.Unchanged = sum.New+d.New, sum.Vanished+d.Vanished, sum.Unchanged+d.Unchanged
	}
	fmt.Fprintf(table, "%d\t%d\t%d\t %s\t\n", sum.New, sum.Vanished, sum.Unchanged, "all")
	if err := table.Flush(); err != nil {
		return err
	}
	for _, part := range []struct {
		name  string
		found []rules.Finding
	}{{"new", o.New}, {"vanished", o.Vanished}} {
		if len(part.found) > 0 {
			fmt.Fprintf(out, "\n%s, for example:\n", part.name)
		}
		for _, f := range part.found {
			fmt.Fprintf(out, "  %s  %s  %s%s\n      %s\n", f.At.Format(time.RFC3339Nano), f.Severity, f.Rule, label("  order ", f.Order), f.Explanation)
		}
	}
	if o.Unjudged > 0 {
		fmt.Fprintf(out, "\nnot judged, since too much had happened in between: %d\n", o.Unjudged)
	}
	if o.Waiting > 0 {
		fmt.Fprintf(out, "\nnot judged, since they wait for what is recorded after the window: %d\n", o.Waiting)
	}
	if o.Uncompared > 0 {
		fmt.Fprintf(out, "\nfindings that are not counted, since there are too many: %d\n", o.Uncompared)
	}
	for _, rule := range slices.Sorted(maps.Keys(o.Uncomputable)) {
		fmt.Fprintf(out, "\nthe expression of %s made no sense on %d events\n", rule, o.Uncomputable[rule])
	}
	return nil
}
