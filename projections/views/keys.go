package views

import (
	"context"
	"strconv"

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
func (k keys) bucket(table, id string) string { return k.hash(table, bucketOf(id)) }

// hash is the n-th hash of a table.
func (k keys) hash(table string, n uint32) string {
	return k.at(table, strconv.FormatUint(uint64(n), 16))
}

// bucketOf spreads rows evenly: FNV-1a, 32 bits.
func bucketOf(id string) uint32 {
	h := uint32(2166136261)
	for i := range len(id) {
		h = (h ^ uint32(id[i])) * 16777619
	}
	return h % buckets
}

// hashes are the names of the hashes of tables, made once each.
type hashes struct {
	keys  keys
	names map[string]*[buckets]string
}

func newHashes(k keys) hashes { return hashes{k, make(map[string]*[buckets]string)} }

func (h hashes) of(table, id string) string {
	names := h.names[table]
	if names == nil {
		names = new([buckets]string)
		h.names[table] = names
	}
	name := &names[bucketOf(id)]
	if *name == "" {
		*name = h.keys.bucket(table, id)
	}
	return *name
}

// field is a field of a hash.
type field struct{ hash, name string }

// rows reads rows of tables, many in one round trip.
type rows struct {
	hashes hashes
	memo   *memo               // of whoever writes the tables; nil for readers
	wants  map[string][]string // hash -> fields
	found  map[field]row
}

// row is what a field holds; "" if there is none, since no view writes an empty
// one.
type row struct {
	value string
	// decoded is what value says, where the last to write it left it in the memo. It
	// must not be changed.
	decoded any
}

func newRows(k keys) *rows {
	return &rows{hashes: newHashes(k), wants: make(map[string][]string), found: make(map[field]row)}
}

func (r *rows) want(table, id string) { r.wantField(r.hashes.of(table, id), id) }

func (r *rows) wantField(hash, name string) {
	f := field{hash, name}
	if _, twice := r.found[f]; twice {
		return
	}
	known, ok := r.memo.get(f)
	r.found[f] = known
	if !ok {
		r.wants[hash] = append(r.wants[hash], name)
	}
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
		return nil
	}); err != nil {
		return unavailable("reading rows below "+r.hashes.keys.prefix, err)
	}
	for hash, fields := range r.wants {
		for i, value := range answers[hash].Val() {
			text, _ := value.(string)
			f := field{hash, fields[i]}
			r.found[f] = row{value: text}
			r.memo.put(f, row{value: text})
		}
	}
	clear(r.wants)
	return nil
}

// row is a row that was read; ok is false if there is none.
func (r *rows) row(table, id string) (value string, ok bool) {
	return r.field(r.hashes.of(table, id), id)
}

func (r *rows) field(hash, name string) (value string, ok bool) {
	found := r.found[field{hash, name}]
	return found.value, found.value != ""
}

// decoded is what the last writer of a row left with it, or nil.
func (r *rows) decoded(table, id string) any {
	return r.found[field{r.hashes.of(table, id), id}].decoded
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
// often read again soon. It is thrown away with its writer, at any doubt.
//
// It forgets in halves: what was not touched since half of it was last forgotten.
type memo struct {
	young, old map[field]row
	written    *bloom // all rows that there are, where the writer has written them all; else nil
}

// maxMemo bounds each half: about 10 MB of a row per order.
const maxMemo = 1 << 15

// newMemo begins with nothing; whole says that there is nothing to remember, since
// the part is empty.
func newMemo(whole bool) *memo {
	m := &memo{young: make(map[field]row)}
	if whole {
		m.written = newBloom()
	}
	return m
}

func (m *memo) get(f field) (found row, ok bool) {
	if m == nil {
		return row{}, false
	}
	if found, ok = m.young[f]; ok {
		return found, true
	}
	if found, ok = m.old[f]; ok {
		m.put(f, found)
		return found, true
	}
	return row{}, m.written != nil && !m.written.mayHave(f)
}

func (m *memo) put(f field, r row) {
	if m == nil {
		return
	}
	if len(m.young) >= maxMemo {
		m.young, m.old = make(map[field]row), m.young
	}
	m.young[f] = r
	if m.written != nil && r.value != "" {
		m.written.add(f)
	}
}
