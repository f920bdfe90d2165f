package ingest

// WithMemory bounds the bytes for what the recorder remembers of idle streams.
func WithMemory(bytes int) Option { return func(o *options) { o.memory = bytes } }

// MaxQuarantineRaw is how much of rejected input is kept.
const MaxQuarantineRaw = maxQuarantineRaw

// Places is the index of old ids.
type Places struct{ p places }

func (p *Places) Add(hash, revision uint64) { p.p.add(hash, revision) }

func (p *Places) Find(hash uint64) []uint64 { return p.p.find(hash) }

// Bytes is what it takes.
func (p *Places) Bytes() int { return 8 * len(p.p.slots) }

// RecentEntries are kept in full.
const RecentEntries = recentEntries

// Remembered is the bytes for idle streams.
func (r *Recorder) Remembered() int { return r.streams.size() }
