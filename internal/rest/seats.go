package rest

import (
	"context"
	"strconv"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/authz"
)

// seats bound how much of something there is at a time, in all and for one principal.
type seats struct {
	what       string
	most, each int

	quota *authz.Quota
}

func newSeats(what string, most, each int) *seats {
	return &seats{what: what, most: most, each: each, quota: authz.NewQuota(most, each)}
}

// take returns what gives the seat back.
func (s *seats) take(ctx context.Context) (leave func(), err error) {
	leave, full := s.quota.Take(ctx)
	switch {
	case full.Yours:
		return nil, s.crowded("you have " + strconv.Itoa(s.each) + " " + s.what + " open already, which is the most for one")
	case full.All:
		return nil, s.crowded("the server has " + strconv.Itoa(s.most) + " " + s.what + " open already, which is its most")
	}
	return leave, nil
}

// crowdedPrefix begins the codes of what there is too much of.
const crowdedPrefix = "too_many_"

func (s *seats) crowded(message string) error {
	return &domain.Error{Class: domain.ClassRejected, Code: crowdedPrefix + s.what, Message: message}
}
