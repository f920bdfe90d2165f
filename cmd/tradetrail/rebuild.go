package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/backoff"
	"github.com/tradetrail/tradetrail/internal/remote"
)

const (
	// leaveTimeout bounds what is still said to the server after Ctrl-C.
	leaveTimeout = 10 * time.Second
	// awayTimeout is how long the server may be away while a rebuild is watched.
	awayTimeout = 5 * time.Minute
	// A rebuild is asked for at once again, and then less and less often.
	askFirst, askLast = 20 * time.Millisecond, 500 * time.Millisecond
	// plainEvery is how often a rebuild is reported where no bar can be drawn.
	plainEvery = 5 * time.Second
	barEvery   = 100 * time.Millisecond
)

// rebuilding is a rebuild as the server tells it.
type rebuilding struct {
	ID         string   `json:"id"`
	Projection string   `json:"projection"`
	State      string   `json:"state"`
	Rate       int      `json:"rate"`
	Generation int      `json:"generation"`
	Events     int64    `json:"events"`
	Total      int64    `json:"total"`
	PerSecond  float64  `json:"perSecond"`
	Left       string   `json:"left"`
	Position   string   `json:"position"`
	Keys       int64    `json:"keys"`
	Differing  int64    `json:"differing"`
	Different  []string `json:"different"`
	Equal      *bool    `json:"equal"`
	Error      string   `json:"error"`
}

const rebuildFields = `id projection state rate generation events total perSecond left position keys differing different equal error`

func (r rebuilding) over() bool {
	return r.State == "DONE" || r.State == "FAILED" || r.State == "CANCELLED"
}

type rebuildOptions struct {
	server         string
	rate           int
	cancel, detach bool
}

func newRebuild(e env) *cobra.Command {
	var o rebuildOptions
	cmd := &cobra.Command{
		Use:   "rebuild [VIEW...]",
		Short: "Make read models anew from the log, without downtime",
		Long: "Builds each VIEW (all by default) beside the live one, in one pass over the log, compares the two, and\n" +
			"switches over. Reads and live updates go on meanwhile. Prints whether the new build equals the old one.\n\n" +
			"Exit status: 0 all are equal, 3 one differed (it was replaced by what the log says), 1 one was not rebuilt.\n" +
			"Ctrl-C cancels what is under way.",
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := remote.New(o.server)
			if err != nil {
				return usageError{err}
			}
			if o.rate < 0 || o.rate == 0 && cmd.Flags().Changed("rate") {
				return usageError{errors.New("--rate must be at least 1; without it there is no limit")}
			}
			if o.cancel {
				return cancelRebuilds(cmd.Context(), e, client, args)
			}
			variables := map[string]any{"names": nilIfEmpty(args), "rate": nil}
			if o.rate > 0 {
				variables["rate"] = o.rate
			}
			const mutation = `mutation($names: [String!], $rate: Int) { started: startRebuild(projections: $names, rate: $rate) { ` + rebuildFields + ` } }`
			started, err := startRebuilds(cmd.Context(), client, mutation, variables)
			if err != nil {
				return err
			}
			if o.detach {
				return printDetached(e.stdout, started)
			}
			ended, err := watchRebuilds(cmd.Context(), e, client, started)
			return judgeRebuilds(e.stdout, ended, err)
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&o.rate, "rate", 0, "read at most so many events of the log per second (default: no limit)")
	flags.BoolVar(&o.cancel, "cancel", false, "cancel the rebuilds of VIEW, or all that are under way")
	flags.BoolVar(&o.detach, "detach", false, "only start the rebuilds; 'tradetrail projections' shows how far they are")
	cmd.MarkFlagsMutuallyExclusive("cancel", "rate")
	cmd.MarkFlagsMutuallyExclusive("cancel", "detach")
	serverFlag(cmd, e, &o.server)
	return cmd
}

func nilIfEmpty(list []string) any {
	if len(list) == 0 {
		return nil
	}
	return list
}

// startRebuilds sends a mutation that answers with rebuilds as "started". It does
// not end with ctx: then nobody would know what to cancel.
func startRebuilds(ctx context.Context, client *remote.Client, mutation string, variables map[string]any) ([]rebuilding, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	var answer struct {
		Started []rebuilding `json:"started"`
	}
	err := client.Query(ctx, mutation, variables, &answer)
	return answer.Started, err
}

func printDetached(out io.Writer, started []rebuilding) error {
	for _, r := range started {
		fmt.Fprintf(out, "%s: %s\n", r.Projection, strings.ToLower(r.State))
	}
	return nil
}

func rebuildsOf(ctx context.Context, client *remote.Client) ([]rebuilding, error) {
	var answer struct {
		Rebuilds []rebuilding `json:"rebuilds"`
	}
	err := client.Query(ctx, `{ rebuilds { `+rebuildFields+` } }`, nil, &answer)
	return answer.Rebuilds, err
}

func cancelRebuilds(ctx context.Context, e env, client *remote.Client, names []string) error {
	under, err := rebuildsOf(ctx, client)
	if err != nil {
		return err
	}
	under = slices.DeleteFunc(under, rebuilding.over)
	if len(names) == 0 {
		for _, r := range under {
			names = append(names, r.Projection)
		}
	}
	for _, name := range names {
		if err := cancelRebuild(ctx, client, name); err != nil {
			return fmt.Errorf("cancelling the rebuild of %s: %w", name, err)
		}
		what := "cancelled"
		if !slices.ContainsFunc(under, func(r rebuilding) bool { return r.Projection == name }) {
			what = "is not being rebuilt"
		}
		fmt.Fprintf(e.stdout, "%s: %s\n", name, what)
	}
	if len(names) == 0 {
		fmt.Fprintln(e.stdout, "nothing is being rebuilt")
	}
	return nil
}

func cancelRebuild(ctx context.Context, client *remote.Client, name string) error {
	return client.Query(ctx, `mutation($name: String!) { cancelRebuild(projection: $name) { name } }`, map[string]any{"name": name}, nil)
}

// watchRebuilds shows rebuilds until they are over. When ctx ends before, it
// cancels them. The result has all of them, as far as they came.
func watchRebuilds(ctx context.Context, e env, client *remote.Client, started []rebuilding) ([]rebuilding, error) {
	show := newProgress(e.stderr)
	defer show.end()
	now := slices.Clone(started)
	var away time.Time // since when the server does not answer
	for attempt := 0; ; attempt++ {
		show.update(now)
		if !slices.ContainsFunc(now, func(r rebuilding) bool { return !r.over() }) {
			return now, nil
		}
		if backoff.Wait(ctx, attempt, askFirst, askLast) != nil {
			return now, leaveRebuilds(ctx, e, client, now)
		}
		found, err := rebuildsOf(ctx, client)
		switch {
		case ctx.Err() != nil:
			return now, leaveRebuilds(ctx, e, client, now)
		case err == nil:
			away = time.Time{}
		case domain.ClassOf(err) != domain.ClassTransient || !away.IsZero() && time.Since(away) > awayTimeout:
			return now, err
		case away.IsZero():
			away = time.Now()
			fmt.Fprintf(e.stderr, "waiting for the server: %v\n", err)
			continue
		default:
			continue
		}
		for i, r := range now {
			if r.over() {
				continue
			}
			at := slices.IndexFunc(found, func(f rebuilding) bool { return f.ID == r.ID })
			if at < 0 {
				now[i].State, now[i].Error = "FAILED", "the server knows nothing of this rebuild any more"
				continue
			}
			now[i] = found[at]
		}
	}
}

// leaveRebuilds cancels what is not over when ctx has ended.
func leaveRebuilds(ctx context.Context, e env, client *remote.Client, all []rebuilding) error {
	cause := context.Cause(ctx)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	var problems []error
	for i, r := range all {
		if r.over() {
			continue
		}
		if err := cancelRebuild(ctx, client, r.Projection); err != nil {
			problems = append(problems, fmt.Errorf("cancelling the rebuild of %s: %w", r.Projection, err))
			continue
		}
		all[i].State, all[i].Error = "CANCELLED", ""
	}
	if len(problems) > 0 {
		fmt.Fprintln(e.stderr, "some rebuilds go on")
	}
	return errors.Join(append(problems, cause)...)
}

// judgeRebuilds prints what became of rebuilds.
func judgeRebuilds(out io.Writer, ended []rebuilding, err error) error {
	var differing []string
	for _, r := range ended {
		fmt.Fprintf(out, "%s: %s\n", r.Projection, r.verdict())
		switch {
		case r.State == "DONE" && (r.Equal == nil || !*r.Equal):
			differing = append(differing, r.Projection)
		case r.State != "DONE" && err == nil:
			err = errors.New("not everything was rebuilt")
		}
	}
	if len(differing) == 0 {
		return err
	}
	return &domain.Error{
		Class: domain.ClassIntegrity, Code: "view_differed",
		Message: strings.Join(differing, ", ") + " did not say what the log says; what the log says is in its place now",
		Err:     err,
	}
}

func (r rebuilding) verdict() string {
	where := fmt.Sprintf("generation %d", r.Generation)
	if r.Position != "" {
		where += " at " + r.Position
	}
	switch {
	case r.State == "DONE" && r.Equal != nil && *r.Equal:
		return fmt.Sprintf("%s equals the one it replaced (%d keys)", where, r.Keys)
	case r.State == "DONE":
		var some []string
		for _, key := range r.Different {
			some = append(some, printable(key))
		}
		if int64(len(some)) < r.Differing {
			some = append(some, "...")
		}
		return fmt.Sprintf("%s DIFFERS from the one it replaced in %d of %d keys: %s", where, r.Differing, r.Keys, strings.Join(some, ", "))
	case r.State == "CANCELLED":
		return "cancelled; the old one stays"
	case r.Error != "":
		return "failed, the old one stays: " + printable(r.Error)
	default:
		return strings.ToLower(r.State)
	}
}

// printable quotes what a terminal would not print as it is.
func printable(text string) string {
	if text == "" || strings.ContainsFunc(text, func(c rune) bool { return c == utf8.RuneError || !unicode.IsPrint(c) }) {
		return strconv.Quote(text)
	}
	return text
}

// howFar is one line about a rebuild.
func (r rebuilding) howFar() string {
	words := []string{strings.ToLower(r.State)}
	if !r.over() {
		if r.Total > 0 {
			words = append(words, fmt.Sprintf("%d of %d events", r.Events, r.Total))
		}
		if r.State == "BUILDING" {
			rate := fmt.Sprintf("%.0f/s", r.PerSecond)
			if r.Rate > 0 {
				rate += fmt.Sprintf(" (at most %d/s)", r.Rate)
			}
			words = append(words, rate)
		}
		if left, ok := isoDuration(r.Left); ok {
			words = append(words, left.Round(time.Second).String()+" left")
		}
	} else if r.Equal != nil && !*r.Equal {
		words[0] = "done, DIFFERED"
	}
	return strings.Join(words, ", ")
}

// isoDuration reads what the server writes: PT1.5S.
func isoDuration(text string) (time.Duration, bool) {
	d, err := time.ParseDuration(strings.ToLower(strings.Replace(text, "PT", "", 1)))
	return d, err == nil
}

// progress shows rebuilds: as a bar on a terminal, elsewhere as a line for every
// change of state, and now and then.
type progress struct {
	out   io.Writer
	bar   *progressbar.ProgressBar // nil: none
	known map[string]shown         // by view
}

type shown struct {
	state string
	at    time.Time
}

func newProgress(out io.Writer) *progress {
	p := &progress{out: out, known: make(map[string]shown)}
	if isTerminal(out) {
		p.bar = newRebuildBar(out, barEvery)
	}
	return p
}

func newRebuildBar(out io.Writer, every time.Duration) *progressbar.ProgressBar {
	return progressbar.NewOptions64(1,
		progressbar.OptionSetWriter(out), progressbar.OptionThrottle(every), progressbar.OptionFullWidth(),
		progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(false), progressbar.OptionSetDescription("rebuilding"))
}

func (p *progress) update(all []rebuilding) {
	if p.bar != nil {
		p.draw(all)
		return
	}
	for _, r := range all {
		before := p.known[r.Projection]
		if r.State == before.state && (r.State != "BUILDING" || time.Since(before.at) < plainEvery) {
			continue
		}
		p.known[r.Projection] = shown{r.State, time.Now()}
		fmt.Fprintf(p.out, "%s: %s\n", r.Projection, r.howFar())
	}
}

func (p *progress) draw(all []rebuilding) {
	var done, total int64
	var perSecond float64
	var left time.Duration
	busy := make(map[string]int)
	for _, r := range all {
		done, total = done+r.Events, total+max(r.Total, r.Events)
		if !r.over() {
			busy[strings.ToLower(r.State)]++
			perSecond = max(perSecond, r.PerSecond)
		}
		if d, ok := isoDuration(r.Left); ok {
			left = max(left, d)
		}
	}
	words := []string{"rebuilding"}
	for _, state := range []string{"queued", "building", "comparing", "cancelling"} {
		if n := busy[state]; n > 0 {
			words = append(words, fmt.Sprintf("%d %s", n, state))
		}
	}
	if busy["building"] > 0 {
		words = append(words, fmt.Sprintf("%.0f/s", perSecond))
		if left > 0 {
			words = append(words, left.Round(time.Second).String()+" left")
		}
	}
	p.bar.Describe(strings.Join(words, " "))
	p.bar.ChangeMax64(total + 1)      // a full bar would be a finished one
	_ = p.bar.Set64(min(done, total)) // a bar that can't be drawn harms nobody
}

func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Exit() // as above
		fmt.Fprintln(p.out)
	}
}
