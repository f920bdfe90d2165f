package tlog

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tradetrail/tradetrail/internal/backoff"
	"github.com/tradetrail/tradetrail/tlog/stamp"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// timestampDir is beside the history in the folder of a log, and written like it.
const timestampDir = "timestamps"

// DefaultTimestampEvery makes 24 tokens a day, of some kilobytes each.
const DefaultTimestampEvery = time.Hour

// How long an authority that fails is left alone.
const (
	timestampRetry = time.Second
	timestampRest  = 5 * time.Minute
)

// Timestamps says who is asked for timestamps of checkpoints, and how often.
type Timestamps struct {
	Authority Authority
	// Every is the length of a period; 0 is DefaultTimestampEvery. At the end of one the
	// newest checkpoint is stamped, unless it was before.
	Every time.Duration
}

// Authority signs that something with this SHA-256 was there at a time. What it answers
// was checked.
type Authority interface {
	Stamp(ctx context.Context, digest [sha256.Size]byte) (token []byte, s stamp.Stamp, err error)
}

// Timestamped is a checkpoint with the token over the SHA-256 of its note.
type Timestamped struct {
	Checkpoint

	Token []byte // DER of RFC 3161; the checkpoint's time is what it says
}

// stamping is a line of a file.
type stamping struct {
	Time  time.Time `json:"time"`
	Note  string    `json:"note"`
	Token []byte    `json:"token"`
}

func parseStamping(line []byte) (Timestamped, error) {
	var s stamping
	if err := json.Unmarshal(line, &s); err != nil {
		return Timestamped{}, err
	}
	c, err := parseNote(s.Note)
	c.Time = s.Time
	return Timestamped{c, s.Token}, err
}

// timestampDays are the files from a day on; none is before the first token.
func timestampDays(dir string, from time.Time) ([]string, error) {
	days, err := historyDays(filepath.Join(dir, timestampDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	first := from.UTC().Format(historyName)
	return slices.DeleteFunc(days, func(day string) bool { return day < first }), err
}

// EachTimestamp calls each for the checkpoints of the log in a folder that an authority
// has stamped since a day, in the order in which it did, until that returns false.
// Neither tokens nor signatures are looked at.
func EachTimestamp(dir string, from time.Time, each func(Timestamped) bool) error {
	days, err := timestampDays(dir, from)
	if err != nil {
		return err
	}
	for _, day := range days {
		more, err := eachLine(filepath.Join(dir, timestampDir, day), parseStamping, func(t Timestamped) (bool, error) { return each(t), nil })
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// Timestamp is the first checkpoint of at least size leaves that an authority has
// stamped; ok is false if there is none. since is when the store took the last of them.
func (r *Reader) Timestamp(size uint64, since time.Time) (checkpoint string, token verify.Bytes, ok bool, err error) {
	err = EachTimestamp(r.dir, since.Add(-24*time.Hour), func(t Timestamped) bool {
		if ok = t.Size >= size; ok {
			checkpoint, token = t.Note, t.Token
		}
		return !ok
	})
	return checkpoint, token, ok, err
}

// newestTimestamp reads the last line, and cuts off what a death has left behind it. It is
// for the one who writes.
func newestTimestamp(dir string) (newest Timestamped, err error) {
	days, err := timestampDays(dir, time.Time{})
	if err != nil {
		return newest, err
	}
	for _, day := range slices.Backward(days) {
		path := filepath.Join(dir, timestampDir, day)
		line, cut, err := lastLine(path)
		if err != nil {
			return newest, err
		}
		if cut != nil {
			if err := cut.mend(); err != nil {
				return newest, fmt.Errorf("mending timestamps: %w", err)
			}
		}
		if line == nil {
			continue
		}
		newest, err := parseStamping(line)
		if err != nil {
			return newest, damaged("the last line of "+path, err)
		}
		return newest, nil
	}
	return newest, nil
}

// timestamp has checkpoints stamped at the end of each period, until ctx ends. It holds
// nothing up, and what fails is tried again: the newest checkpoint, then.
func (l *Log) timestamp(ctx context.Context) error {
	for attempt := 0; ; {
		last, err := newestTimestamp(l.place.Dir)
		if err == nil {
			l.metrics.timestamped.Set(float64(last.Size))
			err = l.timestampOne(ctx, last)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			attempt = 0
			continue
		}
		l.metrics.unstamped.Inc()
		l.options.Logger.WarnContext(ctx, "a checkpoint was not timestamped; the newest is tried again", slog.Any("error", err), slog.Int("attempt", attempt))
		if err := backoff.Wait(ctx, attempt, timestampRetry, timestampRest); err != nil {
			return err
		}
		attempt++
	}
}

// timestampOne waits for the end of the period, and for a checkpoint that is newer than
// the last.
func (l *Log) timestampOne(ctx context.Context, last Timestamped) error {
	if err := l.untilTimestamp(ctx, last); err != nil {
		return err
	}
	state, changed := l.board.State()
	for state.Sealed.Size <= last.Size {
		select {
		case <-changed:
			state, changed = l.board.State()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	note := state.Sealed.Note
	token, s, err := l.options.Timestamps.Authority.Stamp(ctx, sha256.Sum256([]byte(note)))
	if err != nil {
		return err
	}
	line, err := json.Marshal(stamping{s.Time, note, token})
	if err != nil {
		return fmt.Errorf("encoding a timestamp: %w", err)
	}
	dir := filepath.Join(l.place.Dir, timestampDir)
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // public
		return fmt.Errorf("keeping a timestamp: %w", err)
	}
	if err := appendLine(filepath.Join(dir, l.options.Now().UTC().Format(historyName)), line); err != nil {
		return fmt.Errorf("keeping a timestamp: %w", err)
	}
	l.metrics.stampedAt.Set(float64(s.Time.Unix()))
	return nil
}

// untilTimestamp waits for the end of the period that the last one was of: never longer
// than a period, also when the clock was put back. The first one is due at once.
func (l *Log) untilTimestamp(ctx context.Context, last Timestamped) error {
	every := l.options.Timestamps.Every
	if last.Note == "" {
		return nil
	}
	wait := min(last.Time.Truncate(every).Add(every).Sub(l.options.Now()), every)
	if wait <= 0 {
		return nil
	}
	return backoff.Pause(ctx, wait)
}
