package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tradetrail/tradetrail/tlog/verify"
	"github.com/tradetrail/tradetrail/tlog/verify/evidence"
)

func (r *request) print(out io.Writer, o outcome) error {
	if r.json {
		var value any = o.one
		if o.archive != nil {
			value = o.archive
		}
		text, err := json.Marshal(value, jsontext.WithIndent("  "), json.Deterministic(true))
		if err != nil {
			return fmt.Errorf("encoding the verdict: %w", err)
		}
		_, err = fmt.Fprintf(out, "%s\n", text)
		return err
	}
	b := &strings.Builder{}
	if o.archive != nil {
		printArchive(b, o.archive)
	} else {
		printOne(b, &o.one)
		o.shown.print(b)
	}
	b.WriteString(answer(o.verified()))
	_, err := io.WriteString(out, b.String())
	return err
}

func answer(yes bool) string {
	if yes {
		return "VERIFIED\n"
	}
	return "NOT VERIFIED\n"
}

func printArchive(b *strings.Builder, v *evidence.Verdict) {
	unsaid := 0
	for _, f := range v.Files {
		fmt.Fprintf(b, "file       %s\n", cmp.Or(printable(f.Name), "(without a name)"))
		if f.Verdict == nil {
			unsaid++
			fmt.Fprintf(b, "  not said %s\n\n", printable(f.Why))
			continue
		}
		printOne(b, f.Verdict)
		fmt.Fprintf(b, "  %s\n", answer(f.Verdict.Verified))
	}
	fmt.Fprintf(b, "archive    %d files, of which %d are evidence that holds, and %d are no evidence\n", len(v.Files), v.Evidence, unsaid)
	for _, text := range v.NotProven {
		fmt.Fprintf(b, "  not said %s\n", printable(text))
	}
	printFailures(b, v.Failures, 0)
}

func printOne(b *strings.Builder, v *verify.Verdict) {
	if c := v.Checkpoint; c != nil {
		fmt.Fprintf(b, "log        %s\ncheckpoint %d leaves, root %s\n", printable(c.Origin), c.Size, c.Root)
	}
	if v.Subject != nil {
		fmt.Fprintf(b, "bundle     of %s\n", subject(v.Kind, v.Subject))
	}
	for _, text := range v.Proven {
		fmt.Fprintf(b, "  yes      %s\n", printable(text))
	}
	for _, text := range v.NotProven {
		fmt.Fprintf(b, "  not said %s\n", printable(text))
	}
	printFailures(b, v.Failures, v.More)
}

func printFailures(b *strings.Builder, failures []*verify.Failure, more uint64) {
	for _, f := range failures {
		fmt.Fprintf(b, "  NO       %s\n", printable(f.String()))
	}
	if more > 0 {
		fmt.Fprintf(b, "  NO       and %d more\n", more)
	}
}

func subject(kind string, s *verify.Subject) string {
	switch kind {
	case verify.KindEvent:
		return "event " + printable(s.Event)
	case verify.KindChain:
		return "the chain of order " + printable(s.Order)
	case verify.KindReport:
		return "the report " + printable(s.Report)
	default:
		return fmt.Sprintf("all events from %s to before %s", s.From.UTC().Format(time.RFC3339Nano), s.To.UTC().Format(time.RFC3339Nano))
	}
}

// printable keeps a hostile file from writing to the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '\ufffd'
		}
		return r
	}, text)
}
