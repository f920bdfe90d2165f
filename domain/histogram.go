package domain

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// subBuckets is how many buckets a power of two is divided into; so a bucket is
// at most 1/32 of its lowest value wide. Values below 64 have buckets of their own.
const (
	subBits    = 5
	subBuckets = 1 << subBits
)

// Histogram is the distribution of durations in nanoseconds, log-linear as an
// HDR histogram is: from 0 to 292 years, all with the same relative error. What
// was added decides its state and its JSON, in what order and by which merges
// does not. The zero value is empty. A copy shares its buckets with the original:
// only one of the two may be added to.
type Histogram struct {
	Count    int64       // durations of 0 or more
	Sum      Nanoseconds // of these, exact
	Min, Max time.Duration
	Negative int64 // durations below 0, where clocks disagree; they count nowhere else

	buckets []bucket // those that hold something, by index
}

type bucket struct {
	index int
	count int64
}

// Add counts one duration.
func (h *Histogram) Add(d time.Duration) {
	if d < 0 {
		h.Negative++
		return
	}
	h.widen(d, d)
	h.Count++
	h.Sum.add(Nanoseconds{lo: uint64(d)})
	h.count(bucketOf(d), 1)
}

// Merge adds all that other has counted. Other stays as it is and independent.
func (h *Histogram) Merge(other Histogram) {
	h.Negative += other.Negative
	if other.Count == 0 {
		return
	}
	h.widen(other.Min, other.Max)
	h.Count += other.Count
	h.Sum.add(other.Sum)
	for _, b := range other.buckets {
		h.count(b.index, b.count)
	}
}

// widen must be called before Count is raised.
func (h *Histogram) widen(low, high time.Duration) {
	if h.Count == 0 {
		h.Min, h.Max = low, high
		return
	}
	h.Min, h.Max = min(h.Min, low), max(h.Max, high)
}

func (h *Histogram) count(index int, n int64) {
	at, found := slices.BinarySearchFunc(h.buckets, index, func(b bucket, index int) int { return b.index - index })
	if !found {
		h.buckets = slices.Insert(h.buckets, at, bucket{index: index})
	}
	h.buckets[at].count += n
}

func bucketOf(d time.Duration) int {
	shift := max(bits.Len64(uint64(d))-1-subBits, 0) //nolint:gosec // not negative
	return shift*subBuckets + int(d>>shift)
}

// middleOf is the middle of a bucket, rounded down.
func middleOf(index int) time.Duration {
	shift := max(index/subBuckets-1, 0)
	low := time.Duration(index-shift*subBuckets) << shift
	return low + (1<<shift-1)/2
}

// Quantile is the least duration that a share q of all are not longer than
// (nearest rank), with a relative error of at most 1/32; 0 gives Min and 1 gives
// Max, both exact. It is not ok when nothing was counted or q is no number.
func (h *Histogram) Quantile(q float64) (time.Duration, bool) {
	switch {
	case h.Count == 0 || math.IsNaN(q):
		return 0, false
	case q <= 0:
		return h.Min, true
	case q >= 1:
		return h.Max, true
	}
	// A share like 0.07 is no binary fraction: without the correction, 7 of 100
	// would become 7.000000000000001 and so the 8th.
	rank := max(int64(math.Ceil(q*float64(h.Count)*(1-1e-15))), 1)
	for _, b := range h.buckets {
		if rank -= b.count; rank <= 0 {
			return min(max(middleOf(b.index), h.Min), h.Max), true
		}
	}
	return h.Max, true
}

// Mean is Sum over Count, exact and rounded down to a nanosecond; not ok when
// nothing was counted.
func (h *Histogram) Mean() (time.Duration, bool) {
	if h.Count <= 0 {
		return 0, false
	}
	mean, _ := bits.Div64(h.Sum.hi, h.Sum.lo, uint64(h.Count))
	return time.Duration(mean), true //nolint:gosec // no addend is beyond 63 bits, so no mean is
}

// storedHistogram is the histogram in JSON: times in nanoseconds, buckets as index:count
// in rising order.
type storedHistogram struct {
	Count    int64       `json:"n,omitzero"`
	Sum      Nanoseconds `json:"sum,omitzero"`
	Min      int64       `json:"min,omitzero"`
	Max      int64       `json:"max,omitzero"`
	Negative int64       `json:"neg,omitzero"`
	Buckets  string      `json:"b,omitzero"`
}

// MarshalJSONTo implements json.MarshalerTo.
func (h Histogram) MarshalJSONTo(enc *jsontext.Encoder) error {
	text := make([]byte, 0, 8*len(h.buckets))
	for i, b := range h.buckets {
		if i > 0 {
			text = append(text, ',')
		}
		text = strconv.AppendInt(text, int64(b.index), 10)
		text = append(text, ':')
		text = strconv.AppendInt(text, b.count, 10)
	}
	return json.MarshalEncode(enc, storedHistogram{h.Count, h.Sum, int64(h.Min), int64(h.Max), h.Negative, string(text)})
}

var errHistogram = errors.New("not a histogram")

// UnmarshalJSONFrom implements json.UnmarshalerFrom. What contradicts itself is
// an error, so that no later call can fail on it.
func (h *Histogram) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	var s storedHistogram
	if err := json.UnmarshalDecode(dec, &s); err != nil {
		return err
	}
	read := Histogram{Count: s.Count, Sum: s.Sum, Min: time.Duration(s.Min), Max: time.Duration(s.Max), Negative: s.Negative}
	left := s.Count
	if s.Buckets != "" {
		read.buckets = make([]bucket, 0, strings.Count(s.Buckets, ",")+1)
		for text := range strings.SplitSeq(s.Buckets, ",") {
			index, count, _ := strings.Cut(text, ":")
			i, errI := strconv.ParseUint(index, 10, 16)
			n, errN := strconv.ParseInt(count, 10, 64)
			b := bucket{int(i), n}
			last := len(read.buckets) - 1
			if errI != nil || errN != nil || b.index > bucketOf(math.MaxInt64) || n < 1 || n > left ||
				last >= 0 && read.buckets[last].index >= b.index {
				return fmt.Errorf("%w: bucket %q", errHistogram, text)
			}
			left -= n
			read.buckets = append(read.buckets, b)
		}
	}
	switch {
	case left != 0:
		return fmt.Errorf("%w: buckets and n differ", errHistogram)
	case s.Min < 0 || s.Max < s.Min || s.Negative < 0 || !read.spans():
		return fmt.Errorf("%w: min %d, max %d, neg %d", errHistogram, s.Min, s.Max, s.Negative)
	case !s.Sum.within(s.Count, s.Min, s.Max):
		return fmt.Errorf("%w: sum %s of %d", errHistogram, s.Sum, s.Count)
	}
	*h = read
	return nil
}

// spans reports whether Min and Max are in the first and the last bucket.
func (h *Histogram) spans() bool {
	if len(h.buckets) == 0 {
		return h.Min == 0 && h.Max == 0
	}
	return bucketOf(h.Min) == h.buckets[0].index && bucketOf(h.Max) == h.buckets[len(h.buckets)-1].index
}

// Nanoseconds is a sum of durations, exact to 128 bits where an int64 ends after
// 292 years in total. Its text form is a decimal number.
type Nanoseconds struct{ hi, lo uint64 }

func (n *Nanoseconds) add(other Nanoseconds) {
	var carry uint64
	n.lo, carry = bits.Add64(n.lo, other.lo, 0)
	n.hi, _ = bits.Add64(n.hi, other.hi, carry)
}

// within reports whether count addends from low to high, none of them negative,
// can have this sum.
func (n Nanoseconds) within(count, low, high int64) bool {
	product := func(each int64) (p Nanoseconds) {
		p.hi, p.lo = bits.Mul64(uint64(count), uint64(each)) //nolint:gosec // none is negative
		return p
	}
	return !n.less(product(low)) && !product(high).less(n)
}

func (n Nanoseconds) less(other Nanoseconds) bool {
	return n.hi < other.hi || n.hi == other.hi && n.lo < other.lo
}

// Seconds is the sum in seconds, rounded to a float64.
func (n Nanoseconds) Seconds() float64 {
	return (float64(n.hi)*(1<<64) + float64(n.lo)) / 1e9
}

// tenTo19 is the highest power of ten in 64 bits.
const (
	tenTo19       = 10_000_000_000_000_000_000
	tenTo19Digits = 19
)

// String is the sum as a decimal number.
func (n Nanoseconds) String() string {
	text, _ := n.AppendText(nil)
	return string(text)
}

// AppendText implements encoding.TextAppender.
func (n Nanoseconds) AppendText(b []byte) ([]byte, error) {
	high, low := bits.Div64(n.hi, n.lo, tenTo19) // 2^63 durations of 63 bits stay below tenTo19 << 64
	if high > 0 {
		return fmt.Appendf(b, "%d%019d", high, low), nil
	}
	return strconv.AppendUint(b, low, 10), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (n *Nanoseconds) UnmarshalText(text []byte) error {
	high, low := "0", string(text)
	if len(low) > tenTo19Digits {
		high, low = low[:len(low)-tenTo19Digits], low[len(low)-tenTo19Digits:]
	}
	h, errH := strconv.ParseUint(high, 10, 64)
	l, errL := strconv.ParseUint(low, 10, 64)
	if err := errors.Join(errH, errL); err != nil {
		return fmt.Errorf("not a sum of nanoseconds: %w", err)
	}
	n.hi, n.lo = bits.Mul64(h, tenTo19)
	n.add(Nanoseconds{lo: l})
	return nil
}
