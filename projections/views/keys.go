package views

import (
	"context"
	"hash/fnv"
	"strconv"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/redis/go-redis/v9"
)

// keys makes the keys of one part of one generation of a view. All of them have
// one hash tag: on a cluster they are on one node, so that a slice and its cursor
// are written in one step.
type keys struct{ prefix string }

func newKeys(view string, generation, part, parts int) keys {
	tag := view + ":" + strconv.Itoa(generation)
	if parts > 1 {
		tag += ":" + strconv.Itoa(part)
	}
	return keys{prefix: "tradetrail:{" + tag + "}:"}
}

// at is a key; what names the kind of key in one letter.
func (k keys) at(what, id string) string { return k.prefix + what + ":" + id }

// cursor exists as long as the generation does: it is written first and removed
// first.
func (k keys) cursor() string { return k.prefix + "cursor" }

// parked is a table with a row per parked event.
func (k keys) parked() string { return k.prefix + "parked" }

// buckets is how many hashes hold the rows of a table. A row costs half of what
// a key of its own would; several hashes keep each small enough to be moved
// between nodes, hashed and removed in little time: 10 million rows of 200 bytes
// make 30 MB each.
const buckets = 64

// bucket is the hash that holds a table's row.
func (k keys) bucket(table, id string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // never fails
	return k.at(table, strconv.FormatUint(uint64(h.Sum32()%buckets), 16))
}

// rows reads rows of tables, many in one round trip.
type rows struct {
	keys  keys
	memo  *memo               // of whoever writes the tables; nil for readers
	wants map[string][]string // hash -> fields
	known map[string]struct{} // hash + field, wanted already
	found map[string]string
	also  func(redis.Pipeliner) // put behind the reads, if not nil
}

func newRows(k keys) *rows {
	return &rows{keys: k, wants: make(map[string][]string), known: make(map[string]struct{}), found: make(map[string]string)}
}

func (r *rows) want(table, id string) { r.wantField(r.keys.bucket(table, id), id) }

func (r *rows) wantField(hash, field string) {
	name := hash + "\x00" + field
	if _, twice := r.known[name]; twice {
		return
	}
	r.known[name] = struct{}{}
	if value, ok := r.memo.get(name); ok {
		if value != "" {
			r.found[name] = value
		}
		return
	}
	r.wants[hash] = append(r.wants[hash], field)
}

// read fetches what was wanted since the last read.
func (r *rows) read(ctx context.Context, client redis.Cmdable) error {
	if len(r.wants) == 0 {
		return nil
	}
	answers := make(map[string]*redis.SliceCmd, len(r.wants))
	if _, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for hash, fields := range r.wants {
			answers[hash] = p.HMGet(ctx, hash, fields...)
		}
		if r.also != nil {
			r.also(p)
		}
		return nil
	}); err != nil {
		return unavailable("reading rows below "+r.keys.prefix, err)
	}
	for hash, fields := range r.wants {
		for i, value := range answers[hash].Val() {
			name := hash + "\x00" + fields[i]
			text, ok := value.(string)
			if ok {
				r.found[name] = text
			}
			r.memo.put(name, text)
		}
	}
	clear(r.wants)
	return nil
}

// row is a row that was read; ok is false if there is none.
func (r *rows) row(table, id string) (value string, ok bool) {
	return r.field(r.keys.bucket(table, id), id)
}

func (r *rows) field(hash, field string) (value string, ok bool) {
	value, ok = r.found[hash+"\x00"+field]
	return value, ok
}

// readRows reads rows of one table; those that do not exist are missing.
func readRows(ctx context.Context, client redis.Cmdable, k keys, table string, ids []string) (map[string]string, error) {
	r := newRows(k)
	for _, id := range ids {
		r.want(table, id)
	}
	if err := r.read(ctx, client); err != nil {
		return nil, err
	}
	found := make(map[string]string, len(ids))
	for _, id := range ids {
		if value, ok := r.row(table, id); ok {
			found[id] = value
		}
	}
	return found, nil
}

// memo remembers rows for the only one that writes them, since what is written is
// often read again soon. "" is a row that does not exist: no view writes an empty
// one. It is thrown away with its writer, at any doubt.
type memo struct {
	rows *simplelru.LRU[string, string]
}

// maxMemo bounds what a writer remembers: about 10 MB of a row per order.
const maxMemo = 1 << 15

func newMemo() *memo {
	rows, err := simplelru.NewLRU[string, string](maxMemo, nil)
	if err != nil {
		panic(err) // the size is not positive
	}
	return &memo{rows}
}

func (m *memo) get(name string) (value string, ok bool) {
	if m == nil {
		return "", false
	}
	return m.rows.Get(name)
}

func (m *memo) put(name, value string) {
	if m != nil {
		m.rows.Add(name, value)
	}
}
