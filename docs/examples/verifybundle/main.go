// Command verifybundle verifies a proof bundle, or a report with a seal, as
// docs/formats.md describes them, with the standard library alone. It is an example
// for those who write their own verifier; it checks neither witnesses nor older
// checkpoints nor timestamps, and asks for the whole file to fit into memory.
//
//	verifybundle FILE VKEY
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

type bundle struct {
	Format  string `json:"format"`
	Kind    string `json:"kind"`
	Subject struct {
		Event string    `json:"event"`
		Order string    `json:"order"`
		From  time.Time `json:"from"`
		To    time.Time `json:"to"`
		Begin uint64    `json:"begin"`
		End   uint64    `json:"end"`

		Report   string `json:"report"`
		Events   uint64 `json:"events"`
		Unsealed uint64 `json:"unsealed"`
	} `json:"subject"`
	Origin     string          `json:"origin"`
	Key        string          `json:"key"`
	Checkpoint string          `json:"checkpoint"`
	Older      json.RawMessage `json:"older"`
	Timestamp  json.RawMessage `json:"timestamp"`
	Runs       []run           `json:"runs"`
}

type run struct {
	Begin   uint64   `json:"begin"`
	Indexes []uint64 `json:"indexes"` // of a report, instead of begin
	Beside  [][]byte `json:"beside"`
	Entries []entry  `json:"entries"`
}

type entry struct {
	Leaf string `json:"leaf"`
	Said *struct {
		Salt     []byte `json:"salt"`
		Type     string `json:"type"`
		Data     []byte `json:"data"`
		Metadata []byte `json:"metadata"`
	} `json:"said"`
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: verifybundle FILE VKEY")
		os.Exit(2) //nolint:forbidigo // a command, although not in cmd
	}
	if err := verify(os.Args[1], os.Args[2]); err != nil {
		fmt.Println("NOT VERIFIED:", err)
		os.Exit(3) //nolint:forbidigo // as above
	}
	fmt.Println("VERIFIED")
}

func verify(file, key string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if bytes.HasPrefix(text, []byte("%PDF-")) {
		return verifyReport(text, key)
	}
	_, _, err = verifyBundle(text, key)
	return err
}

// verifyBundle says under which checkpoint the bundle is right.
func verifyBundle(text []byte, key string) (b bundle, checkpoint string, err error) {
	if err := strict(text); err != nil {
		return b, "", err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&b); err != nil {
		return b, "", err
	}
	format := "tradetrail/proof/v1"
	if b.Kind == "report" {
		format = "tradetrail/proof/v2"
	}
	if b.Format != format || b.Key != key {
		return b, "", errors.New("another format, or another key")
	}
	if name, _, _ := strings.Cut(key, "+"); name != b.Origin {
		return b, "", errors.New("the key is not that of the log")
	}
	checkpoint, err = signed(b.Checkpoint, key)
	if err != nil {
		return b, "", err
	}
	return b, checkpoint, b.verify(checkpoint)
}

func (b *bundle) verify(checkpoint string) error {
	size, root, err := sizeAndRoot(checkpoint, b.Origin)
	if err != nil {
		return err
	}
	var all []leaf
	next := uint64(0)
	for _, r := range b.Runs {
		indexes := r.Indexes
		if b.Kind != "report" {
			if r.Begin >= size || uint64(len(r.Entries)) > size-r.Begin {
				return fmt.Errorf("the run at %d does not fit", r.Begin)
			}
			for i := range r.Entries {
				indexes = append(indexes, r.Begin+uint64(i))
			}
		}
		if len(indexes) == 0 || len(indexes) != len(r.Entries) || (len(r.Indexes) > 0) != (b.Kind == "report") {
			return errors.New("a run without leaves, or of another kind of bundle")
		}
		for _, index := range indexes {
			if index < next || index >= size {
				return fmt.Errorf("the leaf %d does not fit", index)
			}
			next = index + 1
		}
		entries, beside := r.Entries, r.Beside
		got, err := hash(0, size, indexes, &entries, &beside)
		if err != nil {
			return err
		}
		if !bytes.Equal(got, root) || len(beside) > 0 {
			return fmt.Errorf("the leaves from %d to before %d are not in the log", indexes[0], next)
		}
		for i, e := range r.Entries {
			l, err := e.check()
			if err != nil {
				return fmt.Errorf("leaf %d: %w", indexes[i], err)
			}
			l.index = indexes[i]
			all = append(all, l)
		}
	}
	return b.claim(all, size)
}

// signed checks the signature of the log under a note, and returns what was signed.
func signed(note, vkey string) (text string, err error) {
	name, rest, _ := strings.Cut(vkey, "+")
	hash, encoded, _ := strings.Cut(rest, "+")
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(key) != 33 || key[0] != 1 {
		return "", errors.New("this is no Ed25519 key")
	}
	sum := sha256.Sum256(append([]byte(name+"\n"), key...))
	if hash != hex.EncodeToString(sum[:4]) {
		return "", errors.New("this is no key of a log")
	}
	text, signatures, _ := strings.Cut(note, "\n\n")
	text += "\n"
	for line := range strings.SplitSeq(signatures, "\n") {
		encoded, ok := strings.CutPrefix(line, "— "+name+" ")
		signature, err := base64.StdEncoding.DecodeString(encoded)
		if ok && err == nil && len(signature) == 4+ed25519.SignatureSize && bytes.Equal(signature[:4], sum[:4]) &&
			ed25519.Verify(key[1:], []byte(text), signature[4:]) {
			return text, nil
		}
	}
	return "", errors.New("it is not signed by the key")
}

// sizeAndRoot reads a checkpoint.
func sizeAndRoot(checkpoint, origin string) (size uint64, root []byte, err error) {
	lines := strings.Split(checkpoint, "\n")
	if len(lines) != 4 || lines[0] != origin {
		return 0, nil, errors.New("this is no checkpoint of the log")
	}
	if size, err = strconv.ParseUint(lines[1], 10, 62); err != nil {
		return 0, nil, err
	}
	root, err = base64.StdEncoding.DecodeString(lines[2])
	return size, root, err
}

// hash is the hash of the leaves from begin to before end. Those at indexes take their
// entries from the front, subtrees without any their hashes.
func hash(begin, end uint64, indexes []uint64, entries *[]entry, beside *[][]byte) ([]byte, error) {
	if len(indexes) == 0 {
		if len(*beside) == 0 || len((*beside)[0]) != sha256.Size {
			return nil, errors.New("a hash is missing")
		}
		h := (*beside)[0]
		*beside = (*beside)[1:]
		return h, nil
	}
	if end-begin == 1 {
		sum := sha256.Sum256(append([]byte{0}, (*entries)[0].Leaf...))
		*entries = (*entries)[1:]
		return sum[:], nil
	}
	half := uint64(1)
	for half*2 < end-begin {
		half *= 2
	}
	cut, _ := slices.BinarySearch(indexes, begin+half)
	left, err := hash(begin, begin+half, indexes[:cut], entries, beside)
	if err != nil {
		return nil, err
	}
	right, err := hash(begin+half, end, indexes[cut:], entries, beside)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(append(append([]byte{1}, left...), right...))
	return sum[:], nil
}

type leaf struct {
	index, revision uint64
	stream, id      string
	created         time.Time
	redacted        bool
}

// check reads a leaf and compares what was said with its digest.
func (e *entry) check() (l leaf, err error) {
	lines := strings.Split(e.Leaf, "\n")
	if len(lines) != 8 || lines[0] != "tradetrail/leaf/v1" {
		return l, errors.New("not a leaf")
	}
	l.id, l.redacted = lines[4], e.Said == nil
	if l.stream, err = url.PathUnescape(lines[2]); err != nil {
		return l, err
	}
	if l.revision, err = strconv.ParseUint(lines[3], 10, 64); err != nil {
		return l, err
	}
	if l.created, err = time.Parse(time.RFC3339Nano, lines[5]); err != nil || l.redacted {
		return l, err
	}
	digest := sha256.New()
	digest.Write([]byte("tradetrail/event/v1\n"))
	digest.Write(e.Said.Salt)
	for _, part := range [][]byte{[]byte(e.Said.Type), e.Said.Data, e.Said.Metadata} {
		digest.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		digest.Write(part)
	}
	if len(e.Said.Salt) != 32 || base64.StdEncoding.EncodeToString(digest.Sum(nil)) != lines[6] {
		return l, errors.New("this is not what was recorded")
	}
	return l, nil
}

// claim checks what a kind of bundle says besides.
func (b *bundle) claim(all []leaf, size uint64) error {
	switch b.Kind {
	case "event":
		if len(all) != 1 || all[0].id != b.Subject.Event {
			return errors.New("this is not the event")
		}
	case "chain":
		next := uint64(0)
		for _, l := range all {
			if l.stream != "order-"+b.Subject.Order {
				continue
			}
			if l.revision != next {
				return fmt.Errorf("revision %d stands where %d must", l.revision, next)
			}
			next++
		}
		if next == 0 {
			return errors.New("there is no event of the order")
		}
	case "window":
		return b.window(all, size)
	case "report":
		if b.Subject.Report == "" || uint64(len(all)) != b.Subject.Events {
			return errors.New("these are not all events of the report")
		}
	default:
		return fmt.Errorf("%q is no kind of bundle", b.Kind)
	}
	return nil
}

func (b *bundle) window(all []leaf, size uint64) error {
	s := b.Subject
	first, last := s.Begin, s.End
	if first > 0 {
		first--
	}
	if last < size {
		last++
	}
	if s.Begin > s.End || s.End > size || uint64(len(all)) != last-first {
		return errors.New("the window is not whole")
	}
	for i, l := range all {
		before, behind := l.index < s.Begin, l.index >= s.End
		begins, ends := l.index == s.Begin && !behind, l.index+1 == s.End && !before
		if l.index != first+uint64(i) ||
			(before || begins) && before != l.created.Before(s.From) ||
			(behind || ends) && behind == l.created.Before(s.To) ||
			(before || behind) && !l.redacted {
			return fmt.Errorf("leaf %d does not belong where it stands", l.index)
		}
	}
	return nil
}
