package tlog

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/durable"
)

// history keeps every checkpoint that was ever signed: a file for each UTC day,
// 2026-03-02.jsonl, of one JSON object per line. Lines are only ever added. It
// belongs to one writer, who holds the folder's lock.
type history struct {
	dir  string
	now  func() time.Time
	last Checkpoint // zero before the first
}

// signing is a line of the history. Its time is only as good as our clock.
type signing struct {
	Time time.Time `json:"time"`
	Note string    `json:"note"`
}

const historyName = "2006-01-02.jsonl"

// openHistory reads the newest line. A last line without an end was not synced
// when the process died, so nobody has its signature: it is cut off.
func openHistory(dir string, now func() time.Time) (*history, error) {
	h := &history{dir: dir, now: now}
	last, cuts, err := newestSigning(dir)
	if err != nil {
		return nil, err
	}
	for _, torn := range cuts {
		if err := torn.mend(); err != nil {
			return nil, fmt.Errorf("mending the history of checkpoints: %w", err)
		}
	}
	h.last = last
	return h, nil
}

// torn is a file whose last line is not whole: it is whole up to there.
type torn struct {
	path  string
	whole int64
}

// newestSigning finds the last checkpoint that was signed. Days are looked at from
// the newest on, and the clock may have been put back: the largest size counts.
func newestSigning(dir string) (last Checkpoint, cuts []torn, err error) {
	days, err := historyDays(dir)
	if err != nil {
		return last, cuts, err
	}
	for _, day := range slices.Backward(days) {
		path := filepath.Join(dir, day)
		line, cut, err := lastLine(path)
		if err != nil {
			return last, cuts, err
		}
		if cut != nil {
			cuts = append(cuts, *cut)
		}
		if line == nil {
			continue
		}
		c, err := parseSigning(line)
		if err != nil {
			return last, cuts, damaged("the last line of "+path, err)
		}
		if c.Size >= last.Size {
			last = c
		}
	}
	return last, cuts, nil
}

// mend cuts off what is not whole.
func (t torn) mend() error { return os.Truncate(t.path, t.whole) }

// lastLine is the last whole line of a file, nil if it has none. cut is not nil if
// something stands behind it.
func lastLine(path string) (line []byte, cut *torn, err error) {
	content, from, err := tail(path)
	if err != nil {
		return nil, nil, err
	}
	whole := bytes.LastIndexByte(content, '\n') + 1
	if whole < len(content) {
		cut = &torn{path, from + int64(whole)}
	}
	if whole == 0 {
		return nil, cut, nil
	}
	return content[bytes.LastIndexByte(content[:whole-1], '\n')+1 : whole], cut, nil
}

// maxLine is far more than a line of the history has.
const maxLine = 64 << 10

// tail reads the end of a file, the last line included.
func tail(path string) (content []byte, from int64, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, fmt.Errorf("reading the history of checkpoints: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	size, err := file.Seek(0, io.SeekEnd)
	if err == nil {
		from = max(0, size-2*maxLine)
		content = make([]byte, size-from)
		_, err = file.ReadAt(content, from)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, fmt.Errorf("reading the history of checkpoints: %w", err)
	}
	return content, from, nil
}

func historyDays(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the history of checkpoints: %w", err)
	}
	var days []string
	for _, e := range entries {
		if _, err := time.Parse(historyName, e.Name()); err == nil {
			days = append(days, e.Name())
		}
	}
	return days, nil // ReadDir sorts them
}

func parseSigning(line []byte) (Checkpoint, error) {
	var s signing
	if err := json.Unmarshal(line, &s); err != nil {
		return Checkpoint{}, err
	}
	c, err := parseNote(s.Note)
	c.Time = s.Time
	return c, err
}

// History calls each for the checkpoints that were ever signed, in the order of
// the days and of the lines in them, until it returns an error.
func History(dir string, each func(Checkpoint) error) error {
	dir = filepath.Join(dir, historyDir)
	days, err := historyDays(dir)
	if err != nil {
		return err
	}
	for _, day := range days {
		if _, err := eachLine(filepath.Join(dir, day), parseSigning, func(c Checkpoint) (bool, error) { return true, each(c) }); err != nil {
			return err
		}
	}
	return nil
}

// eachLine calls each for what the lines of a file say, until it wants no more or returns
// an error. What has no end is being written, or was never whole.
func eachLine[T any](path string, parse func(line []byte) (T, error), each func(T) (more bool, err error)) (more bool, err error) {
	file, err := os.Open(path)
	if err != nil {
		return false, fmt.Errorf("reading %s: %w", path, err)
	}
	defer func() { _ = file.Close() }() // it was only read
	lines := bufio.NewReaderSize(file, 2*maxLine)
	for number := 1; ; number++ {
		line, err := lines.ReadSlice('\n') // until the next one is read
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return false, fmt.Errorf("reading %s: %w", path, err)
		}
		var one T
		if err == nil {
			one, err = parse(line)
		}
		if err != nil {
			return false, damaged(fmt.Sprintf("line %d of %s", number, path), err)
		}
		if more, err := each(one); err != nil || !more {
			return false, err
		}
	}
}

// append writes a line, and returns when it is durable.
func (h *history) append(signed string) error {
	now := h.now().UTC()
	line, err := json.Marshal(signing{now, signed})
	if err != nil {
		return fmt.Errorf("encoding a checkpoint: %w", err)
	}
	if err := appendLine(filepath.Join(h.dir, now.Format(historyName)), line); err != nil {
		return fmt.Errorf("keeping a checkpoint: %w", err)
	}
	return nil
}

// appendLine adds a line to a file, and returns when it is durable.
func appendLine(path string, line []byte) error {
	_, err := os.Stat(path)
	fresh := errors.Is(err, fs.ErrNotExist)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644) //nolint:gosec // public
	if err != nil {
		return err
	}
	before, err := file.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = file.Write(append(line, '\n'))
	}
	if err == nil {
		err = file.Sync()
	}
	if err != nil {
		// Half a line must not get a whole one behind it.
		err = errors.Join(err, file.Truncate(before))
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if fresh {
		return durable.SyncDir(filepath.Dir(path))
	}
	return nil
}

// signer signs checkpoints of one log, each of which continues the one before.
// What it signs is in the history before anybody gets the signature.
type signer struct {
	note.Signer

	history *history
}

// sign makes the note of a checkpoint. The one that was signed last is answered as
// it was.
func (s signer) sign(c Checkpoint) (Checkpoint, error) {
	last := s.history.last
	if last.Note != "" && c.Size == last.Size && c.Root == last.Root {
		last.Last = c.Last
		return last, nil
	}
	signed, err := note.Sign(&note.Note{Text: c.text()}, s)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("signing a checkpoint of %d leaves: %w", c.Size, err)
	}
	if string(signed) != s.history.last.Note {
		return Checkpoint{}, domain.Rejectf(domain.CodeInvalid, "", "a checkpoint of %d leaves was kept otherwise than it was signed", c.Size)
	}
	c.Note, c.Time = s.history.last.Note, s.history.last.Time
	return c, nil
}

// Sign implements note.Signer for Tessera and for sign.
func (s signer) Sign(text []byte) ([]byte, error) {
	c, err := parseText(string(text))
	if err != nil {
		return nil, err
	}
	last := s.history.last
	if c.Origin != s.Name() {
		return nil, domain.Rejectf(CodeKey, "", "the key of %s signs no checkpoint of %q", s.Name(), c.Origin)
	}
	if c.Size < last.Size || c.Size == last.Size && last.Note != "" && c.Root != last.Root {
		return nil, doubt(nil, "a checkpoint of %d leaves is to be signed after one of %d, and contradicts it", c.Size, last.Size)
	}
	signature, err := s.Signer.Sign(text)
	if err != nil {
		return nil, err
	}
	signed, err := note.Sign(&note.Note{Text: string(text)}, fixed{s.Signer, signature})
	if err != nil {
		return nil, err
	}
	if err := s.history.append(string(signed)); err != nil {
		return nil, err
	}
	c.Note, c.Time = string(signed), s.history.now().UTC()
	s.history.last = c
	return signature, nil
}

// fixed is a signer that has signed.
type fixed struct {
	note.Signer

	signature []byte
}

func (f fixed) Sign([]byte) ([]byte, error) { return f.signature, nil }

// CodeDoubt is the code of every contradiction.
const CodeDoubt = "log_doubt"

// doubt is the error for what contradicts itself: the log stops.
func doubt(cause error, format string, args ...any) error {
	return &domain.Error{Class: domain.ClassIntegrity, Code: CodeDoubt, Message: "the transparency log: " + fmt.Sprintf(format, args...), Err: cause}
}

func damaged(what string, cause error) error {
	return doubt(cause, "%s is damaged", strings.TrimSpace(what))
}
