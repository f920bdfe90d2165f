package client

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tradetrail/tradetrail/domain"
)

// Rejection is an event that was recorded here and refused by the server, or that
// can't be sent. Repeating it is of no use.
type Rejection struct {
	EventID string         `json:"event_id"`
	Code    string         `json:"code"`
	Field   string         `json:"field,omitzero"`
	Message string         `json:"message"`
	Event   jsontext.Value `json:"event,omitzero"`  // as it was sent; valid during OnReject
	Record  []byte         `json:"record,omitzero"` // what was spooled, of an event that can't be sent
}

func rejectionOf(id string, record []byte, err error) *Rejection {
	r := &Rejection{EventID: id, Code: domain.CodeMalformed, Message: err.Error(), Record: append([]byte(nil), record...)}
	if e, ok := errors.AsType[*domain.Error](err); ok {
		r.Code, r.Field, r.Message = e.Code, e.Field, e.Message
	}
	return r
}

// maxDeadBytes bounds the dead-letter file. The server has what it refused in
// quarantine, so what does not fit any more is not lost.
const maxDeadBytes = 64 << 20

// deadLetters is the file that keeps what was refused: NDJSON of rejections. After
// a crash, one that was kept may be kept again.
type deadLetters struct {
	file *os.File
	size int64
}

func openDeadLetters(dir string) (*deadLetters, error) {
	file, err := os.OpenFile(filepath.Join(dir, "dead-letters.ndjson"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the dead-letter file: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening the dead-letter file: %w", err), file.Close())
	}
	return &deadLetters{file: file, size: info.Size()}, nil
}

// keep writes a rejection; sync puts it on disk.
func (d *deadLetters) keep(r *Rejection) error {
	line, err := json.Marshal(r, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return fmt.Errorf("keeping the rejected event %s: %w", r.EventID, err)
	}
	if d.size+int64(len(line)) >= maxDeadBytes {
		return fmt.Errorf("keeping the rejected event %s: %s has %d bytes", r.EventID, d.file.Name(), d.size)
	}
	n, err := d.file.Write(append(line, '\n'))
	d.size += int64(n)
	if err != nil {
		return fmt.Errorf("keeping the rejected event %s: %w", r.EventID, err)
	}
	return nil
}

func (d *deadLetters) sync() error { return d.file.Sync() }
