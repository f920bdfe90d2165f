package viewstest

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Network makes connections that fail when a test says so; Redis.DialVia takes
// its Dial. It works until it is told otherwise, and starts no goroutines.
type Network struct {
	mu      sync.Mutex
	changed *sync.Cond // anything that a call may be waiting for
	state   state
	every   int
	seed    uint64
	dialed  uint64
	cuts    int
	open    map[*link]struct{}
}

type state int

const (
	up   state = iota
	down       // refuses at once
	dark       // swallows what is sent and answers nothing
)

// NewNetwork is a network without faults.
func NewNetwork() *Network {
	n := &Network{open: make(map[*link]struct{})}
	n.changed = sync.NewCond(&n.mu)
	return n
}

// Down cuts all connections and refuses new ones, as a server that has ended.
func (n *Network) Down() { n.become(down) }

// Blackhole pulls the cable: what is written vanishes, reads and dials hang until
// their deadline, and nobody is told of anything.
func (n *Network) Blackhole() { n.become(dark) }

// Up repairs the network, and ends CutEvery. After Blackhole what was on its way
// to the client arrives; a connection on which something was written has a hole
// and is cut.
func (n *Network) Up() { n.become(up) }

func (n *Network) become(s state) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.state = s
	for c := range n.open {
		if s == down || s == up && c.hole {
			c.end(syscall.ECONNRESET)
		}
	}
	if s == up {
		n.cutEvery(0, 0)
	}
	n.changed.Broadcast()
}

// CutEvery cuts each connection when it has carried a random number of bytes in
// one direction, open ones counting from now: bytes on average, at any place of
// any message, the last byte included. What was carried before arrives, the rest
// does not. The seed decides it for the first connection that is dialled, for the
// second, and so on. With 0 bytes, no connection is cut.
func (n *Network) CutEvery(bytes int, seed uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cutEvery(bytes, seed)
}

func (n *Network) cutEvery(bytes int, seed uint64) {
	n.every, n.seed = bytes, seed
	for c := range n.open {
		c.draw()
	}
}

// Cuts is how many connections CutEvery has cut so far.
func (n *Network) Cuts() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cuts
}

// Open is how many connections are neither closed nor cut.
func (n *Network) Open() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.open)
}

// Dial connects as net.Dialer does.
func (n *Network) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	defer context.AfterFunc(ctx, n.wake)()
	n.mu.Lock()
	err := n.reach(ctx)
	n.mu.Unlock()
	var conn net.Conn
	if err == nil {
		if conn, err = new(net.Dialer).DialContext(ctx, network, address); err != nil {
			return nil, err
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		err = n.reach(ctx) // the answer must come back, too
	}
	if err != nil {
		if conn != nil {
			_ = conn.Close()
		}
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	c := &link{conn: conn, network: n, number: n.dialed}
	n.dialed++
	n.open[c] = struct{}{}
	c.draw()
	return c, nil
}

// reach waits until the network answers, in one way or another.
func (n *Network) reach(ctx context.Context) error {
	for {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case n.state == down:
			return syscall.ECONNREFUSED
		case n.state == up:
			return nil
		}
		n.changed.Wait()
	}
}

func (n *Network) wake() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.changed.Broadcast()
}

// link is one connection. The network's lock guards what changes, and is not held
// while the real connection reads or writes.
type link struct {
	conn    net.Conn
	network *Network
	number  uint64

	reading, writing sync.Mutex // one at a time; taken before the network's lock

	over      error // why it can't be used any more
	hole      bool  // something written was swallowed
	left      [2]int
	readUntil time.Time
	held      []byte // arrived, but must not be seen yet; reading guards it
	heldErr   error
}

// Directions, as indices.
const (
	in = iota
	out
)

// draw decides after how many more bytes the link is cut. The distribution has no
// memory, so that the first exchange of a connection does not need all of it.
func (c *link) draw() {
	random := rand.New(rand.NewPCG(c.network.seed, c.number)) //nolint:gosec // must be repeatable
	for i := range c.left {
		c.left[i] = 0 // never
		if c.network.every > 0 {
			c.left[i] = 1 + int(random.ExpFloat64()*float64(c.network.every))
		}
	}
}

// carry tells how many of the bytes get through; cut means that none does
// afterwards.
func (c *link) carry(direction, bytes int) (through int, cut bool) {
	left := &c.left[direction]
	if *left == 0 || bytes < *left {
		if *left > 0 {
			*left -= bytes
		}
		return bytes, false
	}
	return *left, true
}

// end makes the link unusable. It needs the network's lock.
func (c *link) end(why error) {
	if c.over != nil {
		return
	}
	c.over = why
	delete(c.network.open, c)
	_ = c.conn.Close() // a failure changes nothing: nobody uses it any more
	c.network.changed.Broadcast()
}

func (c *link) cut() {
	if c.over == nil {
		c.network.cuts++
		c.end(syscall.ECONNRESET)
	}
}

func (c *link) Read(p []byte) (int, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	if c.held == nil && c.heldErr == nil {
		n, err := c.conn.Read(p)
		if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, c.failed("read", err)
		}
		c.held, c.heldErr = slices.Clone(p[:n]), err
	}
	c.network.mu.Lock()
	defer c.network.mu.Unlock()
	for c.over == nil && c.network.state == dark {
		until := c.readUntil
		if until.IsZero() {
			c.network.changed.Wait()
			continue
		}
		if !time.Now().Before(until) {
			return 0, c.opError("read", os.ErrDeadlineExceeded)
		}
		timer := time.AfterFunc(time.Until(until), c.network.wake)
		c.network.changed.Wait()
		timer.Stop()
	}
	if c.over != nil {
		return 0, c.opError("read", c.over)
	}
	n, cut := c.carry(in, copy(p, c.held))
	if cut {
		c.cut()
		return n, nil
	}
	if c.held = c.held[n:]; len(c.held) > 0 {
		return n, nil
	}
	err := c.heldErr
	c.held, c.heldErr = nil, nil
	return n, err
}

func (c *link) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.network.mu.Lock()
	if c.over != nil {
		defer c.network.mu.Unlock()
		return 0, c.opError("write", c.over)
	}
	if c.network.state == dark {
		defer c.network.mu.Unlock()
		c.hole = true
		return len(p), nil
	}
	through, cut := c.carry(out, len(p))
	c.network.mu.Unlock()
	n, err := c.conn.Write(p[:through])
	if cut {
		c.network.mu.Lock()
		c.cut()
		c.network.mu.Unlock()
	}
	if err == nil && n < len(p) {
		err = net.ErrClosed
	}
	if err != nil {
		return n, c.failed("write", err)
	}
	return n, nil
}

// failed is what a failure of the real connection looks like from outside, where
// it is not known that we closed it.
func (c *link) failed(doing string, err error) error {
	c.network.mu.Lock()
	defer c.network.mu.Unlock()
	if c.over == nil {
		return err
	}
	return c.opError(doing, c.over)
}

func (c *link) opError(doing string, err error) error {
	return &net.OpError{Op: doing, Net: c.conn.LocalAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

// Close ends the connection on both sides, in a Blackhole too: the server must
// not be left with a connection that nobody has.
func (c *link) Close() error {
	c.network.mu.Lock()
	defer c.network.mu.Unlock()
	c.end(net.ErrClosed)
	return nil
}

func (c *link) LocalAddr() net.Addr  { return c.conn.LocalAddr() }
func (c *link) RemoteAddr() net.Addr { return c.conn.RemoteAddr() }

func (c *link) SetDeadline(until time.Time) error {
	return errors.Join(c.SetReadDeadline(until), c.SetWriteDeadline(until))
}

func (c *link) SetReadDeadline(until time.Time) error {
	return c.set(func() error {
		c.readUntil = until
		c.network.changed.Broadcast()
		return c.conn.SetReadDeadline(until)
	})
}

// SetWriteDeadline matters to the real connection only: in the dark, writes are
// fast.
func (c *link) SetWriteDeadline(until time.Time) error {
	return c.set(func() error { return c.conn.SetWriteDeadline(until) })
}

// set changes a link that is open. One that was cut does not tell before it is
// used.
func (c *link) set(change func() error) error {
	c.network.mu.Lock()
	defer c.network.mu.Unlock()
	switch {
	case c.over == nil:
		return change()
	case errors.Is(c.over, net.ErrClosed):
		return c.opError("set", c.over)
	default:
		return nil
	}
}
