package redisstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/redis/go-redis/v9"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest/broker"
)

// firstCount is how many entries are read before it is known how large they are.
const firstCount = 64

type reader struct {
	config Config
	client *redis.Client
	count  int64 // entries to read at once

	// unread are the streams of which entries of an earlier life may be left, with
	// the last one read.
	unread map[string]string
	// unseen are the streams in which others may have left entries, with where the
	// rest of those pending begins.
	unseen    map[string]string
	lookAgain *time.Ticker
}

// Fetch implements broker.Reader.
func (r *reader) Fetch(ctx context.Context) (broker.Batch, error) {
	// A read that waits looks at deadlines only: who ends the session ends it by
	// closing the connections.
	defer context.AfterFunc(ctx, r.Close)()
	for {
		streams, err := r.read(ctx)
		if err != nil {
			return broker.Batch{}, err
		}
		if batch := r.batch(streams); len(batch.Messages) > 0 {
			return batch, nil
		}
	}
}

// look has the next reads look through what is pending, in all streams.
func (r *reader) look() {
	for _, stream := range r.config.Streams {
		r.unseen[stream] = "-"
	}
}

// read asks for the entries of an earlier life until there are none, then for new
// ones; and by the clock, however busy the streams are, for what others have left.
func (r *reader) read(ctx context.Context) ([]redis.XStream, error) {
	for _, stream := range r.config.Streams {
		last, left := r.unread[stream]
		if !left {
			continue
		}
		streams, err := r.client.XReadGroup(ctx, &redis.XReadGroupArgs{
			Group: r.config.Group, Consumer: r.config.Consumer, Streams: []string{stream, last}, Count: r.count, Block: -1,
		}).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			return nil, fmt.Errorf("reading what is pending in stream %s: %w", stream, err)
		}
		if len(streams) > 0 && len(streams[0].Messages) > 0 {
			r.unread[stream] = streams[0].Messages[len(streams[0].Messages)-1].ID
			return streams, nil
		}
		delete(r.unread, stream)
	}
	select {
	case <-r.lookAgain.C:
		r.look()
	default:
	}
	for _, stream := range r.config.Streams {
		for r.unseen[stream] != "" {
			if entries, err := r.takeOver(ctx, stream); err != nil || len(entries) > 0 {
				return []redis.XStream{{Stream: stream, Messages: entries}}, err
			}
		}
	}
	args := &redis.XReadGroupArgs{Group: r.config.Group, Consumer: r.config.Consumer, Count: r.count, Block: block}
	args.Streams = append(args.Streams, r.config.Streams...)
	for range r.config.Streams {
		args.Streams = append(args.Streams, ">")
	}
	streams, err := r.client.XReadGroup(ctx, args).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("reading the streams: %w", err)
	}
	return streams, nil
}

// takeOver takes what others have left among the next entries that are pending. An
// entry is read before it is claimed: XCLAIM and XAUTOCLAIM strike out of what is
// pending those that were trimmed, and nobody would know what is missing.
func (r *reader) takeOver(ctx context.Context, stream string) ([]redis.XMessage, error) {
	doing := func(err error) error { return fmt.Errorf("taking over what is left in stream %s: %w", stream, err) }
	pending, err := r.client.XPendingExt(ctx, &redis.XPendingExtArgs{
		Stream: stream, Group: r.config.Group, Idle: r.config.TakeOver, Start: r.unseen[stream], End: "+", Count: r.count,
	}).Result()
	if err != nil {
		return nil, doing(err)
	}
	if len(pending) == 0 {
		delete(r.unseen, stream)
		return nil, nil
	}
	r.unseen[stream] = "(" + pending[len(pending)-1].ID
	pipe := r.client.Pipeline()
	var found []*redis.XMessageSliceCmd
	var entries []redis.XMessage
	var ids []string
	for _, entry := range pending {
		if entry.Consumer == r.config.Consumer {
			continue // in hand
		}
		found = append(found, pipe.XRange(ctx, stream, entry.ID, entry.ID))
		entries = append(entries, redis.XMessage{ID: entry.ID})
		ids = append(ids, entry.ID)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, doing(err)
	}
	there := ids[:0]
	for i, entry := range found {
		if messages := entry.Val(); len(messages) > 0 {
			entries[i] = messages[0]
			there = append(there, messages[0].ID)
		}
	}
	if len(there) > 0 {
		// Those that another one has claimed meanwhile are recorded by both, once.
		err = r.client.XClaimJustID(ctx, &redis.XClaimArgs{
			Stream: stream, Group: r.config.Group, Consumer: r.config.Consumer, MinIdle: r.config.TakeOver, Messages: there,
		}).Err()
		if err != nil {
			return nil, doing(err)
		}
	}
	return entries, nil
}

func (r *reader) batch(streams []redis.XStream) broker.Batch {
	var batch broker.Batch
	largest := int64(1)
	ids := make(map[string][]string)
	for _, stream := range streams {
		for _, entry := range stream.Messages {
			m := broker.Message{Partition: stream.Stream, Offset: entry.ID, At: at(entry.ID)}
			if m.Body = r.body(entry); entry.Values == nil {
				m.Err = domain.Rejectf(domain.CodeMissing, "", "the entry was trimmed from the stream before it was recorded")
				m.Body = []byte(stream.Stream + " " + entry.ID)
			}
			largest = max(largest, int64(len(m.Body)))
			batch.Messages = append(batch.Messages, m)
			ids[stream.Stream] = append(ids[stream.Stream], entry.ID)
		}
	}
	// Redis counts entries, not bytes: the next read is sized by this one.
	r.count = min(broker.MaxBatch, max(1, broker.MaxBatchBytes/largest), 4*r.count)
	batch.Commit = func(ctx context.Context) error { return r.commit(ctx, ids) }
	return batch
}

// body is the field that holds the event, or all fields as one object.
func (r *reader) body(entry redis.XMessage) []byte {
	if value, ok := entry.Values[r.config.Field].(string); ok {
		return []byte(value)
	}
	body, err := json.Marshal(entry.Values, json.Deterministic(true))
	if err != nil { // not UTF-8: to quarantine, as it is printed
		return fmt.Appendf(nil, "%q", entry.Values)
	}
	return body
}

// at is when Redis took the entry, if the id is of its making.
func at(id string) time.Time {
	text, _, _ := strings.Cut(id, "-")
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.UnixMilli(ms)
	}
	return time.Time{}
}

func (r *reader) commit(ctx context.Context, ids map[string][]string) error {
	_, err := r.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for stream, ids := range ids {
			pipe.XAck(ctx, stream, r.config.Group, ids...)
		}
		return nil
	})
	return err
}

// Behind implements broker.Reader, over all consumers of the group.
func (r *reader) Behind(ctx context.Context) (int64, error) {
	var behind int64
	known := true
	for _, stream := range r.config.Streams {
		groups, err := r.client.XInfoGroups(ctx, stream).Result()
		if err != nil {
			return 0, fmt.Errorf("asking for the groups of stream %s: %w", stream, err)
		}
		for _, group := range groups {
			if group.Name == r.config.Group {
				known = known && group.Lag >= 0
				behind += group.Lag + group.Pending
			}
		}
	}
	if !known { // entries were deleted, or the server is older than 7
		return broker.Unknown, nil
	}
	return behind, nil
}

// Close implements broker.Reader.
func (r *reader) Close() {
	r.lookAgain.Stop()
	_ = r.client.Close()
}
