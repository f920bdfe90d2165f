package embedded

import (
	"context"
	"io"
	"sync"
)

// pipeBytes is how much may wait in a pipe, besides one message of any size, and
// once more in the hands of the taker: what its window is to a stream of HTTP/2.
const pipeBytes = 1 << 20

// pipe carries encoded messages from one goroutine to one other, in order. The
// taker empties it in one go, so that two goroutines which are both busy hardly
// ever wait for each other.
type pipe struct {
	news chan struct{} // for the taker: messages, or the end
	room chan struct{} // for the putter: space, or the end

	mu      sync.Mutex
	waiting [][]byte
	bytes   int
	ended   error // what take gives after the last message

	// The rest belongs to the taker.
	taken [][]byte
	next  int
}

func newPipe() *pipe {
	return &pipe{news: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

// put waits for space; io.EOF says that the pipe has ended. The message must not
// be changed afterwards.
func (p *pipe) put(ctx context.Context, message []byte) error {
	for {
		p.mu.Lock()
		switch {
		case p.ended != nil:
			p.mu.Unlock()
			return io.EOF
		case p.bytes < pipeBytes:
			p.waiting = append(p.waiting, message)
			p.bytes += len(message)
			p.mu.Unlock()
			notify(p.news)
			return nil
		}
		p.mu.Unlock()
		select {
		case <-p.room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// take waits for a message, or gives the reason of the end once it has given
// all that was put before. Once ctx has ended it gives nothing any more.
func (p *pipe) take(ctx context.Context) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for p.next == len(p.taken) {
		p.mu.Lock()
		p.taken, p.waiting = p.waiting, p.taken[:0]
		p.next, p.bytes = 0, 0
		ended := p.ended
		p.mu.Unlock()
		notify(p.room)
		if len(p.taken) > 0 {
			break
		}
		if ended != nil {
			return nil, ended
		}
		select {
		case <-p.news:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	message := p.taken[p.next]
	p.taken[p.next] = nil
	p.next++
	return message, nil
}

// end closes the pipe. Only the first reason counts.
func (p *pipe) end(reason error) {
	p.mu.Lock()
	if p.ended == nil {
		p.ended = reason
	}
	p.mu.Unlock()
	notify(p.news)
	notify(p.room)
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
