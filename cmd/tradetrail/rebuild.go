package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tradetrail/tradetrail/internal/remote"
)

func newRebuild(e env) *cobra.Command {
	var server string
	cmd := &cobra.Command{
		Use:   "rebuild [VIEW...]",
		Short: "Make read models anew from the log, without downtime",
		Long: "Builds each VIEW (all by default) beside the live one, compares the two, and switches over.\n" +
			"Reads and live updates go on meanwhile. Prints whether the new build equals the old one.",
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := remote.New(server)
			if err != nil {
				return usageError{err}
			}
			if len(args) == 0 {
				var answer struct {
					Projections []struct {
						Name string `json:"name"`
					} `json:"projections"`
				}
				if err := client.Query(cmd.Context(), `{ projections { name } }`, nil, &answer); err != nil {
					return err
				}
				for _, p := range answer.Projections {
					args = append(args, p.Name)
				}
			}
			for _, name := range args {
				var answer struct {
					Rebuild struct {
						Generation int    `json:"generation"`
						Position   string `json:"position"`
						Hash       string `json:"hash"`
						Parity     bool   `json:"parity"`
					} `json:"rebuild"`
				}
				const mutation = `mutation($name: String!) { rebuild(projection: $name) { generation position hash parity } }`
				if err := client.Query(cmd.Context(), mutation, map[string]any{"name": name}, &answer); err != nil {
					return fmt.Errorf("rebuilding %s: %w", name, err)
				}
				verdict := "equals the one it replaced"
				if !answer.Rebuild.Parity {
					verdict = "DIFFERS from the one it replaced"
				}
				if _, err := fmt.Fprintf(e.stdout, "%s: generation %d at %s %s (sha256 %s)\n", name,
					answer.Rebuild.Generation, answer.Rebuild.Position, verdict, answer.Rebuild.Hash); err != nil {
					return fmt.Errorf("printing: %w", err)
				}
			}
			return nil
		},
	}
	serverFlag(cmd, e, &server)
	return cmd
}
