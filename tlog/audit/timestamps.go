package audit

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/tlog"
	"github.com/tradetrail/tradetrail/tlog/stamp"
)

// Timestamp is a finding: what an authority has signed is not there as it was.
const Timestamp Kind = "timestamp"

// Timestamps is what became of the checkpoints that an authority has timestamped.
type Timestamps struct {
	Read    uint64    `json:"read"`
	Checked bool      `json:"checked"`         // their tokens, by roots that somebody named
	Newest  time.Time `json:"newest,omitzero"` // the time of the last one
}

// recentStamps is how far back the files of timestamps are read by a verification of what
// is new.
const recentStamps = 48 * time.Hour

// readTimestamps reads the timestamped checkpoints that this verification comes by, and
// has them compared with the tree like those that were brought along: nobody who rewrites
// the log can make their tokens anew.
func (v *verification) readTimestamps(size uint64) error {
	if v.scope.Round > 0 {
		return nil
	}
	from, known := time.Time{}, uint64(0)
	if !v.scope.Full && v.before.Head.Size > 0 {
		from, known = v.subject.Now().Add(-recentStamps), v.before.Head.Size
	}
	told := Timestamps{Checked: v.subject.Authorities != nil}
	err := tlog.EachTimestamp(v.subject.Dir, from, func(t tlog.Timestamped) bool {
		if t.Size <= known {
			return true
		}
		told.Read++
		told.Newest = t.Time.UTC()
		where := fmt.Sprintf("timestamps, of %d leaves at %s", t.Size, t.Time.UTC().Format(time.RFC3339))
		if problem := stampedWrong(v.keys, t, v.subject.Authorities); problem != nil {
			v.found.add(Finding{Kind: Timestamp, Where: where, Text: problem.Error()})
			return true
		}
		if t.Size > size {
			v.found.add(Finding{Kind: Truncated, Where: where, Text: fmt.Sprintf("it is of %d leaves, and the log has %d: its end was cut off", t.Size, size)})
			return true
		}
		v.outside = append(v.outside, seen{t.Checkpoint, where})
		return true
	})
	if domain.ClassOf(err) == domain.ClassIntegrity {
		v.found.add(Finding{Kind: Timestamp, Where: "timestamps", Text: err.Error()})
		err = nil
	}
	if told.Read > 0 {
		v.report.Timestamps = &told
	}
	return err
}

// stampedWrong tells what is wrong with a timestamped checkpoint, the log aside.
func stampedWrong(keys tlog.Keys, t tlog.Timestamped, authorities *x509.CertPool) error {
	if _, err := keys.Check(t.Note); err != nil {
		return err
	}
	if authorities == nil {
		return nil
	}
	s, err := stamp.Verify(t.Token, sha256.Sum256([]byte(t.Note)), authorities)
	if err != nil {
		return err
	}
	if !s.Time.Equal(t.Time) {
		return fmt.Errorf("the token says %s", s.Time.Format(time.RFC3339))
	}
	return nil
}
