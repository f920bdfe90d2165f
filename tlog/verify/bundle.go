package verify

import (
	"encoding/base64"
	"time"

	"github.com/tradetrail/tradetrail/domain"
)

// Format is the first field of a bundle, and its version. A bundle of a report is
// of another: its leaves are scattered over the log.
const (
	Format       = "tradetrail/proof/v1"
	FormatReport = "tradetrail/proof/v2"
)

// What a bundle may be of.
const (
	KindEvent  = "event"  // one event
	KindChain  = "chain"  // an order's events from the first on, and what they refer to
	KindWindow = "window" // all events between two times
	KindReport = "report" // the events that a report shows
)

// Header is what a bundle says before its runs. What it claims is in Kind and
// Subject; Key is told for information only, since what counts is the key that
// whoever verifies has from elsewhere.
type Header struct {
	Format     string  `json:"format"`
	Kind       string  `json:"kind"`
	Subject    Subject `json:"subject"`
	Origin     string  `json:"origin"`
	Key        string  `json:"key"`
	Checkpoint string  `json:"checkpoint"` // the signed note
	Older      *Older  `json:"older,omitzero"`

	Timestamp *Timestamp `json:"timestamp,omitzero"`
}

// Subject names what is proven: Event, or Order, or the four of a window, or the
// three of a report.
type Subject struct {
	Event string    `json:"event,omitzero"` // its id in the store
	Order string    `json:"order,omitzero"`
	From  time.Time `json:"from,omitzero"`
	To    time.Time `json:"to,omitzero"`    // not included
	Begin uint64    `json:"begin,omitzero"` // index of the first leaf of the window
	End   uint64    `json:"end,omitzero"`   // and the one behind the last

	Report   string `json:"report,omitzero"`   // the name of its file
	Events   uint64 `json:"events,omitzero"`   // that it shows
	Unsealed uint64 `json:"unsealed,omitzero"` // rows of events that no checkpoint had yet
}

// Older shows that the log has only grown since an older checkpoint.
type Older struct {
	Checkpoint string   `json:"checkpoint"` // the signed note
	Hashes     []Digest `json:"hashes"`     // in the order of RFC 6962
}

// Run is neighbouring leaves, at most RunEntries, and the hashes of the subtrees
// beside them.
type Run struct {
	Begin   uint64   `json:"begin"`
	Beside  []Digest `json:"beside"`
	Entries []Entry  `json:"entries"`
}

// RunEntries is how many entries a run may have.
const RunEntries = 256

// maxBeside is more than a tree can ask for: two for each level.
const maxBeside = 128

// Entry is a leaf and what its event said. Without that it is redacted: only the
// salted digest in the leaf is known.
type Entry struct {
	Leaf string `json:"leaf"`
	Said *Said  `json:"said,omitzero"`
}

// Said is an event's payload, as exact bytes, and the salt of its digest.
type Said struct {
	Salt     Salt   `json:"salt"`
	Type     string `json:"type"`
	Data     Bytes  `json:"data"`
	Metadata Bytes  `json:"metadata"`
}

// Payload is what the digest is of.
func (s *Said) Payload() Payload { return Payload{s.Type, s.Data, s.Metadata} }

// Bytes are base64 in JSON, with padding, in the one form there is.
type Bytes []byte

// MarshalText implements encoding.TextMarshaler.
func (b Bytes) MarshalText() ([]byte, error) {
	return base64.StdEncoding.AppendEncode(nil, b), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *Bytes) UnmarshalText(text []byte) error {
	raw, err := strictBase64(text)
	*b = raw
	return err
}

// MarshalText implements encoding.TextMarshaler.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Digest) UnmarshalText(text []byte) error {
	raw, err := strictBase64(text)
	if err != nil || len(raw) != len(d) {
		return domain.Rejectf(domain.CodeInvalid, "", "%.64q is no SHA-256 in base64", text)
	}
	*d = Digest(raw)
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (s Salt) MarshalText() ([]byte, error) { return Digest(s).MarshalText() }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Salt) UnmarshalText(text []byte) error { return (*Digest)(s).UnmarshalText(text) }

func strictBase64(text []byte) ([]byte, error) {
	raw, err := base64.StdEncoding.Strict().AppendDecode(nil, text)
	if err != nil || base64.StdEncoding.EncodedLen(len(raw)) != len(text) {
		return nil, domain.Rejectf(domain.CodeInvalid, "", "%.64q is not base64 with padding and without blanks", text)
	}
	return raw, nil
}
