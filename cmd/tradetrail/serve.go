package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/tradetrail/tradetrail/ingest/source"
	"github.com/tradetrail/tradetrail/internal/app"
	"github.com/tradetrail/tradetrail/internal/config"
	"github.com/tradetrail/tradetrail/internal/obs"
)

func newServe(e env) *cobra.Command {
	cfg := config.FromEnvironment(e.lookup)
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the service",
		Long: "Runs the whole service in one process on loopback: event store, read models, API.\n" +
			"With --eventstore and --redis it uses real servers instead of its own.",
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			level, err := obs.ParseLevel(cfg.LogLevel)
			if err != nil {
				return usageError{err}
			}
			if err := cfg.Validate(); err != nil {
				return usageError{err}
			}
			sources, err := readSources(cfg.Sources, e.lookup)
			if err != nil {
				return usageError{err}
			}
			set, err := loadRules(cfg.Rules)
			if err != nil {
				return usageError{err}
			}
			collectGarbage(cfg, e.lookup)
			log := obs.NewLogger(e.stderr, level)
			obs.AdoptRedisLog(log)
			obs.AdoptTesseraLog(log)
			a, err := app.New(cmd.Context(), cfg, log)
			if err != nil {
				return err
			}
			a.JudgeBy(set)
			if err := a.AddSources(sources); err != nil {
				return errors.Join(usageError{err}, a.Close())
			}
			return a.Run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&cfg.Listen, "listen", cfg.Listen, "address of the HTTP server; port 0 takes a free one")
	flags.BoolVar(&cfg.InsecureListen, "insecure-listen", cfg.InsecureListen, "allow an address other than loopback although nobody is authenticated")
	flags.StringVar(&cfg.DataDir, "data-dir", cfg.DataDir, "directory of the embedded event store")
	secretFlag(cmd, &cfg.EventStore, "eventstore", "connection string of an EventStoreDB or KurrentDB (esdb://...) instead of the embedded node [$TRADETRAIL_EVENTSTORE]")
	flags.StringVar(&cfg.EventStoreListen, "eventstore-listen", cfg.EventStoreListen, "loopback address for other clients of the embedded event store, such as 127.0.0.1:2113; everybody on the machine may then write")
	secretFlag(cmd, &cfg.Redis, "redis", "URL of a Redis (redis://, redis+cluster://, redis+sentinel://) instead of the in-process one [$TRADETRAIL_REDIS]")
	flags.StringVar(&cfg.Sources, "sources", cfg.Sources, "YAML file of the brokers and sessions to record from")
	flags.Var(keepValue{&cfg.Keep}, "keep", "how long event bodies stay in Redis, such as 90d, 2w, 12h or 36h30m; older ones are read from the event store; 0: for ever")
	flags.StringVar(&cfg.Rules, "rules", cfg.Rules, "YAML file of the rules that find anomalies (default: those that come along)")
	flags.BoolVar(&cfg.Detect, "detect", cfg.Detect, "have rules judge the log, and record what they find")
	flags.BoolVar(&cfg.Demo, "demo", cfg.Demo, "play a simulated trading day")
	flags.StringVar(&cfg.ReportDir, "report-dir", cfg.ReportDir, "folder to which daily and monthly reports are written; none without it")
	flags.StringVar(&cfg.ReportBucket, "report-bucket", cfg.ReportBucket, "bucket to which they are written instead, such as s3://bucket/prefix?endpoint=https://minio.example:9000&region=eu-central-1; credentials as AWS tools take them")
	flags.StringVar(&cfg.ReportDaily, "report-daily", cfg.ReportDaily, "when the report of the UTC day before is written: a cron expression of five fields; empty: never")
	flags.StringVar(&cfg.ReportMonthly, "report-monthly", cfg.ReportMonthly, "when the report of the month before is written; empty: never")
	flags.StringVar(&cfg.ReportZone, "report-zone", cfg.ReportZone, "time zone of these expressions, such as America/New_York")
	flags.StringVar(&cfg.ReportFormat, "report-format", cfg.ReportFormat, "pdf, html, csv, json or text")
	flags.StringVar(&cfg.TLog, "tlog", cfg.TLog, "whether this process writes the transparency log: true, false, auto, which is true with the embedded event store, or read, which shows what is sealed and seals nothing")
	flags.StringVar(&cfg.TLogDir, "tlog-dir", cfg.TLogDir, "folder of the transparency log (default DATA-DIR/tlog)")
	flags.StringVar(&cfg.LogKey, "log-key", cfg.LogKey, "file of the private key that signs the log's checkpoints, see keygen (default DATA-DIR/keys/log.key, made by the first start)")
	flags.StringVar(&cfg.LogOrigin, "log-origin", cfg.LogOrigin, "name of the log that the first start makes, such as audit.example.com/trading (default tradetrail.local/RANDOM)")
	flags.StringVar(&cfg.WitnessPolicy, "witness-policy", cfg.WitnessPolicy, "file that says who cosigns checkpoints, in the format of c2sp.org/tlog-policy")
	secretFlag(cmd, &cfg.TSAURL, "tsa-url", "time-stamping authority (RFC 3161) that is asked for timestamps of checkpoints, such as https://tsa.example/tsr [$TRADETRAIL_TSA_URL]")
	flags.StringVar(&cfg.TSARoots, "tsa-roots", cfg.TSARoots, "file of the root certificates of that authority, in PEM")
	flags.DurationVar(&cfg.TSAEvery, "tsa-every", cfg.TSAEvery, "how often the newest checkpoint is timestamped")
	flags.StringVar(&cfg.LogLevel, "log-level", cfg.LogLevel, "debug, info, warn or error")
	return cmd
}

// readSources reads the file of sources, if there is one.
func readSources(path string, lookup func(string) (string, bool)) ([]source.Entry, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the file of sources: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	entries, err := source.Parse(file, lookup)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return entries, nil
}

// What the service keeps in memory is bounded and small beside what passes through,
// so it can let more garbage gather than a program that Go knows nothing about. With
// the default of 100 the collector takes a fifth of the CPU while views are written,
// and pages wait for it (docs/performance.md). The limit is soft: near it there is
// collected more often.
const (
	garbagePercent = 400
	memoryLimit    = 2 << 30
)

// collectGarbage sets the collector, except where the environment does. In-process
// read models are themselves in memory, and grow with the log: five times of that
// is too much.
func collectGarbage(cfg config.Config, lookup func(string) (string, bool)) {
	if cfg.Redis == "" {
		return
	}
	if _, set := lookup("GOGC"); !set {
		debug.SetGCPercent(garbagePercent)
	}
	if _, set := lookup("GOMEMLIMIT"); !set {
		debug.SetMemoryLimit(memoryLimit)
	}
}

// secretFlag keeps the default, which may hold a password of the environment,
// out of the help text.
func secretFlag(cmd *cobra.Command, target *string, name, usage string) {
	fromEnvironment := *target
	cmd.Flags().StringVar(target, name, "", usage)
	*target = fromEnvironment
}

// keepValue is a flag for config.Config.Keep.
type keepValue struct{ target *time.Duration }

func (k keepValue) String() string {
	if k.target == nil { // the flag package asks a zero value for its default
		return "0"
	}
	return config.FormatKeep(*k.target)
}

func (k keepValue) Set(text string) (err error) {
	*k.target, err = config.ParseKeep(text)
	return err
}

func (keepValue) Type() string { return "duration" }
