package client

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// The histogram is log-linear, as an HDR histogram is: each power of two has 16
// buckets, so a bucket is at most a sixteenth of its lower bound wide. It ends at
// 18 minutes.
const (
	subBits = 4
	maxBits = 40
	buckets = (maxBits - subBits + 1) << subBits
)

// histogram counts durations from any goroutine, without locks.
type histogram struct {
	counts [buckets]atomic.Uint64
	max    atomic.Int64
}

func (h *histogram) add(d time.Duration) {
	d = max(d, 0)
	h.counts[bucketOf(d)].Add(1)
	for most := h.max.Load(); int64(d) > most; most = h.max.Load() {
		if h.max.CompareAndSwap(most, int64(d)) {
			return
		}
	}
}

func bucketOf(d time.Duration) int {
	ns := min(uint64(d), 1<<maxBits-1) //nolint:gosec // not below 0
	shift := max(bits.Len64(ns)-subBits-1, 0)
	return shift<<subBits + int(ns>>shift) //nolint:gosec // below 2<<subBits
}

// upperBound is the longest duration that a bucket counts.
func upperBound(bucket int) time.Duration {
	shift := max(bucket>>subBits-1, 0)
	return time.Duration((bucket-shift<<subBits+1)<<shift - 1)
}

// counted is what a histogram held at one moment.
type counted struct {
	counts [buckets]uint64
	total  uint64
}

func (h *histogram) look() (c counted) {
	for i := range h.counts {
		n := h.counts[i].Load()
		c.counts[i] = n
		c.total += n
	}
	return c
}

// less is what was counted after before.
func (c counted) less(before *counted) counted {
	for i, n := range before.counts {
		c.counts[i] -= n
	}
	c.total -= before.total
	return c
}

// quantile is a bound which this share of the calls kept, at most a sixteenth
// above the true one.
func (c *counted) quantile(q float64) time.Duration {
	rank, sum := uint64(q*float64(c.total)), uint64(0)
	for i, n := range c.counts {
		if sum += n; n > 0 && sum > rank || sum == c.total && n > 0 {
			return upperBound(i)
		}
	}
	return 0
}
