package ingest

import (
	"encoding/hex"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tradetrail/tradetrail/domain"
)

// maxQuarantineRaw is how many bytes of input one quarantine event keeps: any
// event that the door takes in whole, and in base64 still below the store's limit
// of 1 MiB. Of longer input the beginning is kept, with the size and digest of
// what was seen.
const maxQuarantineRaw = 640 << 10

// Quarantine makes the event that keeps input which could not be understood. Its
// id derives from source, reason and bytes: the same bad input, sent again, is
// kept once. It has a stream of its own, so nothing it contains can hold back
// anything else.
func Quarantine(source string, item Item, now time.Time) *domain.Event {
	seen := item.seen()
	sum := hex.EncodeToString(seen.sha256[:])
	id := domain.DeriveID("quarantine", source, item.Err.Code+"\x00"+item.Err.Field+"\x00"+sum)
	raw := item.Raw[:min(len(item.Raw), maxQuarantineRaw)]
	data, err := json.Marshal(struct {
		Code    string `json:"code"`
		Field   string `json:"field,omitzero"`
		Message string `json:"message"`
		Line    int    `json:"line,omitzero"`
		Bytes   int    `json:"bytes"`
		SHA256  string `json:"sha256"`
		Partial bool   `json:"partial,omitzero"`
	}{
		item.Err.Code, item.Err.Field, item.Err.Message, item.Line,
		seen.bytes, sum, item.Cut || len(raw) < len(item.Raw),
	}, json.Deterministic(true), jsontext.AllowInvalidUTF8(true)) // the message may quote the input
	if err != nil { // the reason is lost, not the input
		data = []byte(`{"code":"` + domain.CodeMalformed + `"}`)
	}
	return &domain.Event{
		ID: id, Type: domain.InputQuarantined, OccurredAt: now.UTC(), SchemaVersion: domain.SchemaVersion,
		EntityType: "quarantine", EntityID: id, Data: data, Raw: raw,
	}
}
