package client

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tradetrail/tradetrail/client/internal/spool"
	"github.com/tradetrail/tradetrail/domain"
)

// Sync says when recorded events go from the system's page cache, which survives
// the process, to the disk, which survives the machine.
type Sync string

// The policies of Config.Sync.
const (
	SyncInterval Sync = "interval" // at every SyncInterval; the default
	SyncNever    Sync = "never"    // when the system likes, usually within 30 s
	SyncEach     Sync = "each"     // before Record returns; concurrent calls share a sync
)

// Full says what Record does when the spool has no room.
type Full string

// The policies of Config.Full.
const (
	FullHalt  Full = "halt"  // returns ErrSpoolFull at once; the default
	FullDrop  Full = "drop"  // returns nil; that events were dropped, and how many, becomes an event
	FullBlock Full = "block" // waits for room as long as its context allows
)

// Compression of the bodies that are sent.
type Compression string

// The values of Config.Compression.
const (
	CompressAuto Compression = "auto" // what the server says that it accepts (RFC 7694); the default
	CompressNone Compression = "none"
	CompressGzip Compression = "gzip"
	CompressZstd Compression = "zstd"
)

// Config says where to keep events and where to send them. Dir and Server are
// needed; the zero value of everything else is a good one.
type Config struct {
	// Dir is the spool's directory, of this process alone. It is made if there is
	// none. It should be on a local disk.
	Dir string
	// Server is the base URL, such as http://127.0.0.1:8080.
	Server string
	// Name says who sends, in the source of the events: "http:NAME". At most 100
	// printable ASCII characters.
	Name string
	// Header is sent with every request, for authentication.
	Header http.Header
	// Transport carries the requests; nil is a plain one with one connection. Set
	// it for TLS of your own.
	Transport http.RoundTripper

	// Sync says when events are on disk; SyncInterval if empty.
	Sync Sync
	// SyncEvery is the interval of SyncInterval; 200 ms if 0.
	SyncEvery time.Duration
	// Full says what Record does without room; FullHalt if empty.
	Full Full
	// MaxBytes bounds the segments of the spool; 1 GiB if 0, 16 MiB at least. The
	// dead-letter file may take 64 MiB more.
	MaxBytes int64
	// MaxAge makes the spool full when its oldest event has waited for longer; 0:
	// however long.
	MaxAge time.Duration

	// Compression of what is sent; CompressAuto if empty.
	Compression Compression
	// Timeout is how long one request may take; 30 s if 0.
	Timeout time.Duration
	// Linger is how long an event may wait for others before it is sent; 10 ms if 0.
	Linger time.Duration

	// Environment, Version and SessionID are for events that say nothing about them.
	Environment, Version, SessionID string

	// OnReject is told of every event that the server refused, or that can't be sent.
	// It is called by the delivery, which waits for it: Flush, Close, and Record with
	// FullBlock wait for the delivery, and within OnReject they would for ever.
	OnReject func(Rejection)
	// Log is for what goes wrong behind Record; nil is silence.
	Log *slog.Logger

	clock   clock
	segment int64
}

const (
	minSpoolBytes     = 16 << 20
	segmentBytes      = 8 << 20
	defaultSpoolBytes = 1 << 30
	defaultSyncEvery  = 200 * time.Millisecond
	defaultTimeout    = 30 * time.Second
	defaultLinger     = 10 * time.Millisecond
	maxNameBytes      = 100
)

// complete fills in the defaults and checks the rest.
func (c Config) complete() (Config, error) {
	c.Sync = or(c.Sync, SyncInterval)
	c.Full = or(c.Full, FullHalt)
	c.Compression = or(c.Compression, CompressAuto)
	c.SyncEvery = or(c.SyncEvery, defaultSyncEvery)
	c.MaxBytes = or(c.MaxBytes, defaultSpoolBytes)
	c.Timeout = or(c.Timeout, defaultTimeout)
	c.Linger = or(c.Linger, defaultLinger)
	c.segment = or(c.segment, segmentBytes)
	c.Log = or(c.Log, slog.New(slog.DiscardHandler))
	if c.clock.now == nil {
		c.clock = systemClock()
	}
	return c, errors.Join(c.problems()...)
}

func or[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

func (c *Config) problems() (problems []error) {
	reject := func(field, format string, args ...any) {
		problems = append(problems, domain.Rejectf(domain.CodeInvalid, field, format, args...))
	}
	if c.Dir == "" {
		reject("Dir", "a spool needs a directory")
	}
	if u, err := url.Parse(c.Server); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		reject("Server", "%.100q is not a URL such as http://127.0.0.1:8080", c.Server)
	}
	if len(c.Name) > maxNameBytes || strings.ContainsFunc(c.Name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		reject("Name", "must be at most %d printable ASCII characters", maxNameBytes)
	}
	if _, ok := syncPolicies[c.Sync]; !ok {
		reject("Sync", "%.50q is none of interval, never, each", c.Sync)
	}
	if _, ok := fullPolicies[c.Full]; !ok {
		reject("Full", "%.50q is none of halt, drop, block", c.Full)
	}
	switch c.Compression {
	case CompressAuto, CompressNone, CompressGzip, CompressZstd:
	default:
		reject("Compression", "%.50q is none of auto, none, gzip, zstd", c.Compression)
	}
	if c.MaxBytes < min(minSpoolBytes, 2*c.segment) {
		reject("MaxBytes", "%d is less than %d", c.MaxBytes, minSpoolBytes)
	}
	if c.SyncEvery < 0 || c.Timeout < 0 || c.Linger < 0 || c.MaxAge < 0 {
		reject("", "a length of time is below 0")
	}
	return problems
}

var syncPolicies = map[Sync]spool.Sync{SyncInterval: spool.SyncInterval, SyncNever: spool.SyncNever, SyncEach: spool.SyncEach}

var fullPolicies = map[Full]spool.Full{FullHalt: spool.FullHalt, FullDrop: spool.FullDrop, FullBlock: spool.FullBlock}
