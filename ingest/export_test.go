package ingest

// WithStreams bounds the streams that the recorder remembers when idle.
func WithStreams(n int) Option { return func(o *options) { o.streams = n } }

// MaxQuarantineRaw is how much of rejected input is kept.
const MaxQuarantineRaw = maxQuarantineRaw
