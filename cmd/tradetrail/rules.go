package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tradetrail/tradetrail/domain/rules"
)

func newRules(e env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "See, check and try out the rules that find anomalies",
		Args:  exactly(),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newRulesList(e), newRulesShow(e), newRulesCheck(e), newRulesTest(e))
	return cmd
}

// loadRules reads a file of rules; without one, they are those that come along.
func loadRules(path string) (*rules.Set, error) {
	if path == "" {
		return rules.Default(), nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the rules: %w", err)
	}
	defer func() { _ = file.Close() }() // only read
	text, err := io.ReadAll(io.LimitReader(file, rules.MaxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading the rules: %w", err)
	}
	set, err := rules.Load(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return set, nil
}

// rulesFlags are a file of rules and a format, table or json.
func rulesFlags(cmd *cobra.Command, file, format *string) {
	cmd.Flags().StringVar(file, "rules", "", "file of rules (default: those that come along)")
	cmd.Flags().StringVar(format, "format", "table", "table or json")
}

func writeJSON(out io.Writer, v any) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

func newRulesList(e env) *cobra.Command {
	var file, format string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the rules",
		Args:  exactly(),
		RunE: func(*cobra.Command, []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			set, err := loadRules(file)
			if err != nil {
				return err
			}
			if format == "json" {
				return writeJSON(e.stdout, map[string]any{"hash": set.Hash(), "rules": set.Rules()})
			}
			table := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(table, "RULE\tVERSION\tSEVERITY\tKIND\tTITLE")
			for _, r := range set.Rules() {
				title := r.Title
				if r.Off {
					title += " (off)"
				}
				fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%s\n", r.ID, r.Version, r.Severity, r.Kind, title)
			}
			return table.Flush()
		},
	}
	rulesFlags(cmd, &file, &format)
	return cmd
}

func newRulesShow(e env) *cobra.Command {
	var file, format string
	cmd := &cobra.Command{
		Use:   "show RULE",
		Short: "Show what a rule says, when it judges, and by which thresholds",
		Args:  exactly("RULE"),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			set, err := loadRules(file)
			if err != nil {
				return err
			}
			r, err := set.Rule(args[0])
			if err != nil {
				return err
			}
			if format == "json" {
				return writeJSON(e.stdout, r)
			}
			return printRule(e.stdout, r)
		},
	}
	rulesFlags(cmd, &file, &format)
	return cmd
}

func printRule(out io.Writer, r rules.Rule) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	state := "on"
	if r.Off {
		state = "off"
	}
	for _, line := range [][2]string{
		{"rule", fmt.Sprintf("%s, version %d, %s", r.ID, r.Version, state)},
		{"title", r.Title},
		{"kind", r.Kind},
		{"severity", string(r.Severity)},
		{"says", r.Says},
		{"judges", r.Judges},
		{"types", strings.Join(r.Types, ", ")},
		{"when", r.When},
		{"source", r.Source},
		{"can't see", r.Blind},
	} {
		if line[1] != "" {
			fmt.Fprintf(table, "%s\t%s\n", line[0], line[1])
		}
	}
	for _, t := range r.Thresholds {
		value := t.Value
		if value == "" {
			value = "(not set)"
		}
		most := ""
		if t.Max != "" {
			most = ", at most " + t.Max
		}
		fmt.Fprintf(table, "%s\t%s (%s%s): %s; %s\n", t.Name, value, t.Unit, most, t.Means, t.Source)
	}
	return table.Flush()
}

func newRulesCheck(e env) *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "Check a file of rules",
		Long:  "Compiles a file of rules as the server would, and says which line, rule and field is wrong.",
		Args:  exactly("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			set, err := loadRules(args[0])
			if err != nil {
				return err
			}
			own, off := 0, 0
			for _, r := range set.Rules() {
				if r.Own {
					own++
				}
				if r.Off {
					off++
				}
			}
			_, err = fmt.Fprintf(e.stdout, "%s: %d rules, %d of your own, %d off, hash %s\n", args[0], len(set.Rules()), own, off, set.Hash())
			return err
		},
	}
}
