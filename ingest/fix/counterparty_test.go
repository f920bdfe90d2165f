package fix_test

import (
	"context"
	"fmt"
	"maps"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quickfixgo/quickfix"
	"github.com/stretchr/testify/require"
)

// counterparty is a FIX engine that is not ours: quickfixgo, as acceptor or
// initiator, with the numbers that it keeps for as long as the test lasts.
type counterparty struct {
	t       testing.TB
	id      quickfix.SessionID
	sent    int
	logons  atomic.Int32
	logouts atomic.Int32
	stop    func()
}

type engine interface {
	Start() error
	Stop()
}

// registry: quickfixgo knows sessions by their CompIDs in the whole process.
var sessionNumber atomic.Int32

func newCounterparty(t testing.TB, initiator bool, port int, beginString string, more map[string]string) *counterparty {
	t.Helper()
	c := &counterparty{t: t}
	c.id = quickfix.SessionID{BeginString: beginString, SenderCompID: fmt.Sprint("BROKER", sessionNumber.Add(1)), TargetCompID: "FIRM"}
	global := map[string]string{"HeartBtInt": "1", "ReconnectInterval": "100ms", "SocketConnectHost": "127.0.0.1", "SocketAcceptHost": "127.0.0.1"}
	if initiator {
		global["SocketConnectPort"] = fmt.Sprint(port)
	} else {
		global["SocketAcceptPort"] = fmt.Sprint(port)
	}
	if beginString == "FIXT.1.1" {
		global["DefaultApplVerID"] = "9"
	}
	maps.Copy(global, more)
	settings := quickfix.NewSettings()
	one := quickfix.NewSessionSettings()
	for k, v := range global {
		settings.GlobalSettings().Set(k, v)
	}
	one.Set("BeginString", beginString)
	one.Set("SenderCompID", c.id.SenderCompID)
	one.Set("TargetCompID", c.id.TargetCompID)
	_, err := settings.AddSession(one)
	require.NoError(t, err)
	var e engine
	if initiator {
		e, err = quickfix.NewInitiator(c, newLockedStores(), settings, quickfix.NewNullLogFactory())
	} else {
		e, err = quickfix.NewAcceptor(c, newLockedStores(), settings, quickfix.NewNullLogFactory())
	}
	require.NoError(t, err)
	require.NoError(t, e.Start())
	var once sync.Once
	c.stop = func() { once.Do(e.Stop) }
	t.Cleanup(c.stop)
	return c
}

func (c *counterparty) OnCreate(quickfix.SessionID)                       {}
func (c *counterparty) OnLogon(quickfix.SessionID)                        { c.logons.Add(1) }
func (c *counterparty) OnLogout(quickfix.SessionID)                       { c.logouts.Add(1) }
func (c *counterparty) ToAdmin(*quickfix.Message, quickfix.SessionID)     {}
func (c *counterparty) ToApp(*quickfix.Message, quickfix.SessionID) error { return nil }

func (c *counterparty) FromAdmin(*quickfix.Message, quickfix.SessionID) quickfix.MessageRejectError {
	return nil
}

func (c *counterparty) FromApp(*quickfix.Message, quickfix.SessionID) quickfix.MessageRejectError {
	return nil
}

// report sends an execution report; what is not logged on is sent when it is.
func (c *counterparty) report(fields map[int]string) {
	c.t.Helper()
	c.sent++
	m := quickfix.NewMessage()
	m.Header.SetString(35, "8")
	fields[60] = time.Date(2026, 3, 2, 14, 30, 0, c.sent*1000, time.UTC).Format("20060102-15:04:05.000000")
	for tag, value := range fields {
		m.Body.SetString(quickfix.Tag(tag), value)
	}
	require.NoError(c.t, quickfix.SendToTarget(m, c.id))
}

// order sends the life of an order: accepted, replaced, then n fills.
func (c *counterparty) order(id string, fills int) {
	c.t.Helper()
	base := func(exec, kind, status string) map[int]string {
		return map[int]string{37: "V-" + id, 11: id, 17: id + exec, 150: kind, 39: status, 55: "MSFT", 54: "1", 1: "ACC-1"}
	}
	accepted := base("new", "0", "0")
	accepted[38] = fmt.Sprint(fills)
	c.report(accepted)
	replaced := base("rep", "5", "0")
	replaced[11], replaced[41], replaced[38] = id+"b", id, fmt.Sprint(fills)
	c.report(replaced)
	for i := range fills {
		fill := base(fmt.Sprint("f", i), "F", "1")
		fill[11], fill[32], fill[31] = id+"b", "1", fmt.Sprint(10+i)
		if i == fills-1 {
			fill[39] = "2"
		}
		c.report(fill)
	}
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(context.WithoutCancel(t.Context()), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return portOf(t, l.Addr())
}

func portOf(t testing.TB, at net.Addr) int {
	t.Helper()
	tcp, ok := at.(*net.TCPAddr)
	require.True(t, ok)
	return tcp.Port
}
