// Command tradetrail-verify is the examiner's tool: it verifies proof bundles, sealed
// reports, certificates and archives of them with nothing but the log's public key. It needs no server, and no network
// unless it is asked to look at a log over HTTP.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"
)

// Exit codes, which scripts rely on.
const (
	exitVerified   = 0
	exitUnreadable = 1
	exitUsage      = 2
	exitDoubt      = 3
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second interrupt ends what reads without an end
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr, time.Now)
	stop()
	os.Exit(code)
}

// run is the whole tool; tests call it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer, now func() time.Time) int {
	asked, err := parse(args, stderr, now)
	if err != nil {
		fmt.Fprintf(stderr, "tradetrail-verify: %v\n", err)
		return exitUsage
	}
	out, err := asked.verify(ctx)
	if err != nil {
		fmt.Fprintf(stderr, "tradetrail-verify: %v\n", err)
		return exitUnreadable
	}
	if err := asked.print(stdout, out); err != nil {
		fmt.Fprintf(stderr, "tradetrail-verify: %v\n", err)
		return exitUnreadable
	}
	if !out.verified() {
		return exitDoubt
	}
	return exitVerified
}
