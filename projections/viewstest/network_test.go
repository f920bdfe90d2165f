package viewstest_test

import (
	"context"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/projections/viewstest"
)

// peers is a server that hands over what connects to it.
type peers struct {
	listener net.Listener
	accepted chan net.Conn
}

func listen(t *testing.T) *peers {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &peers{listener: listener, accepted: make(chan net.Conn)}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			select {
			case p.accepted <- conn:
			case <-t.Context().Done():
				conn.Close()
			}
		}
	})
	t.Cleanup(func() {
		require.NoError(t, listener.Close())
		wg.Wait()
	})
	return p
}

func (p *peers) dial(t *testing.T, n *viewstest.Network) (client, server net.Conn) {
	t.Helper()
	client, err := n.Dial(t.Context(), "tcp", p.listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { client.Close() })
	select {
	case server = <-p.accepted:
	case <-t.Context().Done():
		require.FailNow(t, "nobody connected")
	}
	t.Cleanup(func() { server.Close() })
	return client, server
}

func say(t *testing.T, to net.Conn, what string) {
	t.Helper()
	n, err := io.WriteString(to, what)
	require.NoError(t, err)
	require.Equal(t, len(what), n)
}

func hear(t *testing.T, from net.Conn, what string) {
	t.Helper()
	heard := make([]byte, len(what))
	_, err := io.ReadFull(from, heard)
	require.NoError(t, err)
	require.Equal(t, what, string(heard))
}

// silent asserts that a read ends with its deadline.
func silent(t *testing.T, conn net.Conn) {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(5*time.Millisecond)))
	_, err := conn.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	var timeout net.Error
	require.ErrorAs(t, err, &timeout)
	require.True(t, timeout.Timeout())
	require.NoError(t, conn.SetReadDeadline(time.Time{}))
}

// later reads in the background.
func later(conn net.Conn) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := conn.Read(make([]byte, 1))
		done <- err
	}()
	return done
}

func TestNetwork_Up(t *testing.T) {
	t.Parallel()
	network, peers := viewstest.NewNetwork(), listen(t)
	client, server := peers.dial(t, network)
	say(t, client, "question")
	hear(t, server, "question")
	say(t, server, "answer")
	hear(t, client, "ans")
	hear(t, client, "wer")
	silent(t, client)
	assert.Equal(t, 1, network.Open())
	require.NoError(t, server.Close())
	_, err := client.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	require.NoError(t, client.Close())
	assert.Zero(t, network.Open())
	_, err = client.Read(make([]byte, 1))
	require.ErrorIs(t, err, net.ErrClosed)
	_, err = client.Write([]byte("?"))
	require.ErrorIs(t, err, net.ErrClosed)
	require.ErrorIs(t, client.SetDeadline(time.Now()), net.ErrClosed)
	_, err = network.Dial(t.Context(), "tcp", "127.0.0.1:0") // an error of the real network
	require.Error(t, err)
	assert.Zero(t, network.Cuts())
}

func TestNetwork_Down(t *testing.T) {
	t.Parallel()
	network, peers := viewstest.NewNetwork(), listen(t)
	client, server := peers.dial(t, network)
	waiting := later(client)
	network.Down()
	require.ErrorIs(t, <-waiting, syscall.ECONNRESET)
	_, err := client.Write([]byte("?"))
	require.ErrorIs(t, err, syscall.ECONNRESET)
	_, err = server.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	_, err = network.Dial(t.Context(), "tcp", peers.listener.Addr().String())
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	assert.Zero(t, network.Open())
	network.Up()
	_, err = client.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET, "what was cut stays so")
	client, server = peers.dial(t, network)
	say(t, client, "again")
	hear(t, server, "again")
	assert.Zero(t, network.Cuts(), "only those of CutEvery are counted")
}

func TestNetwork_Blackhole(t *testing.T) {
	t.Parallel()
	network, peers := viewstest.NewNetwork(), listen(t)
	asking, asked := peers.dial(t, network)
	listening, telling := peers.dial(t, network)
	closing, closed := peers.dial(t, network)
	idle, forgotten := peers.dial(t, network)
	say(t, asking, "before")
	network.Blackhole()

	say(t, asking, "lost")
	say(t, telling, "news")
	say(t, forgotten, "bye")
	require.NoError(t, forgotten.Close())
	hear(t, asked, "before")
	silent(t, asked)
	silent(t, asking)
	silent(t, listening) // although it has arrived
	silent(t, listening)
	silent(t, idle) // although the other side has gone

	waiting := later(closing)
	require.NoError(t, closing.Close())
	require.ErrorIs(t, <-waiting, net.ErrClosed)
	_, err := closed.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)

	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	_, err = network.Dial(ctx, "tcp", peers.listener.Addr().String())
	require.ErrorIs(t, err, context.DeadlineExceeded)

	network.Up()
	_, err = asking.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)
	_, err = asked.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF, "what was lost does not come later")
	hear(t, listening, "news")
	say(t, listening, "thanks")
	hear(t, telling, "thanks")
	hear(t, idle, "bye")
	_, err = idle.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
}

// What hangs in a Blackhole goes on, or fails, when the network changes.
func TestNetwork_BlackholeEnds(t *testing.T) {
	t.Parallel()
	network, peers := viewstest.NewNetwork(), listen(t)
	client, server := peers.dial(t, network)
	network.Blackhole()
	dialed := make(chan error, 1)
	dial := func() {
		conn, err := network.Dial(t.Context(), "tcp", peers.listener.Addr().String())
		if err == nil {
			err = conn.Close()
		}
		dialed <- err
	}
	go dial()
	waiting := later(client)
	say(t, server, "x")
	network.Up()
	require.NoError(t, <-waiting)
	(<-peers.accepted).Close()
	require.NoError(t, <-dialed)

	network.Blackhole()
	go dial()
	waiting = later(client)
	say(t, server, "x")
	network.Down()
	require.ErrorIs(t, <-waiting, syscall.ECONNRESET)
	require.ErrorIs(t, <-dialed, syscall.ECONNREFUSED)
}

// A new deadline concerns a read that is hanging already.
func TestNetwork_BlackholeNewDeadline(t *testing.T) {
	t.Parallel()
	network, peers := viewstest.NewNetwork(), listen(t)
	client, server := peers.dial(t, network)
	network.Blackhole()
	say(t, server, "x")
	require.NoError(t, client.SetDeadline(time.Now().Add(time.Hour)))
	waiting := later(client)
	require.NoError(t, client.SetDeadline(time.Now()))
	require.ErrorIs(t, <-waiting, os.ErrDeadlineExceeded)
	require.NoError(t, client.SetDeadline(time.Time{}))
	network.Up()
	hear(t, client, "x")
}

func TestNetwork_CutEvery(t *testing.T) {
	t.Parallel()
	const mean, connections = 100, 50
	peers := listen(t)
	// until tells how many bytes connections carried before they were cut.
	until := func(seed uint64, upload bool) (carried []int) {
		network := viewstest.NewNetwork()
		network.CutEvery(mean, seed)
		for i := range connections {
			client, server := peers.dial(t, network)
			from, to := server, client
			if upload {
				from, to = client, server
			}
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				for {
					if _, err := io.WriteString(from, "seven.."); err != nil {
						return
					}
				}
			}()
			received, err := io.ReadAll(to)
			if upload {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, syscall.ECONNRESET)
			}
			<-sent
			carried = append(carried, len(received))
			assert.Equal(t, i+1, network.Cuts())
			assert.Zero(t, network.Open())
		}
		return carried
	}
	for _, upload := range []bool{true, false} {
		carried := until(1, upload)
		assert.Equal(t, carried, until(1, upload))
		assert.NotEqual(t, carried, until(2, upload))
		total, within := 0, map[int]bool{}
		for _, n := range carried {
			assert.Positive(t, n)
			total += n
			within[n%len("seven..")] = true
		}
		assert.InDelta(t, mean, float64(total)/connections, mean/2)
		assert.Len(t, within, len("seven.."), "cut at every place of a message, its end included")
	}
}

func TestNetwork_CutEveryChanges(t *testing.T) {
	t.Parallel()
	network, peers := viewstest.NewNetwork(), listen(t)
	client, server := peers.dial(t, network)
	long := string(make([]byte, 1<<14))
	say(t, client, long)
	hear(t, server, long)
	network.CutEvery(1, 1) // those that are open, too
	network.CutEvery(0, 0)
	say(t, client, long)
	hear(t, server, long)
	network.CutEvery(1, 1)
	network.Up()
	say(t, client, long)
	hear(t, server, long)
	network.CutEvery(1, 1)
	_, err := client.Write([]byte(long))
	require.ErrorIs(t, err, syscall.ECONNRESET)
	assert.Equal(t, 1, network.Cuts())
}

// All at once; the race detector looks on.
func TestNetwork_Concurrent(t *testing.T) {
	t.Parallel()
	network := viewstest.NewNetwork()
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer echo.Close()
	wg.Go(func() {
		for {
			conn, err := echo.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				_, _ = io.Copy(conn, conn)
				conn.Close()
			})
		}
	})
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for range 50 {
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
				conn, err := network.Dial(ctx, "tcp", echo.Addr().String())
				cancel()
				if err != nil {
					continue
				}
				written := make(chan struct{})
				go func() {
					defer close(written)
					for range 10 {
						_, _ = io.WriteString(conn, "hello")
					}
				}()
				require.NoError(t, conn.SetDeadline(time.Now().Add(2*time.Millisecond)))
				_, _ = io.ReadAll(conn)
				conn.Close()
				<-written
			}
		})
	}
	ended := make(chan struct{})
	go func() {
		clients.Wait()
		close(ended)
	}()
	for i := uint64(0); ; i++ {
		select {
		case <-ended:
			network.Up()
			assert.Zero(t, network.Open())
			return
		default:
		}
		[]func(){network.Down, network.Up, network.Blackhole, network.Up, func() { network.CutEvery(20, i) }}[i%5]()
	}
}
