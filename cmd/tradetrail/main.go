// Tradetrail is an event-sourced audit service for trading.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/tradetrail/tradetrail/domain"
)

// Exit codes.
const (
	exitOK        = 0
	exitError     = 1
	exitUsage     = 2
	exitIntegrity = 3 // what is stored contradicts itself
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.LookupEnv)) }

// run is main without the process: scripts call it in tests.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer, lookup func(string) (string, bool)) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal asks for a graceful stop; the second one ends the process,
	// as signals do when nobody handles them.
	defer context.AfterFunc(ctx, stop)()

	root := newRoot(env{stdin: stdin, stdout: stdout, stderr: stderr, lookup: lookup})
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(stderr, "tradetrail: %v\n", err)
	var usage usageError
	switch {
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "Run '%s --help' for usage.\n", command.CommandPath())
		return exitUsage
	case domain.ClassOf(err) == domain.ClassIntegrity:
		return exitIntegrity
	default:
		return exitError
	}
}

// env is what a command may use of the world.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	lookup         func(string) (string, bool)
}

// usageError is a mistake in how the command was called.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func newRoot(e env) *cobra.Command {
	root := &cobra.Command{
		Use:           "tradetrail",
		Short:         "An event-sourced audit service for trading",
		Long:          "Tradetrail records every step of every order, and shows years later what was done and why.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown command %q", args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(
		newServe(e), newRecord(e), newImport(e), newChain(e), newQuery(e), newReport(e), newProve(e), newVerify(e), newTail(e), newProjections(e), newRebuild(e), newBackup(e), newRestore(e), newRules(e), newSimulate(e), newAgent(e), newKeygen(), newHealth(e), newVersion(e),
	)
	return root
}

// exactly makes a wrong number of arguments a usage error that names them.
func exactly(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != len(names) {
			return usageError{fmt.Errorf("expected %d argument(s) %v, got %d", len(names), names, len(args))}
		}
		return nil
	}
}

const defaultServer = "http://127.0.0.1:8080"

func serverFlag(cmd *cobra.Command, e env, server *string) {
	base := defaultServer
	if value, ok := e.lookup("TRADETRAIL_SERVER"); ok {
		base = value
	}
	cmd.Flags().StringVar(server, "server", base, "URL of a running server")
}
