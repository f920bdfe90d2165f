package graph

import (
	"encoding/json"
	"errors"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// subprotocol is the only one that is spoken over WebSocket:
// https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
const subprotocol = "graphql-transport-ws"

// The codes of the protocol with which a connection is closed. Clients don't come
// back after these, but for closeInitTimeout.
const (
	closeBadRequest     = 4400
	closeUnauthorized   = 4401 // subscribe before connection_ack
	closeSubprotocol    = 4406
	closeInitTimeout    = 4408
	closeDuplicate      = 4409 // a second operation under one id
	closeTooManyInits   = 4429
	maxCloseReasonBytes = 123 // a control frame has no room for more
)

// message is one from a client.
type message struct {
	Type    string          `json:"type"`
	ID      string          `json:"id"`
	Payload json.RawMessage `json:"payload"`
}

func parseMessage(text []byte) (m message, err error) {
	err = json.Unmarshal(text, &m)
	if err == nil && m.Type == "" {
		err = errNoType
	}
	return m, err
}

var errNoType = errors.New("no type")

// reply encodes a message about an operation; payload is JSON, or nothing.
func reply(kind, id string, payload []byte) []byte {
	name, err := json.Marshal(id)
	if err != nil { // no string is refused
		name = []byte(`""`)
	}
	out := make([]byte, 0, len(kind)+len(name)+len(payload)+40)
	out = append(out, `{"type":"`...)
	out = append(out, kind...)
	out = append(out, `","id":`...)
	out = append(out, name...)
	if payload != nil {
		out = append(out, `,"payload":`...)
		out = append(out, payload...)
	}
	return append(out, '}')
}

// encodeResponse is the JSON of a response. Nearly all are data alone, which is
// JSON already and is not looked through once more.
func encodeResponse(response *graphql.Response) ([]byte, error) {
	if len(response.Errors) > 0 || len(response.Extensions) > 0 || response.HasNext != nil || len(response.Data) == 0 {
		return json.Marshal(response)
	}
	out := make([]byte, 0, len(response.Data)+9)
	out = append(out, `{"data":`...)
	out = append(out, response.Data...)
	return append(out, '}'), nil
}

func encodeErrors(list gqlerror.List) []byte {
	out, err := json.Marshal(list)
	if err != nil { // of an extension that is no JSON; ours are
		return []byte(`[{"message":"internal error"}]`)
	}
	return out
}
