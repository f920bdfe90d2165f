package tlog

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// Checkpoint is a signed statement of how long the log is and what it holds.
type Checkpoint struct {
	Origin string
	Size   uint64
	Root   verify.Digest
	Time   time.Time       // when it was signed
	Last   domain.Position // of the event of the last leaf; zero while there is none
	Note   string          // the signed note, with the signatures of witnesses if it has any
}

// text is what is signed, as https://c2sp.org/tlog-checkpoint has it.
func (c Checkpoint) text() string {
	return c.Origin + "\n" + strconv.FormatUint(c.Size, 10) + "\n" + c.Root.String() + "\n"
}

// parseText reads what is signed.
func parseText(text string) (Checkpoint, error) {
	c, err := verify.ParseCheckpoint(text)
	return Checkpoint{Origin: c.Origin, Size: c.Size, Root: c.Root}, err
}

// parseNote reads a checkpoint without looking at its signatures.
func parseNote(signed string) (Checkpoint, error) {
	text, _, ok := strings.Cut(signed, "\n\n")
	if !ok {
		return Checkpoint{}, domain.Rejectf(domain.CodeInvalid, "", "%.60q is not a signed note", signed)
	}
	c, err := parseText(text + "\n")
	c.Note = signed
	return c, err
}

// State is how far the log is: what it has signed, and what witnesses have signed
// as well. The zero State is of no log.
type State struct {
	Sealed, Witnessed Checkpoint
}

// Seal says how an event is protected that stands at a position.
type Seal string

// The seals, from less to more.
const (
	Recorded  Seal = "RECORDED"  // it is in the event store
	Sealed    Seal = "SEALED"    // a signed checkpoint includes it
	Witnessed Seal = "WITNESSED" // and as many witnesses as the policy asks for have signed one that does
)

// Of is the seal of the event at a position.
func (s State) Of(p domain.Position) Seal {
	switch {
	case s.Witnessed.includes(p):
		return Witnessed
	case s.Sealed.includes(p):
		return Sealed
	default:
		return Recorded
	}
}

func (c Checkpoint) includes(p domain.Position) bool { return c.Size > 0 && p.Compare(c.Last) <= 0 }

// encode is the state as processes tell it each other.
func (s State) encode() ([]byte, error) { return json.Marshal(s) }

func decodeState(text []byte) (s State, err error) {
	err = json.Unmarshal(text, &s)
	return s, err
}

// Witnesses are the names of the keys that have signed the note besides the log's.
// Signatures are not looked at.
func (c Checkpoint) Witnesses() []string {
	names := []string{}
	_, signatures, _ := strings.Cut(c.Note, "\n\n")
	for line := range strings.Lines(signatures) {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[1] != c.Origin {
			names = append(names, fields[1])
		}
	}
	return names
}
