package views

import (
	"context"
	"errors"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/redis/go-redis/v9"
)

// batch gathers what a slice of events changes in one part of a view: few large
// commands, each key in as few of them as possible.
type batch struct {
	keys     keys
	commands []*command
	open     map[opening]*command
	hashes   hashes
	rows     map[field]row
	topics   map[string]struct{}
}

// opening is what a command begins with: more of the same goes into the same.
type opening struct{ name, key string }

type command struct{ args []any } // its name and key first

// maxArgs bounds a command's arguments: Redis runs nothing else meanwhile.
const maxArgs = 4000

func newBatch(k keys) *batch {
	return &batch{
		keys: k, open: make(map[opening]*command), hashes: newHashes(k),
		rows: make(map[field]row), topics: make(map[string]struct{}),
	}
}

func (b *batch) add(name, key string, args ...any) {
	id := opening{name, key}
	c := b.open[id]
	if c == nil || len(c.args)+len(args) > maxArgs {
		c = &command{args: []any{name, key}}
		b.open[id] = c
		b.commands = append(b.commands, c)
	}
	c.args = append(c.args, args...)
}

// set writes a row of a table. A row may be set once in a batch.
func (b *batch) set(table, id, value string) { b.setDecoded(table, id, value, nil) }

// setJSON writes a row as JSON; what names it in errors.
func (b *batch) setJSON(table, id, what string, value any) error {
	encoded, err := json.Marshal(value, json.Deterministic(true))
	if err != nil {
		return damaged("%s that can't be written", what)
	}
	b.set(table, id, string(encoded))
	return nil
}

// parseJSON reads what setJSON wrote; a row that does not exist is zero.
func parseJSON[T any](what, text string) (value T, err error) {
	if text == "" {
		return value, nil
	}
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		return *new(T), damaged("unreadable %s", what)
	}
	return value, nil
}

// setDecoded also leaves what the value says for the next who reads the row in
// this process. It must not be changed any more.
func (b *batch) setDecoded(table, id, value string, decoded any) {
	hash := b.hashes.of(table, id)
	b.add("HSET", hash, id, value)
	b.rows[field{hash, id}] = row{value, decoded}
}

// setField writes what rows.wantField reads.
func (b *batch) setField(hash, name, value string) {
	b.add("HSET", hash, name, value)
	b.rows[field{hash, name}] = row{value: value}
}

// remember tells a memo what the batch has written.
func (b *batch) remember(m *memo) {
	for f, r := range b.rows {
		m.put(f, r)
	}
}

// increment adds to a number in a hash.
func (b *batch) increment(hash, name string, n int64) {
	b.commands = append(b.commands, &command{args: []any{"HINCRBY", hash, name, n}})
}

// push appends to a list.
func (b *batch) push(what, id, value string) { b.add("RPUSH", b.keys.at(what, id), value) }

// touch wakes those who wait for a topic.
func (b *batch) touch(topic string) { b.topics[topic] = struct{}{} }

// commit writes the batch and the cursor in one step, if the cursor is before. It
// returns the cursor as it stands: if it is not after, nothing was written. With
// an error the outcome is unknown.
func (b *batch) commit(ctx context.Context, g *Generation, before, after string) (stands string, err error) {
	// A write of ours that was given up may arrive late, and leave the cursor as it
	// was: that is no reason to fail.
	for range maxRaces {
		stands, err = g.writes.cross(ctx, &crossing{cursor: b.keys.cursor(), before: before, after: after, commands: b.commands})
		if !errors.Is(err, redis.TxFailedErr) {
			break
		}
	}
	return stands, unavailable("writing below "+b.keys.prefix, err)
}

// wrongType reports that a key is of a kind that no view makes it: somebody else
// has written below our prefix.
func wrongType(err error) bool { return err != nil && strings.Contains(err.Error(), "WRONGTYPE") }

// abandon gives the part of a cursor up that can't be trusted: without one the view is
// made anew.
func abandon(ctx context.Context, client redis.UniversalClient, cursor string, why error) error {
	return errors.Join(why, client.Del(ctx, cursor).Err())
}

// maxRaces is how often a write is tried when somebody else has touched the cursor
// in the middle of it.
const maxRaces = 8
