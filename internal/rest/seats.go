package rest

import (
	"context"
	"strconv"
	"sync"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/authz"
)

// seats bound how much of something there is at a time, in all and for one principal.
type seats struct {
	what       string
	most, each int

	mu    sync.Mutex
	taken int
	by    map[string]int
}

func newSeats(what string, most, each int) *seats {
	return &seats{what: what, most: most, each: each, by: make(map[string]int)}
}

// take returns what gives the seat back.
func (s *seats) take(ctx context.Context) (leave func(), err error) {
	p, _ := authz.From(ctx) // without one the views refuse
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.by[p.Name] >= s.each:
		return nil, s.crowded("you have " + strconv.Itoa(s.each) + " " + s.what + " open already, which is the most for one")
	case s.taken >= s.most:
		return nil, s.crowded("the server has " + strconv.Itoa(s.most) + " " + s.what + " open already, which is its most")
	}
	s.taken++
	s.by[p.Name]++
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.taken--
		if s.by[p.Name]--; s.by[p.Name] == 0 {
			delete(s.by, p.Name)
		}
	}), nil
}

// crowdedPrefix begins the codes of what there is too much of.
const crowdedPrefix = "too_many_"

func (s *seats) crowded(message string) error {
	return &domain.Error{Class: domain.ClassRejected, Code: crowdedPrefix + s.what, Message: message}
}
