package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/eventstore/embedded"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/ingest/file"
	"github.com/tradetrail/tradetrail/internal/config"
	"github.com/tradetrail/tradetrail/internal/remote"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

// soak makes tests of this package run their long forms.
var soak = os.Getenv("TRADETRAIL_SOAK") != ""

// orderFlow is the real order flow, dealt over accounts and strategies by order,
// so that there is more than one trail of each; or it says why it can't be had.
// At most so many events of it are read.
func orderFlow(t *testing.T, most int) []ingest.Item {
	t.Helper()
	path := os.Getenv("TRADETRAIL_LOBSTER")
	if path == "" {
		found, err := filepath.Glob("../../../shared/data/lobster/*_message_*.csv")
		require.NoError(t, err)
		if len(found) == 0 {
			t.Skip("the LOBSTER sample is neither in ../shared/data/lobster nor named by TRADETRAIL_LOBSTER")
		}
		path = found[0]
	}
	input, err := os.Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, input.Close()) }()
	items, err := file.Open(file.FormatLobster, input, file.Options{Name: filepath.Base(path), Account: "ACC-0", Strategy: "mm-0"})
	require.NoError(t, err)
	var all []ingest.Item
	for item, err := range items {
		require.NoError(t, err)
		if n, err := strconv.Atoi(item.Event.OrderID); err == nil {
			item.Event.AccountID, item.Event.StrategyID = fmt.Sprint("ACC-", n%accounts), fmt.Sprint("mm-", n%strategies)
		}
		if all = append(all, item); len(all) == most {
			break
		}
	}
	return all
}

const (
	accounts   = 10
	strategies = 5
)

// While the real order flow comes in, every view is rebuilt again and again under
// 50 live subscribers and those who page, search and ask for sums and chains: each
// subscriber gets its trail once and in order, and nobody ever sees less than
// before.
func TestRebuild_UnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("rebuilds under load for many seconds: not in short mode")
	}
	most, chunk, known := 3000, 100, 1500
	if soak {
		most, chunk, known = math.MaxInt, 500, 30_000
	}
	for kind, redis := range map[string]func(testing.TB) string{
		"in-process Redis": func(testing.TB) string { return "" },
		"redis-server":     func(t testing.TB) string { return viewstest.Real(t).URL },
	} {
		t.Run(kind, func(t *testing.T) {
			flow := orderFlow(t, most)
			url := redis(t)
			node, err := embedded.Open(t.TempDir(), embedded.Options{Logger: slog.New(slog.DiscardHandler), Listen: "127.0.0.1:0"})
			require.NoError(t, err)
			t.Cleanup(func() { assert.NoError(t, node.Close()) })
			r := start(t, func(c *config.Config) { c.EventStore, c.Redis = "esdb://"+node.Address()+"?tls=false", url })
			client, err := remote.New(r.url)
			require.NoError(t, err)
			l := &load{running: r, client: client}

			require.NoError(t, l.record(flow[:known], chunk))
			r.caughtUp()
			subscribers := l.subscribe(flow)
			rounds := l.rebuildWhile(func() error { return l.record(flow[known:], chunk) })
			r.caughtUp()

			log := readLog(t, node)
			require.Len(t, log, len(flow))
			delivered := 0
			for _, s := range subscribers {
				want := s.trail(log)
				require.NotEmpty(t, want, s.field)
				for i := range want {
					got, ok := <-s.updates
					require.True(t, ok, "%s ended after %d of %d", s.field, i, len(want))
					require.Equal(t, want[i], got, "%s, event %d", s.field, i)
				}
				delivered += len(want)
			}
			for _, reader := range l.readers {
				reader.compare(t, log)
			}
			before := l.hashes()
			l.rebuild()
			assert.Equal(t, before, l.hashes())
			for _, s := range subscribers { // and nothing is behind that
				select {
				case got := <-s.updates:
					assert.Fail(t, "more than its trail", "%s got %s", s.field, got)
				default:
				}
			}
			t.Logf("%d events, %d of them while %d rebuilds of all views ran; %d subscribers got %d events; %d readings",
				len(flow), len(flow)-known, rounds, len(subscribers), delivered, l.readings.Load())
		})
	}
}

// load is what a server has to bear, and those who watch it do so.
type load struct {
	*running

	client   *remote.Client
	recorded int64 // events; of who records

	readers  []*trailReader
	readings atomic.Int64
}

// record records events, in chunks, each of which must be there as soon as its
// receipts are.
func (l *load) record(items []ingest.Item, chunk int) error {
	for len(items) > 0 {
		some := items[:min(chunk, len(items))]
		items = items[len(some):]
		receipts, err := l.client.Record(l.Context(), "lobster", some)
		if err != nil {
			return err
		}
		l.recorded += int64(len(some))
		var answer struct {
			Instrument struct{ Stats struct{ Events int64 } }
		}
		position := receipts[len(receipts)-1].Position
		if err := l.ask(&answer, `query($p: String) { instrument(id: "AAPL", notOlderThan: $p) { stats { events } } }`, map[string]any{"p": position.String()}); err != nil {
			return err
		}
		if n := answer.Instrument.Stats.Events; n != l.recorded {
			return fmt.Errorf("%d events after %d were acknowledged", n, l.recorded)
		}
	}
	return nil
}

// ask runs a query from any goroutine. No error is expected at any time: what is
// being rebuilt is there.
func (l *load) ask(out any, query string, variables map[string]any) error {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(l.Context(), http.MethodPost, l.url+"/graphql", bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // it is read to its end
	var answer struct {
		Data   json.RawMessage
		Errors json.RawMessage
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return err
	}
	if len(answer.Errors) > 0 {
		return fmt.Errorf("%.100s: %s", query, answer.Errors)
	}
	l.readings.Add(1)
	return json.Unmarshal(answer.Data, out)
}

// subscriber is a live reader of one trail, from its first event.
type subscriber struct {
	field   string
	mine    func(e *domain.Event) bool
	updates chan string // ids of events
}

func (s *subscriber) trail(log []domain.Located) []string { return trail(log, s.mine) }

func trail(log []domain.Located, mine func(*domain.Event) bool) []string {
	var ids []string
	for _, e := range log {
		if mine(e.Event) {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

func byAccount(id string) func(*domain.Event) bool {
	return func(e *domain.Event) bool { return e.AccountID == id }
}

func byStrategy(id string) func(*domain.Event) bool {
	return func(e *domain.Event) bool { return e.StrategyID == id }
}

func byOrder(id string) func(*domain.Event) bool {
	return func(e *domain.Event) bool { return e.OrderID == id }
}

func everything(*domain.Event) bool { return true }

// subscribe begins 50 subscriptions: to all accounts and strategies, to the
// instrument in both ways, and to orders of the whole flow, most of which have not
// begun.
func (l *load) subscribe(flow []ingest.Item) []*subscriber {
	l.Helper()
	var all []*subscriber
	add := func(mine func(*domain.Event) bool, field string, args ...any) {
		all = append(all, &subscriber{field: fmt.Sprintf(field, args...), mine: mine, updates: make(chan string, len(flow))})
	}
	for i := range accounts {
		id := fmt.Sprint("ACC-", i)
		add(byAccount(id), `accountEvents(accountId: %q, after: "C:0/P:0")`, id)
	}
	for i := range strategies {
		id := fmt.Sprint("mm-", i)
		add(byStrategy(id), `strategyEvents(strategyId: %q, after: "C:0/P:0")`, id)
	}
	add(everything, `instrumentEvents(ticker: "AAPL", after: "C:0/P:0")`)
	add(everything, `entityEvents(type: "instrument", id: "AAPL", after: "C:0/P:0")`)
	for _, id := range ordersOf(flow, 50-len(all)) {
		add(byOrder(id), `chainUpdated(orderId: %q, after: "C:0/P:0")`, id)
	}
	require.Len(l, all, 50)
	for _, s := range all {
		answers := l.updates(`subscription { update: ` + s.field + ` { cursor event { eventId position } } }`)
		go func() {
			defer close(s.updates)
			for answer := range answers {
				id := textAt(answer, "data", "update", "event", "eventId")
				if at(answer, "data", "update", "cursor") != at(answer, "data", "update", "event", "position") || id == "" {
					id = fmt.Sprint(answer)
				}
				s.updates <- id
			}
		}()
	}
	return all
}

// ordersOf are the orders of events that lie evenly in the flow.
func ordersOf(flow []ingest.Item, n int) []string {
	var orders []string
	seen := map[string]bool{"": true}
	for i := 0; i < len(flow) && len(orders) < n; i += max(len(flow)/(2*n), 1) {
		if id := flow[i].Event.OrderID; !seen[id] {
			seen[id] = true
			orders = append(orders, id)
		}
	}
	return orders
}

// rebuildWhile rebuilds all views, again and again, until work is done, and lets
// readers look all the time.
func (l *load) rebuildWhile(work func() error) (rounds int) {
	l.Helper()
	var done atomic.Bool
	var group errgroup.Group
	until := func(reading func() error) {
		group.Go(func() error {
			for !done.Load() {
				if err := reading(); err != nil {
					done.Store(true)
					return err
				}
			}
			return nil
		})
	}
	l.readers = []*trailReader{
		{ask: l.ask, mine: byAccount("ACC-3"), query: `query($after: String) { account(id: "ACC-3") { events(first: 500, after: $after) ` + page + ` } }`, path: []any{"account", "events"}},
		{ask: l.ask, mine: byStrategy("mm-2"), query: `query($after: String) { strategy(id: "mm-2") { events(first: 999, after: $after) ` + page + ` } }`, path: []any{"strategy", "events"}},
		{ask: l.ask, mine: everything, query: `query($after: String) { entity(type: "instrument", id: "AAPL") { events(first: 1000, after: $after) ` + page + ` } }`, path: []any{"entity", "events"}},
		{ask: l.ask, mine: byAccount("ACC-7"), query: `query($after: String) { events(filter: {accounts: ["ACC-7"], types: ["order.*", "trade.*"]}, first: 500, after: $after) ` + page + ` }`, path: []any{"events"}},
		{ask: l.ask, mine: everything, query: `query($after: String) { events(first: 1000, after: $after) ` + page + ` }`, path: []any{"events"}},
	}
	for _, reader := range l.readers {
		until(reader.walk)
	}
	sums := &rising{load: l}
	until(sums.look)
	until(func() error { return sums.orders(l.readers[0]) })
	group.Go(func() error { defer done.Store(true); return work() })
	for !done.Load() || rounds < 3 {
		l.rebuild()
		rounds++
	}
	require.NoError(l, group.Wait())
	return rounds
}

const page = `{ totalCount edges { node { eventId } } pageInfo { hasNextPage endCursor } }`

// trailReader pages through a trail, again and again. What it has seen once it
// must see again, at the same place.
type trailReader struct {
	ask   func(out any, query string, variables map[string]any) error
	query string
	path  []any
	mine  func(*domain.Event) bool
	total float64

	mu   sync.Mutex
	seen []string
}

func (r *trailReader) walk() error {
	var now []string
	var after any
	for more := true; more; {
		var data map[string]any
		if err := r.ask(&data, r.query, map[string]any{"after": after}); err != nil {
			return err
		}
		events := at(data, r.path...)
		// A search over several trails does not know how many there are.
		if total, ok := at(events, "totalCount").(float64); ok {
			if total < r.total {
				return fmt.Errorf("%.60s: there were %v events, now %v", r.query, r.total, total)
			}
			r.total = total
		}
		for _, edge := range listAt(events, "edges") {
			now = append(now, textAt(edge, "node", "eventId"))
		}
		more = at(events, "pageInfo", "hasNextPage") == true
		after = at(events, "pageInfo", "endCursor")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for i, id := range now {
		switch {
		case n < len(r.seen) && r.seen[n] == id:
			n++
		case n < len(r.seen):
			return fmt.Errorf("%.60s: event %d was %s, now it is %s", r.query, i, r.seen[n], id)
		}
	}
	if n < len(r.seen) {
		return fmt.Errorf("%.60s: of %d events that were there, %d are not (%d now)", r.query, len(r.seen), len(r.seen)-n, len(now))
	}
	r.seen = now
	return nil
}

func (r *trailReader) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen
}

// compare looks once more, and compares with the log.
func (r *trailReader) compare(t *testing.T, log []domain.Located) {
	t.Helper()
	require.NoError(t, r.walk())
	assert.Equal(t, trail(log, r.mine), r.seen, r.query)
}

// rising looks at numbers that never fall.
type rising struct {
	*load

	highest map[string]float64
	chains  map[string]int
	next    int
}

func (r *rising) look() error {
	var data map[string]any
	if err := r.ask(&data, `{
		account(id: "ACC-1") { stats { events orders fills value byType { count } } orders(first: 1) { totalCount } }
		strategy(id: "mm-1") { stats { events orders fills value } orders(first: 1) { totalCount } }
		instrument(id: "AAPL") { stats { events orders fills value } events(first: 1) { totalCount } }
		daily(date: "2012-06-21") { events fills quantity value byHour { count } }
		latencies { count }
		projections { events generation }
		all: events(first: 1) { totalCount edges { node { eventId } } }
	}`, nil); err != nil {
		return err
	}
	if r.highest == nil {
		r.highest = make(map[string]float64)
	}
	now := make(map[string]float64)
	numbers("", data, now)
	for name, before := range r.highest {
		if value, ok := now[name]; !ok || value < before {
			return fmt.Errorf("%s was %v, now it is %v (%v)", name, before, value, ok)
		}
	}
	r.highest = now
	return nil
}

// numbers collects all numbers in decoded JSON by their paths.
func numbers(path string, value any, into map[string]float64) {
	switch value := value.(type) {
	case map[string]any:
		for name, v := range value {
			numbers(path+"."+name, v, into)
		}
	case []any:
		into[path+".length"] = float64(len(value))
		if path == ".account.stats.byType" || path == ".latencies" {
			return // a new one may push others to another place
		}
		for i, v := range value {
			numbers(path+"."+strconv.Itoa(i), v, into)
		}
	case float64:
		into[path] = value
	case string:
		if n, err := strconv.ParseFloat(value, 64); err == nil {
			into[path] = n
		}
	}
}

// orders reads orders and chains of events that have been seen in a trail.
func (r *rising) orders(from *trailReader) error {
	seen := from.all()
	if len(seen) == 0 {
		return nil
	}
	if r.chains == nil {
		r.chains = make(map[string]int)
	}
	r.next += 7
	var data map[string]any
	if err := r.ask(&data, `query($after: String) { account(id: "ACC-3") { orders(first: 40, after: $after) { edges { node { orderId events } } } } }`, nil); err != nil {
		return err
	}
	edges := listAt(data, "account", "orders", "edges")
	if len(edges) == 0 {
		return errors.New("an account with events has no orders")
	}
	id := textAt(edges, r.next%len(edges), "node", "orderId")
	if err := r.ask(&data, `query($id: ID!, $orders: [String!]) { order(id: $id) { events } chain(orderId: $id) { events { event { eventId } } }
		events(filter: {orders: $orders}, first: 1000) { edges { node { eventId } } } }`, map[string]any{"id": id, "orders": []string{id}}); err != nil {
		return err
	}
	events, _ := at(data, "order", "events").(float64)
	for name, n := range map[string]int{
		"order " + id: int(events), "chain " + id: len(listAt(data, "chain", "events")), "search " + id: len(listAt(data, "events", "edges")),
	} {
		if n < max(r.chains[name], 1) {
			return fmt.Errorf("%s had %d events, now %d", name, r.chains[name], n)
		}
		r.chains[name] = n
	}
	return nil
}

// rebuild rebuilds all views in one pass; each must equal what it replaces.
func (l *load) rebuild() {
	l.Helper()
	data, code, _ := l.graphql(`mutation { startRebuild { id } }`, nil)
	require.Empty(l, code)
	started := len(listAt(data, "startRebuild"))
	require.Len(l, l.hashNames(), started)
	require.Eventually(l, func() bool {
		data, code, _ := l.graphql(`{ rebuilds { projection state equal error different } }`, nil)
		require.Empty(l, code)
		over := 0
		for _, rebuild := range listAt(data, "rebuilds") {
			require.Nil(l, at(rebuild, "error"), "%v", rebuild)
			if at(rebuild, "state") == "DONE" {
				require.Equal(l, true, at(rebuild, "equal"), "%v", rebuild)
				over++
			}
		}
		return over == started
	}, 10*time.Minute, 20*time.Millisecond)
}

func (l *load) hashNames() []any {
	data, code, _ := l.graphql(`{ projections { name } }`, nil)
	require.Empty(l, code)
	return listAt(data, "projections")
}

// hashes are the sums over everything that the views hold.
func (l *load) hashes() map[string]string {
	l.Helper()
	data, code, _ := l.graphql(`{ projections { name hash } }`, nil)
	require.Empty(l, code)
	found := make(map[string]string)
	for _, p := range listAt(data, "projections") {
		found[textAt(p, "name")] = textAt(p, "hash")
	}
	return found
}

// readLog reads the events of the log, in its order, from the event store.
func readLog(t *testing.T, node *embedded.Node) []domain.Located {
	t.Helper()
	store := eventstore.Over(node.Conn(), slog.New(slog.DiscardHandler))
	t.Cleanup(func() { assert.NoError(t, store.Close()) })
	var log []domain.Located
	for record, err := range store.Forwards(context.WithoutCancel(t.Context()), domain.Position{}, math.MaxUint64) {
		require.NoError(t, err)
		if record.System() {
			continue
		}
		event, err := record.Located()
		require.NoError(t, err)
		log = append(log, event)
	}
	return log
}
