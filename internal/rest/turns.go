package rest

import (
	"context"
	"errors"

	"github.com/tradetrail/tradetrail/domain"
)

// The codes of questions that were not answered, or not to their end.
const (
	codeTimeout    = "timeout"
	codeOverloaded = "overloaded"
)

var (
	errTimeout    = &domain.Error{Class: domain.ClassTransient, Code: codeTimeout, Message: "the question took too long and was given up; ask for less at once"}
	errOverloaded = &domain.Error{Class: domain.ClassTransient, Code: codeOverloaded, Message: "too many questions at a time; try again"}
)

// inTime bounds how long ask takes.
func (a *Audit) inTime(ctx context.Context, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, a.limits.Answer, errTimeout)
	defer cancel()
	err := ask(ctx)
	if err != nil && !errors.Is(err, errOverloaded) && errors.Is(context.Cause(ctx), errTimeout) {
		return errTimeout
	}
	return err
}

// inTurn bounds how many questions are being answered at a time, how many wait for
// their turn, and how long each takes, the waiting included. Nothing is sent in a
// turn: a client that reads slowly must not keep others from theirs.
func (a *Audit) inTurn(ctx context.Context, ask func(context.Context) error) error {
	leave, err := a.questions.take(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return a.inTime(ctx, func(ctx context.Context) error {
		select {
		case a.turns <- struct{}{}:
			defer func() { <-a.turns }()
			return ask(ctx)
		case <-ctx.Done():
			return errOverloaded
		}
	})
}
