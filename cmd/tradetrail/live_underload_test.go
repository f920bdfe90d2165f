package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tradetrail/tradetrail/domain"
)

// crowd is how many follow what.
type crowd struct {
	subscribers, accounts int
	rate                  int // events per second
	lasting               time.Duration
	note                  int // bytes in the data of each event
}

// Every subscriber gets every event of its account once, in the order of the log,
// while events are recorded at a given rate. Half of them use WebSocket and half
// server-sent events, each on a connection of its own.
func TestLive_ManySubscribersUnderLoad(t *testing.T) {
	c := crowd{subscribers: 200, accounts: 20, rate: 500, lasting: 3 * time.Second}
	if soak() {
		c = crowd{subscribers: 2000, accounts: 200, rate: 2000, lasting: 30 * time.Second}
	} else if testing.Short() {
		t.Skip("two hundred subscribers under load: not in short mode")
	}
	server := startServer(t, t.TempDir(), redisURL(t))
	recordEvents(t, server.URL, c, 0, 1) // what a subscription needs once
	server.caughtUp()
	before := server.usage()

	n := int(c.lasting.Seconds()) * c.rate
	total := 1 + n/c.accounts // of each account
	followers := make([]*follower, c.subscribers)
	for i := range followers {
		followers[i] = openFollower(t, server.URL, i%2 == 0, i%c.accounts, "C:0/P:0")
	}
	for _, f := range followers {
		require.NoError(t, f.take(t.Context(), 1)) // it has begun
	}
	during := server.usage()
	t.Logf("%d subscribers: resident memory %.1f MiB -> %.1f MiB, heap in use %.1f -> %.1f MiB, goroutines %.0f -> %.0f: %.1f KiB resident and %.1f goroutines each",
		c.subscribers, before.resident/(1<<20), during.resident/(1<<20), before.heap/(1<<20), during.heap/(1<<20), before.goroutines, during.goroutines,
		(during.resident-before.resident)/1024/float64(c.subscribers), (during.goroutines-before.goroutines)/float64(c.subscribers))

	var following errgroup.Group
	for _, f := range followers {
		following.Go(func() error { return f.take(t.Context(), total) })
	}
	begun := time.Now()
	recordEvents(t, server.URL, c, 1, total)
	recorded := time.Since(begun)
	require.NoError(t, following.Wait())
	delivered := time.Since(begun)
	after := server.usage()
	t.Logf("%d events recorded in %s (%.0f/s), %d deliveries done after %s (%.0f/s); resident memory %.1f MiB",
		n, recorded.Round(time.Millisecond), float64(n)/recorded.Seconds(),
		n/c.accounts*c.subscribers, delivered.Round(time.Millisecond), float64(n/c.accounts*c.subscribers)/delivered.Seconds(), after.resident/(1<<20))
	for _, f := range followers {
		f.close()
	}
	assert.Eventually(t, func() bool { return server.usage().goroutines < before.goroutines+20 }, time.Minute, 50*time.Millisecond, "goroutines of subscribers stay")
	assert.Zero(t, server.stop(), server.output())
}

// A client that loses its connection at random points during load and comes back
// with the last cursor that it has seen gets every event once.
func TestLive_ReconnectsUnderLoad(t *testing.T) {
	c, times := crowd{accounts: 4, rate: 400, lasting: 3 * time.Second}, 20
	if soak() {
		c, times = crowd{accounts: 4, rate: 2000, lasting: 30 * time.Second}, 100
	} else if testing.Short() {
		t.Skip("reconnections under load: not in short mode")
	}
	server := startServer(t, t.TempDir(), redisURL(t))
	total := int(c.lasting.Seconds()) * c.rate / c.accounts
	var following errgroup.Group
	for lane := range 4 { // two accounts over each transport
		f := openFollower(t, server.URL, lane%2 == 0, lane, "C:0/P:0")
		following.Go(func() error {
			random := rand.New(rand.NewPCG(uint64(lane), 7))
			for left := times; left > 0; left-- {
				if err := f.take(t.Context(), f.got+random.IntN(2*max(total-f.got, 1)/(left+1)+1)); err != nil {
					return err
				}
				if err := f.reopen(t.Context(), server.URL); err != nil {
					return err
				}
			}
			return f.take(t.Context(), total)
		})
	}
	recordEvents(t, server.URL, c, 0, total)
	require.NoError(t, following.Wait())
	t.Logf("4 subscribers reconnected %d times each while %d events were recorded", times, total*c.accounts)
}

// A subscriber that reads nothing while thousands of events come, more than the
// network holds, reads all of them in order afterwards; the server keeps none of
// them for it. One that is cut off, since it made no room for 30 s on a slow machine,
// comes back once with its cursor.
func TestLive_LateReaderUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("a late reader under load: not in short mode")
	}
	t.Setenv("GOGC", "20") // so that the heap is what is kept, and little garbage
	c := crowd{accounts: 1, rate: 2000, note: 4000}
	total := 4000 // 16 MB for each
	server := startServer(t, t.TempDir(), redisURL(t))
	late := make([]*follower, 16)
	for i := range late {
		late[i] = openFollower(t, server.URL, i%2 == 0, 0, "C:0/P:0")
	}
	recordEvents(t, server.URL, c, 0, total/2)
	server.caughtUp()
	half := server.usage()
	recordEvents(t, server.URL, c, total/2, total)
	server.caughtUp()
	whole := server.usage()
	t.Logf("heap in use %.1f MiB after %d events that nobody read, %.1f MiB after %d", half.heap/(1<<20), total/2, whole.heap/(1<<20), total)
	unread := float64(len(late) * total / 2 * c.note) // the first half fills the network
	assert.Less(t, whole.heap-half.heap, unread/2, "the server keeps what is not read")
	for _, f := range late {
		err := f.take(t.Context(), total)
		if errors.Is(err, errCutOff) {
			require.NoError(t, f.reopen(t.Context(), server.URL))
			err = f.take(t.Context(), total)
		}
		require.NoError(t, err)
	}
}

func soak() bool { return os.Getenv("TRADETRAIL_SOAK") != "" }

// recordEvents records events from, up to and without to, of every account, at the
// rate of the crowd. What is due is recorded late rather than left out.
func recordEvents(t *testing.T, url string, c crowd, from, to int) {
	t.Helper()
	const tick = 10 * time.Millisecond
	const underWay = 64
	each := max(int(float64(c.rate)*tick.Seconds()), 1)
	var recording errgroup.Group
	recording.SetLimit(underWay)
	first, last := from*c.accounts, to*c.accounts
	begun := time.Now()
	for i := 0; first < last; i++ {
		<-time.After(time.Until(begun.Add(time.Duration(i) * tick)))
		var body bytes.Buffer
		for n := first; n < min(first+each, last); n++ {
			account, number := n%c.accounts, n/c.accounts
			fmt.Fprintf(&body, `{"event_id":"A%d-%d","event_type":"order.submitted","occurred_at":"2026-03-02T14:30:00.004241176Z","order_id":"A%d-%d","account_id":"A%d","ticker":"MSFT","data":{"side":"buy","quantity":"100","limit_price":"412.50","venue":"NASDAQ","note":"%s"}}`+"\n",
				account, number, account, number/10, account, strings.Repeat("x", c.note))
		}
		first += each
		recording.Go(func() error {
			response, err := http.Post(url+"/v1/events", "application/x-ndjson", &body)
			if err != nil {
				return err
			}
			defer func() { _ = response.Body.Close() }()
			if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK {
				return errors.Join(err, fmt.Errorf("recording: %s", response.Status))
			}
			return nil
		})
	}
	require.NoError(t, recording.Wait())
}

// usage is what a process uses, by its own account.
type usage struct{ resident, heap, goroutines float64 }

func (p *process) usage() usage {
	p.t.Helper()
	response, err := http.Get(p.URL + "/metrics")
	require.NoError(p.t, err)
	defer response.Body.Close()
	var u usage
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		for wanted, target := range map[string]*float64{
			"process_resident_memory_bytes": &u.resident, "go_memstats_heap_inuse_bytes": &u.heap, "go_goroutines": &u.goroutines,
		} {
			if name == wanted {
				*target, err = strconv.ParseFloat(value, 64)
				require.NoError(p.t, err)
			}
		}
	}
	return u
}

// follower is a client that follows an account and looks that nothing is missing,
// doubled or out of order.
type follower struct {
	account int
	socket  bool
	read    func() ([]byte, error) // the next message
	close   func()

	got    int
	seen   map[string]bool
	cursor domain.Position
}

func openFollower(t *testing.T, url string, socket bool, account int, after string) *follower {
	t.Helper()
	cursor, err := domain.ParsePosition(after)
	require.NoError(t, err)
	f := &follower{account: account, socket: socket, seen: make(map[string]bool), cursor: cursor}
	require.NoError(t, f.open(t.Context(), url))
	t.Cleanup(func() { f.close() })
	return f
}

// errCutOff says that a follower's connection has ended.
var errCutOff = errors.New("cut off")

func (f *follower) reopen(ctx context.Context, url string) error {
	f.close()
	return f.open(ctx, url)
}

func (f *follower) open(ctx context.Context, url string) error {
	query := fmt.Sprintf(`{"query":"subscription { accountEvents(accountId: \"A%d\", after: \"%s\") { cursor event { eventId data } } }"}`, f.account, f.cursor)
	if f.socket {
		dialer := websocket.Dialer{Subprotocols: []string{"graphql-transport-ws"}, ReadBufferSize: 1024, WriteBufferSize: 256}
		conn, response, err := dialer.DialContext(ctx, "ws"+strings.TrimPrefix(url, "http")+"/graphql", nil)
		if err != nil {
			return err
		}
		_ = response.Body.Close() // there is none
		f.close = func() { _ = conn.Close() }
		f.read = func() ([]byte, error) {
			_, text, err := conn.ReadMessage()
			if bytes.HasPrefix(text, []byte(`{"type":"ping"`)) {
				err = conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"pong"}`))
			}
			return text, err
		}
		for _, message := range []string{`{"type":"connection_init"}`, `{"id":"1","type":"subscribe","payload":` + query + `}`} {
			if err := conn.WriteMessage(websocket.TextMessage, []byte(message)); err != nil {
				return err
			}
		}
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/graphql", strings.NewReader(query))
	if err != nil {
		cancel()
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "text/event-stream")
	response, err := http.DefaultClient.Do(request) //nolint:bodyclose // close does
	if err != nil {
		cancel()
		return err
	}
	lines := bufio.NewReaderSize(response.Body, 1024)
	f.close = func() {
		cancel()
		_ = response.Body.Close()
	}
	f.read = func() ([]byte, error) { return lines.ReadBytes('\n') }
	return nil
}

// take reads until n events have come in all.
func (f *follower) take(ctx context.Context, n int) error {
	for f.got < n {
		text, err := f.read()
		if err != nil {
			return fmt.Errorf("account A%d after %d of %d events: %w", f.account, f.got, n, errors.Join(errCutOff, err, ctx.Err()))
		}
		_, rest, ok := bytes.Cut(text, []byte(`"cursor":"`))
		if !ok {
			if bytes.Contains(text, []byte(`"errors"`)) || bytes.Contains(text, []byte(`"error"`)) {
				return fmt.Errorf("account A%d: %s", f.account, text)
			}
			continue // a comment, a ping, an acknowledgement
		}
		cursor, rest, _ := bytes.Cut(rest, []byte(`"`))
		position, err := domain.ParsePosition(string(cursor))
		if err != nil {
			return err
		}
		_, rest, _ = bytes.Cut(rest, []byte(`"eventId":"`))
		id, _, _ := bytes.Cut(rest, []byte(`"`))
		switch {
		case position.Compare(f.cursor) <= 0:
			return fmt.Errorf("account A%d: %s came after %s", f.account, position, f.cursor)
		case f.seen[string(id)] || !strings.HasPrefix(string(id), fmt.Sprintf("A%d-", f.account)):
			return fmt.Errorf("account A%d: %s came again, or is another's", f.account, id)
		}
		f.seen[string(id)] = true
		f.cursor = position
		f.got++
	}
	return nil
}
