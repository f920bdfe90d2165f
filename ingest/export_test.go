package ingest

// WithMemory bounds the bytes for what the recorder remembers of idle streams.
func WithMemory(bytes int) Option { return func(o *options) { o.memory = bytes } }

// MaxQuarantineRaw is how much of rejected input is kept.
const MaxQuarantineRaw = maxQuarantineRaw
