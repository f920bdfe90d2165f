package client

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tradetrail/tradetrail/client/internal/spool"
	"github.com/tradetrail/tradetrail/domain"
)

// appendText writes a member whose value is a string.
func appendText[T string | []byte](b []byte, name string, value T) ([]byte, error) {
	b = append(append(append(b, '"'), name...), `":`...)
	b, err := appendString(b, value)
	if err != nil {
		return b, domain.Rejectf(domain.CodeInvalid, name, "is not valid UTF-8")
	}
	return b, nil
}

// appendString writes a JSON string. Most need no escape, and are copied.
func appendString[T string | []byte](b []byte, value T) ([]byte, error) {
	for i := range len(value) {
		if c := value[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return jsontext.AppendQuote(b, value)
		}
	}
	return append(append(append(b, '"'), value...), '"'), nil
}

// appendValue writes a member whose value is JSON already. A line end in it would
// end the line.
func appendValue(b []byte, name string, value []byte) ([]byte, error) {
	v := jsontext.Value(value)
	if !v.IsValid() {
		return b, domain.Rejectf(domain.CodeMalformed, name, "is not well-formed JSON")
	}
	if bytes.ContainsAny(value, "\n\r") {
		v = v.Clone()
		if err := v.Compact(); err != nil {
			return b, domain.Rejectf(domain.CodeMalformed, name, "is not well-formed JSON")
		}
	}
	return append(append(append(append(b, '"'), name...), `":`...), v...), nil
}

func appendBase64(b, value []byte) []byte {
	return append(base64.StdEncoding.AppendEncode(append(b, '"'), value), '"')
}

func uuidText(id spool.ID) string {
	var text [36]byte
	hex.Encode(text[:8], id[:4])
	hex.Encode(text[9:13], id[4:6])
	hex.Encode(text[14:18], id[6:8])
	hex.Encode(text[19:23], id[8:10])
	hex.Encode(text[24:], id[10:])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return string(text[:])
}
