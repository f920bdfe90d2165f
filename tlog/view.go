package tlog

import (
	"context"

	"github.com/tradetrail/tradetrail/domain"
)

// CodeElsewhere is the code of what only a process that has the log can answer.
const CodeElsewhere = "log_elsewhere"

// View is the log as those see it who answer questions. Its methods may be called
// concurrently.
type View struct {
	*Board

	reader *Reader // nil in a process without the folder
}

// NewView shows a board and, unless reader is nil, the log behind it.
func NewView(board *Board, reader *Reader) View { return View{board, reader} }

// Index is the number of the leaf of the event at a position. ok is false while it
// is not sealed, and in a process without the folder.
func (v View) Index(ctx context.Context, p domain.Position) (index uint64, ok bool, err error) {
	if v.reader == nil {
		return 0, false, nil
	}
	state, _ := v.State()
	return v.reader.Index(ctx, p, state.Sealed)
}

// Prove proves the event at a position under the newest checkpoint that witnesses
// have signed if it is there, else under the newest. ok is false while it is not
// sealed.
func (v View) Prove(ctx context.Context, p domain.Position) (proof Proof, ok bool, err error) {
	if v.reader == nil {
		return proof, false, &domain.Error{Class: domain.ClassNotFound, Code: CodeElsewhere, Message: "this process has no transparency log: ask the one that writes it"}
	}
	state, _ := v.State()
	under := state.Sealed
	if state.Of(p) == Witnessed {
		under = state.Witnessed
	}
	proof, ok, err = v.reader.Prove(ctx, p, under)
	proof.Seal = state.Of(p)
	return proof, ok, err
}

// Checkpoint is the newest that is signed.
func (v View) Checkpoint() (Checkpoint, error) {
	state, _ := v.State()
	if state.Sealed.Note == "" {
		return Checkpoint{}, &domain.Error{Class: domain.ClassNotFound, Code: CodeGone, Message: "there is no transparency log, or nothing of it is known yet"}
	}
	return state.Sealed, nil
}
