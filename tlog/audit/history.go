package audit

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"slices"
	"time"

	"github.com/tradetrail/tradetrail/tlog"
)

// The history of the log: a file for each UTC day, each line a checkpoint.
const (
	historyDir  = "history"
	historyFile = "2006-01-02.jsonl"
)

// seen is a checkpoint and where it was found.
type seen struct {
	tlog.Checkpoint

	where string
}

// mark says how much of a file of the history was verified, and what it said.
type mark struct {
	File   string `json:"file"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// history reads the checkpoints that were ever signed, in the order of its files and
// of their lines.
type history struct {
	root  *os.Root
	keys  tlog.Keys
	found *findings
	marks []mark // of an earlier verification; then those of this one
	full  bool   // files that were verified are read again

	read, signed uint64
}

func (h *history) days() ([]string, error) {
	entries, err := fs.ReadDir(h.root.FS(), historyDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the history of checkpoints: %w", err)
	}
	var days []string
	for _, e := range entries {
		if _, err := time.Parse(historyFile, e.Name()); err == nil {
			days = append(days, e.Name())
		}
	}
	return days, nil
}

// checkpoints yields what is behind the marks, or everything in full, up to the first
// checkpoint of more than limit leaves. What is wrong with the files is found on the
// way; an error is of reading them.
func (h *history) checkpoints(limit uint64) iter.Seq2[seen, error] {
	return func(yield func(seen, error) bool) {
		before := h.marks
		h.marks = nil
		days, err := h.days()
		if err != nil {
			yield(seen{}, err)
			return
		}
		for _, m := range before {
			if !slices.Contains(days, m.File) {
				h.damaged(m.File, "the file is missing, which an earlier verification read")
			}
		}
		for _, day := range days {
			known := mark{File: day}
			if i := slices.IndexFunc(before, func(m mark) bool { return m.File == day }); i >= 0 {
				known = before[i]
			}
			more, err := h.day(known, day == days[len(days)-1], limit, yield)
			if err != nil {
				yield(seen{}, err)
				return
			}
			if !more {
				// What this one did not come to is as the one before left it.
				for _, m := range before {
					if m.File > day {
						h.marks = append(h.marks, m)
					}
				}
				return
			}
		}
	}
}

func (h *history) damaged(file, text string) {
	h.found.add(Finding{Kind: History, Where: path.Join(historyDir, file), Text: text})
}

// maxLine is far more than a line of the history has.
const maxLine = 64 << 10

// day reads a file. more is false when nothing more is wanted.
func (h *history) day(known mark, newest bool, limit uint64, yield func(seen, error) bool) (more bool, err error) {
	file, err := h.root.Open(path.Join(historyDir, known.File))
	if err != nil {
		return false, fmt.Errorf("reading the history of checkpoints: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	info, err := file.Stat()
	if err != nil {
		return false, fmt.Errorf("reading the history of checkpoints: %w", err)
	}
	if info.Size() < known.Bytes {
		h.damaged(known.File, fmt.Sprintf("the file has %d bytes, and an earlier verification read %d: its end was cut off", info.Size(), known.Bytes))
		known.Bytes = 0
	}
	if !h.full && !newest && info.Size() == known.Bytes {
		h.marks = append(h.marks, known) // nothing is ever added to most files
		return true, nil
	}
	sum := sha256.New()
	at := int64(0)
	if known.Bytes > 0 {
		// Apart from the lines: they need not end where those that were read did.
		if _, err := io.CopyN(sum, file, known.Bytes); err != nil {
			return false, fmt.Errorf("reading the history of checkpoints: %w", err)
		}
		at = known.Bytes
		h.compare(known, sum)
	}
	if h.full {
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return false, fmt.Errorf("reading the history of checkpoints: %w", err)
		}
		sum.Reset()
		at = 0
	}
	lines := bufio.NewReaderSize(file, maxLine)
	defer func() {
		h.marks = append(h.marks, mark{known.File, at, hex.EncodeToString(sum.Sum(nil))})
	}()
	for number := 1; ; number++ {
		line, err := lines.ReadSlice('\n') // until the next one is read
		if errors.Is(err, bufio.ErrBufferFull) {
			h.damaged(known.File, fmt.Sprintf("behind byte %d is a line of more than %d bytes: nothing behind it was read", at, maxLine))
			return true, nil
		}
		if errors.Is(err, io.EOF) {
			if !newest && !unfinished(line) {
				h.damaged(known.File, "the last line has no end")
			}
			return true, nil // it is being written, or was never signed
		}
		if err != nil {
			return false, fmt.Errorf("reading the history of checkpoints: %w", err)
		}
		where := fmt.Sprintf("%s behind byte %d", path.Join(historyDir, known.File), at)
		c, signed, problem := parseLine(line, h.keys)
		if problem == nil && c.Size > limit {
			return false, nil
		}
		sum.Write(line)
		at += int64(len(line))
		if problem != nil {
			h.found.add(Finding{Kind: History, Where: where, Text: problem.Error()})
			continue
		}
		h.read++
		if signed != nil {
			h.found.add(Finding{Kind: Signature, Where: where, Text: signed.Error()})
		} else {
			h.signed++
		}
		if !yield(seen{c, where}, nil) {
			return false, nil
		}
	}
}

// compareBeginning looks for the checkpoint of no leaves, which is signed when a log is made:
// a history without it was made anew, or has lost its beginning. It is the first line of
// its file, whatever the clock did later.
func (v *verification) compareBeginning() error {
	h := &v.history
	if !h.full || v.scope.Round > 0 {
		return nil
	}
	days, err := h.days()
	if err != nil {
		return err
	}
	for _, day := range days {
		line, err := h.first(day)
		if err != nil {
			return err
		}
		if c, signed, problem := parseLine(line, h.keys); signed == nil && problem == nil && c.Size == 0 {
			return nil
		}
	}
	h.damaged("", "the checkpoint of no leaves is not there, which is signed when a log is made: the beginning was cut off")
	return nil
}

// first is the first line of a file; what is too long for one is cut.
func (h *history) first(day string) ([]byte, error) {
	file, err := h.root.Open(path.Join(historyDir, day))
	if err != nil {
		return nil, fmt.Errorf("reading the history of checkpoints: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	line, err := bufio.NewReaderSize(file, maxLine).ReadSlice('\n')
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		return nil, fmt.Errorf("reading the history of checkpoints: %w", err)
	}
	return line, nil
}

// unfinished says whether what a file ends with may be a line that is being written. It
// may be in a file that is not the newest: a clock may have been put back.
func unfinished(line []byte) bool {
	text := json.NewDecoder(bytes.NewReader(line))
	var l json.RawMessage
	if err := text.Decode(&l); err != nil {
		return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	}
	return text.InputOffset() == int64(len(line)) // all but its end
}

func (h *history) compare(known mark, sum hash.Hash) {
	if got := hex.EncodeToString(sum.Sum(nil)); got != known.SHA256 {
		h.damaged(known.File, fmt.Sprintf("the first %d bytes are not those that an earlier verification read", known.Bytes))
	}
}

// parseLine reads a line of the history. signed says what is wrong with its
// signature, problem what keeps it from being read.
func parseLine(line []byte, keys tlog.Keys) (c tlog.Checkpoint, signed, problem error) {
	var l struct {
		Time time.Time `json:"time"`
		Note string    `json:"note"`
	}
	strict := json.NewDecoder(bytes.NewReader(line))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&l); err != nil {
		return c, nil, fmt.Errorf("the line can't be read: %w", err)
	}
	c, err := keys.Check(l.Note)
	if c.Origin == "" {
		return c, nil, fmt.Errorf("the line holds no checkpoint: %w", err)
	}
	return c, err, nil
}

// newest reads the last two checkpoints of the history, the larger first, by the last
// lines of its files: a clock may have been put back. ok is false of an empty history.
func (h *history) newest() (last, before tlog.Checkpoint, ok bool, err error) {
	days, err := h.days()
	if err != nil {
		return last, before, false, err
	}
	for _, day := range days {
		lines, err := h.tail(day)
		if err != nil {
			return last, before, false, err
		}
		for _, line := range lines {
			c, signed, problem := parseLine(line, h.keys)
			if signed != nil || problem != nil {
				continue // found when the lines are read in order
			}
			switch {
			case !ok || c.Size >= last.Size:
				last, before, ok = c, last, true
			case c.Size >= before.Size:
				before = c
			}
		}
	}
	return last, before, ok, nil
}

// tailBytes hold several lines.
const tailBytes = 16 << 10

// tail is the last whole lines of a file.
func (h *history) tail(day string) ([][]byte, error) {
	file, err := h.root.Open(path.Join(historyDir, day))
	if err != nil {
		return nil, fmt.Errorf("reading the history of checkpoints: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading the history of checkpoints: %w", err)
	}
	from := max(info.Size()-tailBytes, 0)
	text := make([]byte, info.Size()-from)
	if _, err := file.ReadAt(text, from); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading the history of checkpoints: %w", err)
	}
	end := bytes.LastIndexByte(text, '\n')
	if end < 0 {
		return nil, nil
	}
	lines := bytes.Split(text[:end], []byte("\n"))
	if from > 0 {
		lines = lines[1:] // perhaps not whole
	}
	return lines[max(len(lines)-2, 0):], nil
}
