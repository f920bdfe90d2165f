package views

import "hash/maphash"

// bloom tells which rows certainly do not exist: a Bloom filter
// (https://doi.org/10.1145/362686.362692) with 4 probes into 2^25 bits, 4 MiB. With
// a million rows it errs, on the safe side, 1.6 times in 10,000; with ten million, a
// quarter of the time. A process that makes all views from the beginning has one
// per view and, on a cluster, per part, while a rebuild runs two.
type bloom struct {
	seed  maphash.Seed
	few   map[field]struct{} // instead, until there are many
	words []uint64
}

const (
	bloomBits   = 1 << 25
	bloomProbes = 4
	bloomFew    = 4096
)

func newBloom() *bloom {
	return &bloom{seed: maphash.MakeSeed(), few: make(map[field]struct{})}
}

func (b *bloom) add(f field) {
	if b.words == nil {
		if b.few[f] = struct{}{}; len(b.few) <= bloomFew {
			return
		}
		b.words = make([]uint64, bloomBits/64)
		for f := range b.few {
			b.add(f)
		}
		b.few = nil
		return
	}
	b.probe(f, func(word *uint64, bit uint64) bool {
		*word |= bit
		return true
	})
}

func (b *bloom) mayHave(f field) bool {
	if b.words == nil {
		_, ok := b.few[f]
		return ok
	}
	return b.probe(f, func(word *uint64, bit uint64) bool { return *word&bit != 0 })
}

// probe visits a field's bits while fn returns true, and reports whether it always
// did.
func (b *bloom) probe(f field, fn func(word *uint64, bit uint64) bool) bool {
	sum := maphash.Comparable(b.seed, f)
	at, step := uint32(sum), uint32(sum>>32)|1 //nolint:gosec // the halves are what is wanted
	for range bloomProbes {
		if at %= bloomBits; !fn(&b.words[at/64], 1<<(at%64)) {
			return false
		}
		at += step
	}
	return true
}
