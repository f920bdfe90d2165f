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

// maxDeadBytes bounds the dead-letter file. What does not fit any more the server
// has: in quarantine, or in the event in its place. Where that has only a part,
// the delivery waits for room here.
const maxDeadBytes = 64 << 20

// deadLetters is the file that keeps what was refused: NDJSON of rejections. After
// a crash, one that was kept may be kept again.
type deadLetters struct {
	path string
	file *os.File
	size int64
	torn bool // it ends within a line
}

func openDeadLetters(dir string) (*deadLetters, error) {
	d := &deadLetters{path: filepath.Join(dir, "dead-letters.ndjson")}
	if err := d.open(); err != nil {
		return nil, fmt.Errorf("opening the dead-letter file: %w", err)
	}
	return d, nil
}

func (d *deadLetters) open() error {
	file, err := os.OpenFile(d.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	last := []byte{'\n'}
	if info.Size() > 0 {
		if _, err := file.ReadAt(last, info.Size()-1); err != nil {
			return errors.Join(err, file.Close())
		}
	}
	d.file, d.size, d.torn = file, info.Size(), last[0] != '\n'
	return nil
}

// keep writes a rejection; sync puts it on disk. A full file that was moved away
// is begun anew.
func (d *deadLetters) keep(r *Rejection) error {
	line, err := json.Marshal(r, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return notKept(r, err)
	}
	line = append(line, '\n')
	if d.size+int64(len(line)) > maxDeadBytes {
		old := d.file
		if err := d.open(); err != nil {
			return notKept(r, err)
		}
		if err := old.Close(); err != nil {
			return notKept(r, err)
		}
		if d.size+int64(len(line)) > maxDeadBytes {
			return notKept(r, fmt.Errorf("%s has %d bytes: move it away", d.path, d.size))
		}
	}
	if d.torn {
		line = append([]byte{'\n'}, line...)
	}
	n, err := d.file.Write(line)
	d.size += int64(n)
	if err != nil {
		d.torn = d.torn || n > 0
		return notKept(r, err)
	}
	d.torn = false
	return nil
}

func notKept(r *Rejection, err error) error {
	return transient(CodeNotKept, "keeping the rejected event "+r.EventID, err)
}

func (d *deadLetters) sync() error { return d.file.Sync() }
