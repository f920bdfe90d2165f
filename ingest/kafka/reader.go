package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tradetrail/tradetrail/ingest/broker"
)

const (
	openTimeout  = 15 * time.Second
	leaveTimeout = 2 * time.Second
)

type reader struct {
	client *kgo.Client
	admin  *kadm.Client
	group  string
	log    *slog.Logger

	polled []*kgo.Record // and not in a batch yet; those of a partition in its order
}

// Fetch implements broker.Reader. The client keeps the group's heartbeat going by
// itself, so a batch may be held for as long as it takes.
func (r *reader) Fetch(ctx context.Context) (broker.Batch, error) {
	for len(r.polled) == 0 {
		fetches := r.client.PollRecords(ctx, broker.MaxBatch)
		if err := ctx.Err(); err != nil {
			return broker.Batch{}, err // what was polled is not committed
		}
		var problem error
		fetches.EachError(func(topic string, partition int32, err error) {
			if _, lost := errors.AsType[*kgo.ErrDataLoss](err); lost {
				// The client goes on by itself, with what is left.
				r.log.WarnContext(ctx, "kafka has lost messages that were not read", slog.Any("error", err))
				return
			}
			problem = fmt.Errorf("fetching %s/%d: %w", topic, partition, err)
		})
		r.polled = fetches.Records()
		if len(r.polled) == 0 && problem != nil { // one that lasts is there again at the next poll
			return broker.Batch{}, problem
		}
	}
	return r.batch(), nil
}

// batch takes from what was polled, which is bounded in number only.
func (r *reader) batch() broker.Batch {
	n, size := 0, 0
	for ; n < len(r.polled); n++ {
		if size += len(r.polled[n].Value); n > 0 && size > broker.MaxBatchBytes {
			break
		}
	}
	records := r.polled[:n:n]
	r.polled = r.polled[n:]
	batch := broker.Batch{Messages: make([]broker.Message, n)}
	for i, record := range records {
		batch.Messages[i] = broker.Message{
			Partition: record.Topic + "/" + strconv.Itoa(int(record.Partition)), Offset: strconv.FormatInt(record.Offset, 10),
			Body: record.Value, At: record.Timestamp,
		}
	}
	// Of each partition the highest offset counts.
	batch.Commit = func(ctx context.Context) error { return r.commit(ctx, records) }
	return batch
}

// commit does not mind that partitions were given to another member meanwhile: it
// records the messages again and commits them itself.
func (r *reader) commit(ctx context.Context, records []*kgo.Record) error {
	err := r.client.CommitRecords(ctx, records...)
	for _, moved := range []error{kerr.RebalanceInProgress, kerr.IllegalGeneration, kerr.UnknownMemberID, kerr.StaleMemberEpoch} {
		if errors.Is(err, moved) {
			r.log.InfoContext(ctx, "partitions were moved while their messages were recorded")
			return nil
		}
	}
	return err
}

// Behind implements broker.Reader, over all members of the group.
func (r *reader) Behind(ctx context.Context) (int64, error) {
	lags, err := r.admin.Lag(ctx, r.group)
	if err != nil {
		return 0, fmt.Errorf("asking how far the group is: %w", err)
	}
	if err := lags.Error(); err != nil {
		return 0, fmt.Errorf("asking how far the group is: %w", err)
	}
	return lags[r.group].Lag.Total(), nil
}

// Close implements broker.Reader: it leaves the group, so that other members need
// not wait for it.
func (r *reader) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	_ = r.client.LeaveGroupContext(ctx)
	r.client.CloseAllowingRebalance()
}

// logger hands on what the client has to say. What it calls a warning is mostly
// how it reconnects, and the source says that once.
type logger struct{ log *slog.Logger }

// Level implements kgo.Logger.
func (l logger) Level() kgo.LogLevel {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		return kgo.LogLevelInfo
	}
	return kgo.LogLevelNone
}

// Log implements kgo.Logger.
func (l logger) Log(_ kgo.LogLevel, msg string, keyvals ...any) {
	l.log.DebugContext(context.Background(), "kafka client", slog.String("said", msg), slog.String("about", fmt.Sprint(keyvals...)))
}
