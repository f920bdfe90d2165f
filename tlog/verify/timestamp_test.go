package verify_test

import (
	"crypto/sha256"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/tlog/stamp"
	"github.com/tradetrail/tradetrail/tlog/stamp/stamptest"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// timestamp is of the first leaves of a ledger.
func (l *ledger) timestamp(t *testing.T, a *stamptest.Authority, size uint64, at time.Time) *verify.Timestamp {
	t.Helper()
	note := l.checkpoint(t, size, logSecret)
	digest := sha256.Sum256([]byte(note))
	hashes := l.consistency(size, verify.Span{End: l.size()}, true)
	if hashes == nil {
		hashes = []verify.Digest{}
	}
	return &verify.Timestamp{Checkpoint: note, Hashes: hashes, Token: a.Token(t, digest[:], at)}
}

func trusting(t *testing.T, a *stamptest.Authority) verify.Trust {
	t.Helper()
	trust := trust(t)
	var err error
	trust.Authorities, err = stamp.ParseRoots(a.Roots)
	require.NoError(t, err)
	return trust
}

func TestBundle_Timestamp(t *testing.T) {
	l, a := newLedger(23), stamptest.Start(t, nil)
	now := time.Now()
	b := l.event(t, 7)
	b.Timestamp = l.timestamp(t, a, 11, now)
	text := b.encode(t)
	verdict := judge(t, text, trusting(t, a))
	require.True(t, verdict.Verified, "%v", verdict.Failures)
	assert.EqualValues(t, 11, verdict.Timestamp.Size)
	assert.WithinDuration(t, now, verdict.Timestamp.Time, time.Minute)
	assert.Contains(t, fmt.Sprint(verdict.Proven), "the first 11 leaves were there at")
	assert.NotContains(t, fmt.Sprint(verdict.NotProven), "timestamp")

	// Nobody is made to know an authority.
	verdict = judge(t, text, trust(t))
	require.True(t, verdict.Verified, "%v", verdict.Failures)
	assert.Nil(t, verdict.Timestamp)
	assert.Contains(t, fmt.Sprint(verdict.NotProven), "not checked")
	b.Timestamp = nil
	verdict = judge(t, b.encode(t), trusting(t, a))
	require.True(t, verdict.Verified)
	assert.Contains(t, fmt.Sprint(verdict.NotProven), "no timestamp")

	late := l.event(t, 17)
	late.Timestamp = l.timestamp(t, a, 11, now)
	verdict = judge(t, late.encode(t), trusting(t, a))
	require.True(t, verdict.Verified)
	assert.Contains(t, fmt.Sprint(verdict.NotProven), "leaves from 11 on are newer")
}

func TestBundle_WrongTimestamps(t *testing.T) {
	l, a := newLedger(23), stamptest.Start(t, nil)
	now := time.Now()
	for name, c := range map[string]struct {
		change func(ts *verify.Timestamp, trust *verify.Trust)
		what   string
	}{
		"another checkpoint": {func(ts *verify.Timestamp, _ *verify.Trust) { ts.Checkpoint = l.checkpoint(t, 12, logSecret) }, verify.Inconsistent},
		"another of its size": {func(ts *verify.Timestamp, _ *verify.Trust) {
			ts.Checkpoint = l.checkpoint(t, 11, logSecret, witnessSecret)
		}, verify.Untimed},
		"no signature": {func(ts *verify.Timestamp, _ *verify.Trust) { ts.Checkpoint = "x" }, verify.Malformed},
		"wrong hashes": {func(ts *verify.Timestamp, _ *verify.Trust) { ts.Hashes[0][0] ^= 1 }, verify.Inconsistent},
		"a cut token":  {func(ts *verify.Timestamp, _ *verify.Trust) { ts.Token = ts.Token[:len(ts.Token)-1] }, verify.Untimed},
		"no token":     {func(ts *verify.Timestamp, _ *verify.Trust) { ts.Token = nil }, verify.Untimed},
		"a huge token": {func(ts *verify.Timestamp, _ *verify.Trust) { ts.Token = make([]byte, 1<<19) }, verify.Untimed},
		"of another authority": {func(_ *verify.Timestamp, trust *verify.Trust) {
			trust.Authorities = trusting(t, stamptest.Start(t, nil)).Authorities
		}, verify.Untimed},
		"from the future":        {func(_ *verify.Timestamp, trust *verify.Trust) { trust.At = now.Add(-time.Hour) }, verify.Future},
		"of a log that is older": {func(ts *verify.Timestamp, _ *verify.Trust) { *ts = *newLedger(30).timestamp(t, a, 30, now) }, verify.Truncated},
	} {
		t.Run(name, func(t *testing.T) {
			b, trust := l.event(t, 7), trusting(t, a)
			b.Timestamp = l.timestamp(t, a, 11, now)
			c.change(b.Timestamp, &trust)
			verdict := judge(t, b.encode(t), trust)
			assert.False(t, verdict.Verified)
			assert.Equal(t, []string{c.what}, whats(verdict), "%v", verdict.Failures)
		})
	}
}

// A store whose clock ran ahead, or whose times were changed: the leaf was there before.
func TestBundle_ALeafThatIsNewerThanItsTimestamp(t *testing.T) {
	a := stamptest.Start(t, nil)
	l := newLedger(0)
	for i := range 3 {
		l.add("order-A", uint64(i), time.Now().Add(time.Hour), "{}")
	}
	b := l.event(t, 1)
	b.Timestamp = l.timestamp(t, a, 3, time.Now())
	verdict := judge(t, b.encode(t), trusting(t, a))
	assert.Equal(t, []string{verify.Future}, whats(verdict))
}

func TestBundle_AnyChangedByteOfATimestampIsFound(t *testing.T) {
	l, a := newLedger(3), stamptest.Start(t, nil)
	b, trust := l.event(t, 1), trusting(t, a)
	b.Timestamp = l.timestamp(t, a, 2, time.Now())
	text := b.encode(t)
	want := judge(t, text, trust)
	require.True(t, want.Verified)
	for i := range text {
		flip := byte(1) << (i * 5 % 8)
		text[i] ^= flip
		if got := judge(t, text, trust); got.Verified {
			require.True(t, reflect.DeepEqual(want, got), "byte %d of %d, xor %#x", i, len(text), flip)
		}
		text[i] ^= flip
	}
}
