package client

import (
	"encoding/binary"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tradetrail/tradetrail/client/internal/spool"
	"github.com/tradetrail/tradetrail/domain"
)

// The body of a spooled record: when it occurred (8 bytes, ns since 1970), then
// the fields that have a value, each as its tag, its length (uvarint) and its
// bytes. The tags are stored: they may be added to, not changed. Their order is
// that of canonical JSON, so that a line is written in one go.
const (
	tagID byte = iota + 1
	tagType
	tagEntityType
	tagEntityID
	tagOrderID
	tagClientOrderID
	tagBrokerOrderID
	tagParentOrderID
	tagAccountID
	tagUserID
	tagStrategyID
	tagTicker
	tagRecommendationID
	tagComputationID
	tagEvaluationID
	tagApprovalID
	tagSessionID
	tagEnvironment
	tagVersion
	tagActor
	tagPath
	tagCorrelationID
	tagCausationID
	tagClock
	tagData
	tagRaw
)

// fieldNames are the names of the fields in canonical JSON.
var fieldNames = [...]string{
	tagID: "event_id", tagType: "event_type", tagEntityType: "entity_type", tagEntityID: "entity_id",
	tagOrderID: "order_id", tagClientOrderID: "client_order_id", tagBrokerOrderID: "broker_order_id", tagParentOrderID: "parent_order_id",
	tagAccountID: "account_id", tagUserID: "user_id", tagStrategyID: "strategy_id", tagTicker: "ticker",
	tagRecommendationID: "recommendation_id", tagComputationID: "computation_id", tagEvaluationID: "evaluation_id", tagApprovalID: "approval_id",
	tagSessionID: "session_id", tagEnvironment: "environment", tagVersion: "version", tagActor: "actor",
	tagPath: "path", tagCorrelationID: "correlation_id", tagCausationID: "causation_id", tagClock: "clock", tagData: "data", tagRaw: "raw",
}

// The times that fit into 64 bits of nanoseconds, as at the door.
var (
	minTime = time.Unix(0, 0)
	maxTime = time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC)
)

// appendBody writes the event's body behind dst. It looks at nothing that it need
// not: what is wrong with a value comes out when it is sent, and is told then.
func (c *Client) appendBody(dst []byte, e *Event, now time.Time) ([]byte, error) {
	if e.Type == "" {
		return nil, domain.Rejectf(domain.CodeMissing, "event_type", "missing")
	}
	at := e.OccurredAt
	if at.IsZero() {
		at = now
	} else if at.Before(minTime) || !at.Before(maxTime) {
		return nil, domain.Rejectf(domain.CodeInvalid, "occurred_at", "outside of the years 1970 to 2261")
	}
	b := binary.LittleEndian.AppendUint64(dst, uint64(at.UnixNano()))
	b = appendField(b, tagID, e.ID)
	b = appendField(b, tagType, string(e.Type))
	b = appendField(b, tagEntityType, e.EntityType)
	b = appendField(b, tagEntityID, e.EntityID)
	b = appendField(b, tagOrderID, e.OrderID)
	b = appendField(b, tagClientOrderID, e.ClientOrderID)
	b = appendField(b, tagBrokerOrderID, e.BrokerOrderID)
	b = appendField(b, tagParentOrderID, e.ParentOrderID)
	b = appendField(b, tagAccountID, e.AccountID)
	b = appendField(b, tagUserID, e.UserID)
	b = appendField(b, tagStrategyID, e.StrategyID)
	b = appendField(b, tagTicker, e.Ticker)
	b = appendField(b, tagRecommendationID, e.RecommendationID)
	b = appendField(b, tagComputationID, e.ComputationID)
	b = appendField(b, tagEvaluationID, e.EvaluationID)
	b = appendField(b, tagApprovalID, e.ApprovalID)
	b = appendField(b, tagSessionID, or(e.SessionID, c.cfg.SessionID))
	b = appendField(b, tagEnvironment, or(e.Environment, c.cfg.Environment))
	b = appendField(b, tagVersion, or(e.Version, c.cfg.Version))
	b = appendField(b, tagActor, e.Actor)
	if len(e.Path) > 0 || e.Clock != nil {
		var err error
		if b, err = appendStructured(b, e); err != nil {
			return nil, err
		}
	} else {
		b = appendField(b, tagCorrelationID, e.CorrelationID)
		b = appendField(b, tagCausationID, e.CausationID)
	}
	b = appendField(b, tagData, e.Data)
	b = appendField(b, tagRaw, e.Raw)
	if size := sizeAtServer(b[len(dst):]); size > domain.MaxEventBytes {
		return nil, domain.Rejectf(domain.CodeTooLarge, "", "event has %d bytes, at most %d are taken", size, domain.MaxEventBytes)
	}
	return b, nil
}

// smallBody is a body whose line fits, whatever has to be escaped in it.
const smallBody = domain.MaxEventBytes / 8

// sizeAtServer is how many bytes of JSON a body is. Of a small one it is not
// counted, for that costs more than the rest of Record.
func sizeAtServer(body []byte) int {
	if len(body) <= smallBody {
		return len(body)
	}
	line, _, err := appendLine(nil, spool.Record{Body: body})
	if err != nil { // can't be sent, and is told then
		return len(body)
	}
	return len(line)
}

func appendField[T string | []byte | jsontext.Value](b []byte, tag byte, value T) []byte {
	if len(value) == 0 {
		return b
	}
	if len(value) < 0x80 {
		return append(append(b, tag, byte(len(value))), value...) //nolint:gosec // below 0x80
	}
	return append(binary.AppendUvarint(append(b, tag), uint64(len(value))), value...)
}

// appendStructured writes the fields from path to clock. Few events have these
// two, and they may cost more.
func appendStructured(b []byte, e *Event) ([]byte, error) {
	if len(e.Path) > 0 {
		path, err := json.Marshal(e.Path)
		if err != nil {
			return nil, domain.Rejectf(domain.CodeInvalid, "path", "%v", err)
		}
		b = appendField(b, tagPath, path)
	}
	b = appendField(b, tagCorrelationID, e.CorrelationID)
	b = appendField(b, tagCausationID, e.CausationID)
	if e.Clock != nil {
		clock, err := json.Marshal(e.Clock)
		if err != nil {
			return nil, domain.Rejectf(domain.CodeInvalid, "clock", "%v", err)
		}
		b = appendField(b, tagClock, clock)
	}
	return b, nil
}

// errBody is a body that the checksum says is whole and no version of ours wrote.
var errBody = domain.Rejectf(domain.CodeMalformed, "", "the spooled record is not understood")

// appendLine writes a record as a line of NDJSON, without its end: canonical JSON.
// The error names the field whose value can't be sent.
func appendLine(dst []byte, r spool.Record) (line []byte, id string, err error) {
	if len(r.Body) < 8 {
		return dst, "", errBody
	}
	at, rest := int64(binary.LittleEndian.Uint64(r.Body)), r.Body[8:] //nolint:gosec // bits, not a number
	id = uuidText(r.ID)
	if len(rest) > 0 && rest[0] == tagID {
		var own []byte
		if _, own, rest, err = cutField(rest); err != nil {
			return dst, id, err
		}
		id = string(own)
	}
	b := append(dst, '{')
	if b, err = appendText(b, fieldNames[tagID], id); err != nil {
		return dst, id, err
	}
	versioned := false
	for len(rest) > 0 {
		var tag byte
		var value []byte
		if tag, value, rest, err = cutField(rest); err != nil {
			return dst, id, err
		}
		if tag >= tagData && !versioned {
			b, versioned = appendVersion(b), true
		}
		b = append(b, ',')
		switch tag {
		case tagPath, tagClock, tagData:
			if b, err = appendValue(b, fieldNames[tag], value); err != nil {
				return dst, id, err
			}
		case tagRaw:
			b = appendBase64(append(append(append(b, '"'), fieldNames[tag]...), `":`...), value)
		default:
			if b, err = appendText(b, fieldNames[tag], value); err != nil {
				return dst, id, err
			}
		}
		if tag == tagType {
			b = append(b, `,"occurred_at":"`...)
			b = time.Unix(0, at).UTC().AppendFormat(b, time.RFC3339Nano)
			b = append(b, '"')
		}
	}
	if !versioned {
		b = appendVersion(b)
	}
	return append(b, '}'), id, nil
}

func appendVersion(b []byte) []byte { return append(b, `,"schema_version":1`...) }

// cutField takes the first field off.
func cutField(b []byte) (tag byte, value, rest []byte, err error) {
	size, n := binary.Uvarint(b[1:])
	if n <= 0 || b[0] == 0 || int(b[0]) >= len(fieldNames) || size > uint64(len(b)-1-n) { //nolint:gosec // Uvarint read n of them
		return 0, nil, nil, errBody
	}
	end := 1 + n + int(size) //nolint:gosec // at most len(b)
	return b[0], b[1+n : end], b[end:], nil
}
