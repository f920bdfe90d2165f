package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tradetrail/tradetrail/tlog"
)

func newKeygen() *cobra.Command {
	var origin, after, output string
	cmd := &cobra.Command{
		Use:   "keygen",
		Short: "Make a key that signs the checkpoints of a transparency log",
		Long: "Writes a private key that only its owner can read, and prints the public key, by\n" +
			"which checkpoints are verified. With --after the key takes over from another one,\n" +
			"which signs that: start the server with the new one.",
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			key, err := newKey(origin, after)
			if err != nil {
				return err
			}
			if err := tlog.WriteKey(output, key); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), key.Verifier())
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&origin, "origin", "", "name of the log, such as audit.example.com/trading (default tradetrail.local/RANDOM)")
	flags.StringVar(&after, "after", "", "file of the private key that hands over to this one")
	flags.StringVar(&output, "output", "log.key", "file of the private key; it must not exist")
	cmd.MarkFlagsMutuallyExclusive("origin", "after")
	return cmd
}

func newKey(origin, after string) (tlog.Key, error) {
	if after == "" {
		return tlog.NewKey(origin)
	}
	before, err := tlog.ReadKey(after)
	if err != nil {
		return tlog.Key{}, err
	}
	return tlog.NewKeyAfter(before)
}
