package fix_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/eventstore/eventstoretest"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/ingest/fix"
	"github.com/tradetrail/tradetrail/ingest/fix/fixtest"
)

const patience = 30 * time.Second

// house is what a session has around it: a store, a recorder, a place for numbers.
type house struct {
	t        *testing.T
	store    *eventstore.Store
	recorder *ingest.Recorder
	dir      string

	mu   sync.Mutex
	fail func(call int) error // what becomes of a call of Record; see Record
	call int
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, store: eventstoretest.OpenStore(t, eventstoretest.OpenNode(t, t.TempDir()), ""), dir: t.TempDir()}
	var err error
	h.recorder, err = ingest.NewRecorder(h.store, slog.New(slog.DiscardHandler), time.Now, prometheus.NewRegistry())
	require.NoError(t, err)
	t.Cleanup(func() { h.recorder.Close(context.WithoutCancel(t.Context())) })
	return h
}

var errLost = errors.New("lost")

// Record records, and then fails if it is to: what was recorded is not known to
// be then.
func (h *house) Record(ctx context.Context, source string, items []ingest.Item) ([]ingest.Receipt, error) {
	receipts, err := h.recorder.Record(ctx, source, items)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.call++
	if h.fail != nil {
		err = errors.Join(err, h.fail(h.call))
	}
	return receipts, err
}

func (h *house) deps() fix.Deps {
	return fix.Deps{
		Recorder: h, Origins: fix.NewLinks(h.store), Log: slog.New(slog.DiscardHandler), Now: time.Now, Dir: h.dir,
	}
}

// start runs a session until the function that it returns is called.
func (h *house) start(cfg fix.Config) (*fix.Source, func()) {
	h.t.Helper()
	s, err := fix.New(cfg, h.deps())
	require.NoError(h.t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(h.t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-done:
				assert.Nil(h.t, err) //nolint:testifylint // a cleanup goes on
			case <-time.After(patience):
				assert.Fail(h.t, "the session does not stop")
			}
		})
	}
	h.t.Cleanup(stop)
	return s, stop
}

// events is the whole log.
func (h *house) events() []domain.Located {
	var out []domain.Located
	for r, err := range h.store.Forwards(context.WithoutCancel(h.t.Context()), domain.Position{}, 1<<40) {
		require.NoError(h.t, err)
		if strings.HasPrefix(r.Stream, "$") {
			continue
		}
		located, err := r.Located()
		require.NoError(h.t, err)
		out = append(out, located)
	}
	return out
}

func (h *house) count(types ...domain.EventType) int {
	n := 0
	for _, e := range h.events() {
		for _, t := range types {
			if e.Type == t {
				n++
			}
		}
	}
	return n
}

// waitFor waits until the log has n events of a type.
func (h *house) waitFor(n int, t domain.EventType) {
	h.t.Helper()
	require.Eventually(h.t, func() bool { return h.count(t) >= n }, patience, 20*time.Millisecond, "%d events of type %s", n, t)
}

// chains are the orders' events without what tells one way here from another: the
// numbers and times of sending, and the marks of what was sent again.
func (h *house) chains() map[string][]string {
	out := map[string][]string{}
	for _, e := range h.events() {
		if e.OrderID == "" {
			continue
		}
		data := dataOf(h.t, e.Event)
		for _, name := range []string{"msg_seq_num", "sending_time", "orig_sending_time", "poss_dup", "poss_resend", "sender_comp_id"} {
			delete(data, name)
		}
		out[e.OrderID] = append(out[e.OrderID], fmt.Sprint(e.Type, " ", e.OccurredAt, " ", e.ClientOrderID, " ", data))
	}
	return out
}

func config(c *counterparty, role string, port int) fix.Config {
	return fix.Config{
		Name: "drop-copy", Role: role, Host: "127.0.0.1", Port: port, BeginString: c.id.BeginString, Heartbeat: 1,
		SenderCompID: "FIRM", TargetCompID: c.id.SenderCompID,
	}
}

func requireFilled(t *testing.T, h *house, order string, fills int) {
	t.Helper()
	var o domain.Order
	for _, e := range h.events() {
		if e.OrderID == order {
			o.Apply(e.Event)
		}
	}
	assert.Equal(t, domain.StatusFilled, o.Status)
	assert.Equal(t, fills, o.Fills)
	assert.Equal(t, fmt.Sprint(fills), o.CumQuantity.String())
}

func TestSession_BothRolesAndAllVersions(t *testing.T) {
	for _, begin := range []string{"FIX.4.2", "FIX.4.4", "FIXT.1.1"} {
		for _, role := range []string{fix.Initiator, fix.Acceptor} {
			t.Run(begin+" "+role, func(t *testing.T) {
				h := newHouse(t)
				port := freePort(t)
				c := newCounterparty(t, role == fix.Acceptor, port, begin, nil)
				_, stop := h.start(config(c, role, port))
				h.waitFor(2, domain.SessionLogon) // theirs and ours
				c.order("A", 3)
				h.waitFor(1, domain.OrderFilled)
				requireFilled(t, h, "A", 3)
				stop()
				assert.Equal(t, 2, h.count(domain.SessionLogout), "we log out, and they answer")
				assert.Zero(t, h.count(domain.InputQuarantined, domain.SessionGapDetected, domain.SessionDisconnected))
			})
		}
	}
}

// What happens while nobody listens is sent when we are back, and a later life
// still knows the order of a ClOrdID.
func TestSession_GoesOnWhereItEnded(t *testing.T) {
	for _, role := range []string{fix.Initiator, fix.Acceptor} {
		t.Run(role, func(t *testing.T) {
			h := newHouse(t)
			port := freePort(t)
			c := newCounterparty(t, role == fix.Acceptor, port, "FIX.4.4", nil)
			_, stop := h.start(config(c, role, port))
			h.waitFor(2, domain.SessionLogon)
			c.report(map[int]string{37: "V", 11: "A", 17: "1", 150: "0", 39: "0", 38: "9"})
			c.report(map[int]string{37: "V", 11: "B", 41: "A", 17: "2", 150: "5", 39: "0", 38: "1"})
			h.waitFor(1, domain.OrderReplaced)
			stop()
			c.report(map[int]string{37: "V", 11: "C", 41: "B", 17: "3", 150: "5", 39: "0", 38: "1"})
			c.report(map[int]string{37: "V", 11: "C", 17: "4", 150: "F", 39: "2", 32: "1", 31: "1"})
			h.start(config(c, role, port))
			h.waitFor(1, domain.OrderFilled)
			requireFilled(t, h, "A", 1)
			assert.Equal(t, 1, h.count(domain.SessionGapFilled))
			assert.Equal(t, 2, h.count(domain.OrderLinked))
		})
	}
}

// line carries a connection through, until it is cut.
type line struct {
	listener net.Listener
	to       string
	mu       sync.Mutex
	conns    []net.Conn
	passing  sync.WaitGroup
	garble   func(b []byte) // what happens to bytes on the way to us
}

func newLine(t *testing.T, to string) *line {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &line{listener: listener, to: to}
	l.passing.Go(l.serve)
	t.Cleanup(func() {
		listener.Close()
		l.cut()
		l.passing.Wait()
	})
	return l
}

func (l *line) serve() {
	for {
		in, err := l.listener.Accept()
		if err != nil {
			return
		}
		out, err := new(net.Dialer).DialContext(context.Background(), "tcp", l.to)
		if err != nil {
			in.Close()
			continue
		}
		l.mu.Lock()
		l.conns = append(l.conns, in, out)
		l.mu.Unlock()
		l.passing.Go(func() { l.pass(in, out, true) })
		l.passing.Go(func() { l.pass(out, in, false) })
	}
}

func (l *line) pass(from, to net.Conn, up bool) {
	defer from.Close()
	defer to.Close()
	buf := make([]byte, 512)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		l.mu.Lock()
		if l.garble != nil && !up {
			l.garble(buf[:n])
		}
		l.mu.Unlock()
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		c.Close()
	}
	l.conns = nil
}

// A session that is cut, resent and duplicated gives the same chains as a clean
// one: the line breaks at random places, records are durable without our knowing,
// bytes are garbled, and the process ends and begins again with older numbers.
func TestSession_CutResentAndDuplicatedIsTheSame(t *testing.T) {
	const orders, fills = 12, 8
	send := func(c *counterparty) {
		for i := range orders {
			c.order(fmt.Sprint("O", i), fills)
		}
	}
	clean := newHouse(t)
	port := freePort(t)
	c := newCounterparty(t, false, port, "FIX.4.4", nil)
	clean.start(config(c, fix.Initiator, port))
	send(c)
	clean.waitFor(orders, domain.OrderFilled)
	want := clean.chains()
	require.Len(t, want, orders)

	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			h := newHouse(t)
			port := freePort(t)
			c := newCounterparty(t, false, port, "FIX.4.4", nil)
			l := newLine(t, net.JoinHostPort("127.0.0.1", fmt.Sprint(port)))
			cfg := config(c, fix.Initiator, portOf(t, l.listener.Addr()))
			garbled := 0
			l.garble = func(b []byte) {
				if garbled < 5 && random.IntN(20) == 0 {
					garbled++
					b[random.IntN(len(b))] ^= 1
				}
			}
			cuts := 0
			h.fail = func(call int) error {
				switch {
				case call%7 == 3:
					return errLost
				case call%5 == 4 && cuts < 6:
					cuts++
					go l.cut()
				}
				return nil
			}
			_, stop := h.start(cfg)
			for i := range orders {
				c.order(fmt.Sprint("O", i), fills)
				if i%4 == 3 {
					h.waitFor(1, domain.SessionLogon)
					older, err := os.ReadFile(filepath.Join(h.dir, "drop-copy.seq"))
					require.NoError(t, err)
					stop()
					h.rewind(older)
					_, stop = h.start(cfg)
				}
			}
			h.waitFor(orders, domain.OrderFilled)
			h.mu.Lock()
			h.fail = nil
			h.mu.Unlock()
			assert.Equal(t, want, h.chains())
			for _, e := range h.events() {
				if e.Type == domain.InputQuarantined {
					assert.NotContains(t, string(e.Data), domain.CodeConflict, "what is sent again is no other fact")
				}
			}
		})
	}
}

// rewind puts an older number expected into the file, and keeps ours: as a loss of
// power between the two can.
func (h *house) rewind(older []byte) {
	path := filepath.Join(h.dir, "drop-copy.seq")
	newer, err := os.ReadFile(path)
	require.NoError(h.t, err)
	require.NoError(h.t, os.WriteFile(path, fix.WithOlderNumber(newer, older), 0o600))
}

// wire is a counterparty by hand, for what no engine would say.
type wire struct {
	t    *testing.T
	conn net.Conn
	log  *fix.Log
	n    int
}

func dialWire(t *testing.T, s *fix.Source) *wire {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return &wire{t: t, conn: conn, log: fix.NewLog(conn, "wire")}
}

func (w *wire) send(fields string) {
	w.t.Helper()
	w.n++
	w.raw(fixtest.Message(w.n, fields))
}

func (w *wire) raw(b []byte) {
	w.t.Helper()
	_, err := w.conn.Write(b)
	require.NoError(w.t, err)
}

// receive reads up to the next message of a type.
func (w *wire) receive(kind string) string {
	w.t.Helper()
	require.NoError(w.t, w.conn.SetReadDeadline(time.Now().Add(patience)))
	for {
		p, err := w.log.Next()
		require.NoError(w.t, err, "waiting for a %s", kind)
		if text := string(fixtest.Bars(p.Raw)); strings.Contains(text, "|35="+kind+"|") {
			return text
		}
	}
}

func (w *wire) closed() {
	w.t.Helper()
	require.NoError(w.t, w.conn.SetReadDeadline(time.Now().Add(patience)))
	_, err := io.Copy(io.Discard, w.conn)
	var timeout net.Error
	require.False(w.t, errors.As(err, &timeout) && timeout.Timeout(), "the connection stays open")
}

func (h *house) acceptor() *fix.Source {
	s, _ := h.start(fix.Config{
		Name: "drop-copy", Role: fix.Acceptor, Host: "127.0.0.1", BeginString: "FIX.4.4", SenderCompID: "FIRM", TargetCompID: "BROKER", Heartbeat: 30,
	})
	return s
}

const logon = "35=A|98=0|108=30"

func TestSession_HostileMessages(t *testing.T) {
	h := newHouse(t)
	w := dialWire(t, h.acceptor())
	w.send(logon)
	w.receive("A")
	w.raw([]byte("8=FIX.4.4\x019=9223372036854775807\x01"))
	w.raw([]byte("8=FIX.4.4\x019=-5\x0135=8\x01"))
	w.raw([]byte("8=FIX.4.4\x019=99999999999999999999999999\x0135=0\x0110=000\x01"))
	w.raw([]byte("8=FIX.4.4\x019=20\x0135=n\x01212=9223372036854775807\x01213=<x/>\x0110=000\x01"))
	w.raw([]byte(strings.Repeat("8=FIX.4.4\x01", 100)))
	w.raw([]byte("8=FIX.4.4\x019=5\x0135=8\x0158=" + strings.Repeat("x", 1<<20) + "\n"))
	broken := fixtest.Message(2, fill)
	broken[len(broken)-2] ^= 1
	w.raw(broken)
	w.n = 1
	w.send(fill) // the one that counts
	h.waitFor(1, domain.OrderPartiallyFilled)
	w.send("35=8|11=C-1|150=F|39=1") // without quantity: a number of its own
	w.send("35=8|11=C-1|150=Z|39=1|58=\xff\xfe|354=4|355=a\x01b\xff")
	h.waitFor(1, fix.UnknownExecution)
	w.send("35=5")
	w.receive("5")
	w.closed()
	assert.Zero(t, h.count(domain.SessionGapDetected))
	assert.GreaterOrEqual(t, h.count(domain.InputQuarantined), 5)
}

func TestSession_AsksForWhatIsMissing(t *testing.T) {
	h := newHouse(t)
	w := dialWire(t, h.acceptor())
	w.send(logon)
	w.receive("A")
	w.n = 3
	w.send("35=8|11=C|17=3|150=F|39=1|32=1|31=1") // 4
	assert.Contains(t, w.receive("2"), "|7=2|16=0|")
	again := "|43=Y|122=20260302-14:30:00.000"
	w.n = 1
	w.send("35=8|11=C|17=1|150=0|39=0|38=5" + again) // 2
	w.send("35=4|123=Y|36=4" + again)                // 3
	w.send("35=8|11=C|17=3|150=F|39=1|32=1|31=1" + again)
	h.waitFor(1, domain.OrderPartiallyFilled)
	assert.Equal(t, 1, h.count(domain.SessionGapDetected))
	assert.Equal(t, 1, h.count(domain.SessionGapFilled))

	// Sent again although nobody asked: known, and the session goes on.
	w.n = 1
	w.send("35=8|11=C|17=1|150=0|39=0|38=5" + again)
	w.n = 4
	w.send("35=8|11=C|17=9|150=F|39=1|32=1|31=1|97=Y")
	w.send("35=8|11=C|17=3|150=F|39=1|32=1|31=1|97=Y")
	w.send("35=1|112=are you there")
	assert.Contains(t, w.receive("0"), "|112=are you there|")
	h.waitFor(2, domain.OrderPartiallyFilled)
	w.send("35=2|7=1|16=0")
	assert.Contains(t, w.receive("4"), "|123=Y|")
	assert.Equal(t, 1, h.count(domain.OrderAccepted))
	assert.Equal(t, 2, h.count(domain.OrderPartiallyFilled))
	assert.Zero(t, h.count(domain.InputQuarantined))
}

// A message that never comes whole is asked for three times, then the session goes
// on without it: what came is in quarantine, and the gap stays open.
func TestSession_GivesUpOnWhatNeverComes(t *testing.T) {
	h := newHouse(t)
	w := dialWire(t, h.acceptor())
	w.send(logon)
	w.receive("A")
	broken := fixtest.Message(2, fill)
	broken[len(broken)-2] ^= 1
	for range 4 {
		w.raw(broken)
		w.n = 2
		w.send("35=8|11=C|17=3|150=F|39=1|32=1|31=1|43=Y|122=20260302-14:30:00.000")
	}
	h.waitFor(1, domain.OrderPartiallyFilled)
	assert.Equal(t, 1, h.count(domain.SessionGapDetected))
	assert.Zero(t, h.count(domain.SessionGapFilled))
	assert.Equal(t, 1, h.count(domain.InputQuarantined))
	w.send("35=1|112=x")
	w.receive("0")
}

func TestSession_NumbersThatAreTooLow(t *testing.T) {
	h := newHouse(t)
	s := h.acceptor()
	w := dialWire(t, s)
	w.send(logon)
	w.receive("A")
	w.send(fill)
	h.waitFor(1, domain.OrderPartiallyFilled)
	w.n = 1
	w.send("35=8|11=C-9|17=9|150=0|39=0")
	assert.Contains(t, w.receive("5"), "too low")
	w.closed()
	h.waitFor(1, domain.OrderAccepted) // a fact all the same

	w = dialWire(t, s)
	w.send(logon)
	assert.Contains(t, w.receive("5"), "too low")
	w.closed()

	w = dialWire(t, s)
	w.send(logon + "|141=Y")
	assert.Contains(t, w.receive("A"), "|141=Y|")
	w.send("35=8|11=C-10|17=10|150=0|39=0")
	h.waitFor(2, domain.OrderAccepted)
	assert.Equal(t, 1, h.count(domain.SessionSequenceReset), "an audit matter")
}

func TestSession_WhoMayLogOn(t *testing.T) {
	for name, tt := range map[string]struct {
		logon string
		in    bool
	}{
		"right":               {logon + "|553=drop|554=secret", true},
		"wrong password":      {logon + "|553=drop|554=Secret", false},
		"wrong user":          {logon + "|553=drap|554=secret", false},
		"nobody":              {logon, false},
		"another party":       {"35=A|49=OTHER|98=0|108=30|553=drop|554=secret", false},
		"not a logon":         {"35=8|11=C", false},
		"nothing of the kind": {"GET / HTTP/1.1", false},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			s, _ := h.start(fix.Config{
				Name: "drop-copy", Role: fix.Acceptor, Host: "127.0.0.1", BeginString: "FIX.4.4", SenderCompID: "FIRM", TargetCompID: "BROKER",
				Username: "drop", Password: "secret",
			})
			w := dialWire(t, s)
			w.send(tt.logon)
			if !tt.in {
				w.raw([]byte("8=FIX.4.4\x01"))
				w.closed()
				assert.Empty(t, h.events(), "who is not let in leaves nothing in the log")
				return
			}
			w.receive("A")
			h.waitFor(2, domain.SessionLogon)
			for _, e := range h.events() {
				assert.NotContains(t, string(e.Raw), "secret")
			}
		})
	}
}

// While the store is away the session stays up and reads no further; then
// everything is there, once.
func TestSession_TheStoreIsAway(t *testing.T) {
	h := newHouse(t)
	port := freePort(t)
	c := newCounterparty(t, false, port, "FIX.4.4", nil)
	h.start(config(c, fix.Initiator, port))
	h.waitFor(2, domain.SessionLogon)
	back := make(chan struct{})
	h.mu.Lock()
	from := h.call
	h.fail = func(call int) error {
		if call > from+5 {
			return nil
		}
		return errLost
	}
	h.mu.Unlock()
	close(back)
	c.order("A", 50)
	h.waitFor(1, domain.OrderFilled)
	requireFilled(t, h, "A", 50)
	assert.Equal(t, int32(1), c.logons.Load(), "one connection all the time")
}

func TestConfig_SaysWhatIsWrong(t *testing.T) {
	good := fix.Config{Name: "a", Role: fix.Acceptor, Host: "127.0.0.1", BeginString: "FIX.4.4", SenderCompID: "A", TargetCompID: "B"}
	require.NoError(t, good.Validate())
	for field, change := range map[string]func(*fix.Config){
		"name":           func(c *fix.Config) { c.Name = "../x" },
		"role":           func(c *fix.Config) { c.Role = "both" },
		"host":           func(c *fix.Config) { c.Host = "0.0.0.0" },
		"port":           func(c *fix.Config) { c.Port = 70000 },
		"begin_string":   func(c *fix.Config) { c.BeginString = "FIX.3" },
		"sender_comp_id": func(c *fix.Config) { c.SenderCompID = "" },
		"target_comp_id": func(c *fix.Config) { c.TargetCompID = "a|b" },
		"heartbeat":      func(c *fix.Config) { c.Heartbeat = -1 },
		"password_file":  func(c *fix.Config) { c.PasswordFile, c.Password = "x", "y" },
		"tls.cert_file":  func(c *fix.Config) { c.TLS = &fix.TLS{} },
	} {
		bad := good
		change(&bad)
		err := bad.Validate()
		require.ErrorContains(t, err, field+": ")
		_, err = fix.New(bad, fix.Deps{Log: slog.New(slog.DiscardHandler), Dir: t.TempDir()})
		require.ErrorContains(t, err, field+": ")
	}
}

func TestNumbers_SurviveTornWrites(t *testing.T) {
	dir := t.TempDir()
	fix.SetNumbers(t, dir, 5, 6)
	fix.SetNumbers(t, dir, 7, 8)
	path := filepath.Join(dir, "n.seq")
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	for cut := range whole {
		torn := append([]byte(nil), whole...)
		torn[cut] ^= 0x40
		require.NoError(t, os.WriteFile(path, torn, 0o600))
		in, out := fix.Numbers(t, dir)
		assert.Contains(t, [][2]int{{5, 6}, {7, 8}}, [2]int{in, out})
	}
	require.NoError(t, os.WriteFile(path, make([]byte, len(whole)), 0o600))
	_, err = fix.New(fix.Config{Name: "n", Role: fix.Initiator, Host: "h", Port: 1, BeginString: "FIX.4.4", SenderCompID: "A", TargetCompID: "B"},
		fix.Deps{Log: slog.New(slog.DiscardHandler), Dir: dir})
	assert.Equal(t, domain.ClassIntegrity, domain.ClassOf(err))
}
