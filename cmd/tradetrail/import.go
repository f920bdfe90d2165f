package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/ingest/file"
	"github.com/tradetrail/tradetrail/ingest/fix"
	"github.com/tradetrail/tradetrail/internal/app"
	"github.com/tradetrail/tradetrail/internal/config"
	"github.com/tradetrail/tradetrail/internal/obs"
	"github.com/tradetrail/tradetrail/internal/remote"
)

const (
	importChunk      = 1000    // events a request
	importChunkBytes = 4 << 20 // and bytes: well below the server's limit
	shownRejections  = 10
)

// recorder is where an import goes: a server, or the local store.
type recorder interface {
	Record(ctx context.Context, source string, items []ingest.Item) ([]ingest.Receipt, error)
}

type importOptions struct {
	format, server string
	serverGiven    bool
	cfg            config.Config
	dataDirGiven   bool
	file           file.Options
	mapping        string
}

func newImport(e env) *cobra.Command {
	o := importOptions{cfg: config.FromEnvironment(e.lookup)}
	cmd := &cobra.Command{
		Use:   "import --format lobster|ndjson|csv|fix FILE",
		Short: "Record the events of a file",
		Long: "Records every event of FILE (- for standard input), in its order, each once: an import that was\n" +
			"interrupted is run again, and what is recorded already is recognised by its ids.\n" +
			"FILE may be compressed with gzip or zstd.\n\n" +
			"The events go to the running server. When none answers, and --server was not given, they go\n" +
			"straight into the event store of --data-dir.",
		Example: "  tradetrail import --format lobster --account ACC-1 --strategy mm-1 AAPL_2012-06-21_34200000_37800000_message_50.csv",
		Args:    exactly("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.serverGiven = cmd.Flags().Changed("server")
			o.dataDirGiven = cmd.Flags().Changed("data-dir")
			return runImport(cmd.Context(), e, o, args[0])
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.format, "format", "", "format of the file: lobster, ndjson, csv or fix")
	flags.StringVar(&o.file.Account, "account", "", "account of the events (lobster)")
	flags.StringVar(&o.file.Strategy, "strategy", "", "strategy of the events (lobster)")
	flags.StringVar(&o.file.Ticker, "ticker", "", "ticker (lobster; default: from the file's name)")
	flags.StringVar(&o.file.Date, "date", "", "trading day, YYYY-MM-DD (lobster; default: from the file's name)")
	flags.StringVar(&o.file.FIX.CompID, "comp-id", "", "our CompID: orders that it sends were routed (fix; default: all were received)")
	flags.StringVar(&o.file.FIX.OrderPrefix, "order-prefix", "", "what stands before each ClOrdID in order ids (fix)")
	flags.StringVar(&o.cfg.DataDir, "data-dir", o.cfg.DataDir, "directory of the embedded event store, for an import without a server")
	flags.StringVar(&o.mapping, "mapping", "", "file that says what the columns mean (csv; default: the header names fields)")
	serverFlag(cmd, e, &o.server)
	cmd.MarkFlagsMutuallyExclusive("server", "data-dir")
	return cmd
}

func runImport(ctx context.Context, e env, o importOptions, name string) (err error) {
	in, size := e.stdin, int64(-1)
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("opening the file: %w", err)
		}
		defer func() { _ = f.Close() }() // only read
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			size = info.Size()
		}
		in = f
	}
	o.file.Name = file.PlainName(filepath.Base(name))
	if o.mapping != "" {
		if o.format != file.FormatCSV {
			return usageError{errors.New("--mapping is for --format csv")}
		}
		if o.file.Mapping, err = readMapping(o.mapping); err != nil {
			return usageError{err}
		}
	}
	var links lateLinks
	o.file.FIX.Origins = &links
	bar := newBar(e.stderr, size)
	defer func() { err = errors.Join(err, bar.Exit()) }()
	plain, err := file.Decompress(io.TeeReader(in, bar))
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	defer plain.Close()
	items, err := file.Open(o.format, plain, o.file) //nolint:contextcheck // reading asks the local store for links only, which has a patience of its own
	if err != nil {
		return usageError{err}
	}
	target, closeTarget, err := importTarget(ctx, e, o, &links)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeTarget()) }()

	i := importer{target: target, source: o.format, err: e.stderr, started: time.Now()}
	for item, readErr := range items {
		if readErr != nil {
			err = fmt.Errorf("reading %s: %w", name, readErr)
			break
		}
		if err = i.add(ctx, item); err != nil {
			break
		}
	}
	// What was read before an error is recorded all the same.
	err = errors.Join(err, i.flush(ctx), bar.Finish())
	fmt.Fprintln(e.stderr)
	fmt.Fprintln(e.stdout, i.summary(name))
	if err == nil && i.rejected > 0 {
		err = errRejected
	}
	return err
}

func readMapping(path string) (*file.Mapping, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the mapping: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	mapping, err := file.ParseMapping(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return mapping, nil
}

// lateLinks are the links of ClOrdIDs in the local event store, once that is open;
// a server is not asked.
type lateLinks struct{ links *fix.Links }

// Origin implements fix.Origins.
func (l *lateLinks) Origin(ctx context.Context, clientOrderID string) (string, error) {
	if l.links == nil {
		return "", nil
	}
	return l.links.Origin(ctx, clientOrderID)
}

// Begun implements fix.Origins.
func (l *lateLinks) Begun(ctx context.Context, orderID string) (bool, error) {
	if l.links == nil {
		return false, nil
	}
	return l.links.Begun(ctx, orderID)
}

// importTarget is the server if one answers, else the local event store, where
// links are then read.
func importTarget(ctx context.Context, e env, o importOptions, links *lateLinks) (recorder, func() error, error) {
	client, err := remote.New(o.server)
	if err != nil {
		return nil, nil, usageError{err}
	}
	if o.serverGiven || !o.dataDirGiven && client.Reachable(ctx) {
		return client, func() error { return nil }, nil
	}
	if o.dataDirGiven {
		o.cfg.EventStore = "" // said here and now, against what the environment says
	}
	o.cfg.EventStoreListen = "" // for serve only
	where := "in " + o.cfg.DataDir
	if o.cfg.EventStore != "" {
		where = "of TRADETRAIL_EVENTSTORE"
	}
	fmt.Fprintf(e.stderr, "no server: recording into the event store %s\n", where)
	log := obs.NewLogger(e.stderr, slog.LevelWarn)
	store, err := app.OpenStore(o.cfg, log) //nolint:contextcheck // it lives until it is closed, and says so
	if err != nil {
		return nil, nil, err
	}
	local, err := ingest.NewRecorder(store.Store, log, time.Now, prometheus.NewRegistry())
	if err != nil {
		return nil, nil, errors.Join(err, store.Close())
	}
	links.links = fix.NewLinks(store.Store)
	return local, func() error {
		local.Close(context.WithoutCancel(ctx))
		return store.Close()
	}, nil
}

// newBar draws on a terminal only; in a log it would be noise.
func newBar(out io.Writer, size int64) *progressbar.ProgressBar {
	return progressbar.NewOptions64(size,
		progressbar.OptionSetWriter(out), progressbar.OptionSetVisibility(isTerminal(out)), progressbar.OptionShowBytes(true),
		progressbar.OptionSetDescription("importing"), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionFullWidth())
}

func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// importer records items in chunks, one after the other, so that the log has the
// order of the file.
type importer struct {
	target  recorder
	source  string
	err     io.Writer
	started time.Time

	chunk []ingest.Item
	bytes int

	recorded, duplicate, rejected int
}

func (i *importer) add(ctx context.Context, item ingest.Item) error {
	i.chunk = append(i.chunk, item)
	i.bytes += len(item.Raw)
	if item.Event != nil {
		i.bytes += len(item.Event.Data) + base64.StdEncoding.EncodedLen(len(item.Event.Raw)) + 512
	}
	if len(i.chunk) < importChunk && i.bytes < importChunkBytes {
		return nil
	}
	return i.flush(ctx)
}

func (i *importer) flush(ctx context.Context) error {
	if len(i.chunk) == 0 {
		return nil
	}
	receipts, err := i.target.Record(ctx, i.source, i.chunk)
	for _, r := range receipts {
		switch r.Status {
		case ingest.Recorded:
			i.recorded++
		case ingest.Duplicate:
			i.duplicate++
		case ingest.Rejected:
			if i.rejected++; i.rejected <= shownRejections {
				fmt.Fprintf(i.err, "\nline %d: %v\n", r.Line, r.Err)
			}
		}
	}
	i.chunk, i.bytes = i.chunk[:0], 0
	return err
}

func (i *importer) summary(name string) string {
	total := i.recorded + i.duplicate + i.rejected
	elapsed := time.Since(i.started)
	return fmt.Sprintf("%s: %d events: %d recorded, %d duplicate, %d rejected, in %s (%.0f/s)", filepath.Base(name), total,
		i.recorded, i.duplicate, i.rejected, elapsed.Round(time.Millisecond), float64(total)/elapsed.Seconds())
}
