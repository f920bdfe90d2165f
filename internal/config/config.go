// Package config is the configuration of the service: one struct whose zero
// configuration runs everything in one process on loopback.
package config

import (
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tradetrail/tradetrail/domain"
)

// Config says what to run. Every field can be set by a flag and by an
// environment variable; the flag wins.
type Config struct {
	// Listen is the address of the HTTP server (TRADETRAIL_LISTEN).
	Listen string
	// InsecureListen allows an address other than loopback although nobody is
	// authenticated (TRADETRAIL_INSECURE_LISTEN=true): for a container network
	// whose published port is bound to loopback.
	InsecureListen bool
	// DataDir holds the embedded event store (TRADETRAIL_DATA_DIR).
	DataDir string
	// EventStore is the connection string of a real server, esdb://...; empty for
	// the embedded node (TRADETRAIL_EVENTSTORE). It may hold credentials: prefer
	// the environment.
	EventStore string
	// EventStoreListen is a loopback address on which the embedded node takes other
	// clients, over TCP (TRADETRAIL_EVENTSTORE_LISTEN). There are no credentials:
	// everybody on the machine may then read and write. Empty is a unix socket,
	// which only this user can reach.
	EventStoreListen string
	// Redis is the URL of a real server, see views.Open; empty for the in-process
	// one (TRADETRAIL_REDIS). It may hold credentials: prefer the environment.
	Redis string
	// Keep is how long the bodies of events stay in Redis (TRADETRAIL_KEEP, see
	// ParseKeep); older ones are read from the event store. 0 is for ever.
	Keep time.Duration
	// Sources is the file that says which brokers and sessions to record from
	// (TRADETRAIL_SOURCES); empty for none. See docs/sources.md.
	Sources string
	// ReportDir is a folder to which reports are written by themselves
	// (TRADETRAIL_REPORT_DIR); empty: none are.
	ReportDir string
	// ReportBucket is a bucket of an object store to which they are written instead
	// (TRADETRAIL_REPORT_BUCKET), s3://BUCKET/PREFIX?endpoint=URL&region=NAME, see
	// docs/reports.md. Credentials are never in it.
	ReportBucket string
	// ReportDaily is the cron expression after which the report of the UTC day before is
	// written (TRADETRAIL_REPORT_DAILY), ReportMonthly that for the month before
	// (TRADETRAIL_REPORT_MONTHLY); empty: it is not.
	ReportDaily, ReportMonthly string
	// ReportZone is the time zone of these expressions, such as America/New_York
	// (TRADETRAIL_REPORT_ZONE).
	ReportZone string
	// ReportFormat is pdf, html, csv, json or text (TRADETRAIL_REPORT_FORMAT).
	ReportFormat string
	// Detect has rules judge the log, and records what they find; true unless
	// TRADETRAIL_DETECT=false.
	Detect bool
	// Rules is the file of the rules (TRADETRAIL_RULES); empty: those that come along.
	// See docs/rules.md.
	Rules string
	// TLog says whether this process writes a transparency log (TRADETRAIL_TLOG): true,
	// false, auto, which is true with the embedded event store, or read: show what is
	// sealed, seal nothing. Several processes on one event store need one log: with a
	// real server it is asked for.
	TLog string
	// TLogDir is the folder of the log (TRADETRAIL_TLOG_DIR); empty is tlog in DataDir.
	TLogDir string
	// LogKey is the file of the private key that signs checkpoints (TRADETRAIL_LOG_KEY);
	// empty is keys/log.key in DataDir, which the first start makes.
	LogKey string
	// LogOrigin is the name of a log that the first start makes (TRADETRAIL_LOG_ORIGIN);
	// empty is tradetrail.local/ and a random name.
	LogOrigin string
	// WitnessPolicy is a file that says who cosigns checkpoints
	// (TRADETRAIL_WITNESS_POLICY), in the format of https://c2sp.org/tlog-policy; empty: nobody.
	WitnessPolicy string
	// TSAURL is a time-stamping authority (RFC 3161) that is asked for timestamps of
	// checkpoints (TRADETRAIL_TSA_URL); empty: none is. It may hold credentials: prefer
	// the environment.
	TSAURL string
	// TSARoots is a file of the root certificates that its tokens must lead to, in PEM
	// (TRADETRAIL_TSA_ROOTS).
	TSARoots string
	// TSAEvery is how often the newest checkpoint is timestamped (TRADETRAIL_TSA_EVERY).
	TSAEvery time.Duration
	// Demo plays a simulated trading day (TRADETRAIL_DEMO=true).
	Demo bool
	// LogLevel is debug, info, warn or error (TRADETRAIL_LOG_LEVEL).
	LogLevel string

	unreadable []error // variables that could not be read, for Validate
}

// Default is the complete configuration of a first start.
func Default() Config {
	return Config{
		Listen: "127.0.0.1:8080", DataDir: "data", LogLevel: "info", Detect: true, TLog: TLogAuto, TSAEvery: time.Hour,
		ReportDaily: "10 0 * * *", ReportMonthly: "30 0 1 * *", ReportZone: "UTC", ReportFormat: "pdf",
	}
}

// FromEnvironment is Default, overlaid by the variables that lookup knows.
// Validate reports those that can't be read.
func FromEnvironment(lookup func(string) (string, bool)) Config {
	c := Default()
	for _, s := range []struct {
		name   string
		target *string
	}{
		{"TRADETRAIL_LISTEN", &c.Listen},
		{"TRADETRAIL_DATA_DIR", &c.DataDir},
		{"TRADETRAIL_EVENTSTORE", &c.EventStore},
		{"TRADETRAIL_EVENTSTORE_LISTEN", &c.EventStoreListen},
		{"TRADETRAIL_REDIS", &c.Redis},
		{"TRADETRAIL_SOURCES", &c.Sources},
		{"TRADETRAIL_RULES", &c.Rules},
		{"TRADETRAIL_REPORT_DIR", &c.ReportDir},
		{"TRADETRAIL_REPORT_BUCKET", &c.ReportBucket},
		{"TRADETRAIL_REPORT_DAILY", &c.ReportDaily},
		{"TRADETRAIL_REPORT_MONTHLY", &c.ReportMonthly},
		{"TRADETRAIL_REPORT_ZONE", &c.ReportZone},
		{"TRADETRAIL_REPORT_FORMAT", &c.ReportFormat},
		{"TRADETRAIL_LOG_LEVEL", &c.LogLevel},
		{"TRADETRAIL_TLOG", &c.TLog},
		{"TRADETRAIL_TLOG_DIR", &c.TLogDir},
		{"TRADETRAIL_LOG_KEY", &c.LogKey},
		{"TRADETRAIL_LOG_ORIGIN", &c.LogOrigin},
		{"TRADETRAIL_WITNESS_POLICY", &c.WitnessPolicy},
		{"TRADETRAIL_TSA_URL", &c.TSAURL},
		{"TRADETRAIL_TSA_ROOTS", &c.TSARoots},
	} {
		if value, ok := lookup(s.name); ok {
			*s.target = value
		}
	}
	for _, b := range []struct {
		name   string
		target *bool
	}{{"TRADETRAIL_INSECURE_LISTEN", &c.InsecureListen}, {"TRADETRAIL_DEMO", &c.Demo}, {"TRADETRAIL_DETECT", &c.Detect}} {
		if value, ok := lookup(b.name); ok {
			var err error
			if *b.target, err = strconv.ParseBool(value); err != nil {
				c.unreadable = append(c.unreadable, domain.Rejectf(domain.CodeInvalid, b.name, "%.50q is neither true nor false", value))
			}
		}
	}
	if value, ok := lookup("TRADETRAIL_TSA_EVERY"); ok {
		var err error
		if c.TSAEvery, err = time.ParseDuration(value); err != nil {
			c.unreadable = append(c.unreadable, domain.Rejectf(domain.CodeInvalid, "TRADETRAIL_TSA_EVERY", "%.50q is not a length of time such as 1h or 15m", value))
		}
	}
	if value, ok := lookup("TRADETRAIL_KEEP"); ok {
		var err error
		if c.Keep, err = ParseKeep(value); err != nil {
			c.unreadable = append(c.unreadable, domain.Rejectf(domain.CodeInvalid, "TRADETRAIL_KEEP", "%s", err.Error()))
		}
	}
	return c
}

// minKeep is the shortest Keep: below it, what is being worked on would be read
// from the event store.
const minKeep = time.Hour

// maxKeepHours is 90 years, so that the parts of a sum fit into a time.Duration.
const maxKeepHours = 90 * 365 * 24

// ParseKeep reads a length of time such as 90d, 2w, 12h or 36h30m; a day has 24
// hours, a week 7 days. 0 and nothing are for ever.
func ParseKeep(text string) (time.Duration, error) {
	if text == "" || text == "0" {
		return 0, nil
	}
	bad := domain.Rejectf(domain.CodeInvalid, "", "%.50q is not a length of time such as 90d, 2w, 12h or 36h30m, or 0 for ever", text)
	d, rest := time.Duration(0), text
	for _, unit := range []struct {
		name  string
		hours uint64
	}{{"w", 7 * 24}, {"d", 24}} {
		digits, after, ok := strings.Cut(rest, unit.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(digits, 10, 32)
		if err != nil || n*unit.hours > maxKeepHours {
			return 0, bad
		}
		d += time.Duration(n*unit.hours) * time.Hour //nolint:gosec // at most maxKeepHours
		rest = after
	}
	if rest != "" {
		short, err := time.ParseDuration(rest)
		if err != nil || short < 0 || strings.HasPrefix(rest, "+") || short > maxKeepHours*time.Hour {
			return 0, bad
		}
		d += short
	}
	if d < minKeep {
		return 0, domain.Rejectf(domain.CodeInvalid, "", "%.50q is shorter than %s", text, FormatKeep(minKeep))
	}
	return d, nil
}

// FormatKeep writes what ParseKeep reads, in days where it can.
func FormatKeep(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d <= 0:
		return "0"
	case d%day == 0:
		return strconv.FormatInt(int64(d/day), 10) + "d"
	case d%time.Hour == 0:
		return strconv.FormatInt(int64(d/time.Hour), 10) + "h"
	default:
		return d.String()
	}
}

// Validate joins everything that is wrong.
func (c Config) Validate() error {
	problems := slices.Clone(c.unreadable)
	if c.Keep < 0 || c.Keep > 0 && c.Keep < minKeep {
		problems = append(problems, domain.Rejectf(domain.CodeInvalid, "keep", "%s is shorter than %s", c.Keep, FormatKeep(minKeep)))
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		problems = append(problems, domain.Rejectf(domain.CodeInvalid, "listen", "%q is not HOST:PORT", c.Listen))
	} else if !isLoopback(host) && !c.InsecureListen {
		problems = append(problems, domain.Rejectf(domain.CodeInvalid, "listen",
			"%q is not a loopback address, and nobody is authenticated: everybody who reaches it could read and record. "+
				"Listen on 127.0.0.1, or say --insecure-listen if the network keeps others out", c.Listen))
	}
	if c.EventStore == "" && c.DataDir == "" {
		problems = append(problems, domain.Rejectf(domain.CodeMissing, "data-dir", "the embedded event store needs a directory"))
	}
	if c.ReportDir != "" && c.ReportBucket != "" {
		problems = append(problems, domain.Rejectf(domain.CodeInvalid, "report-bucket", "reports are written to a folder or to a bucket: name one of them"))
	}
	return errors.Join(append(problems, c.validateEventStoreListen(), c.validateTLog())...)
}

func (c Config) validateEventStoreListen() error {
	if c.EventStoreListen == "" {
		return nil
	}
	if c.EventStore != "" {
		return domain.Rejectf(domain.CodeInvalid, "eventstore-listen",
			"is for the embedded event store, and eventstore names another one: let clients connect to that one")
	}
	host, _, err := net.SplitHostPort(c.EventStoreListen)
	if err != nil {
		return domain.Rejectf(domain.CodeInvalid, "eventstore-listen", "%q is not HOST:PORT", c.EventStoreListen)
	}
	if !isLoopback(host) {
		return domain.Rejectf(domain.CodeInvalid, "eventstore-listen",
			"%q is not a loopback address, and the embedded event store has no authentication: use 127.0.0.1", c.EventStoreListen)
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
