package client

import "time"

// WithSegments makes the files of the spool small, so that few events need many.
func WithSegments(cfg Config, bytes int64) Config {
	cfg.segment = bytes
	return cfg
}

// WithClock makes now the client's time.
func WithClock(cfg Config, now func() time.Time) Config {
	cfg.clock = clock{now: now, since: func(t time.Time) time.Duration { return now().Sub(t) }}
	return cfg
}
