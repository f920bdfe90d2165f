package verify

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// What one header and one run of a bundle may take in a file, in bytes. Bundles
// have any number of runs: they are read one at a time.
const (
	maxHeader = 1 << 20
	maxRun    = 8 << 20
)

// bounded ends a read that takes more than it may, so that no value of a hostile
// file is kept whole in memory. It tells a broken disk from a broken bundle.
type bounded struct {
	from   io.Reader
	left   int
	broken error
}

var errTooLarge = errors.New("it has a part that is larger than any of a bundle can be")

func (b *bounded) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, errTooLarge
	}
	n, err := b.from.Read(p[:min(len(p), b.left)])
	b.left -= n
	if err != nil && !errors.Is(err, io.EOF) {
		b.broken = err
	}
	return n, err
}

// decoder reads a bundle: its header, then run by run. Names stand in the order
// of the format; one that stands elsewhere, twice or not at all is an error.
type decoder struct {
	from *bounded
	json *jsontext.Decoder
}

func newDecoder(r io.Reader) *decoder {
	from := &bounded{from: r, left: maxHeader}
	return &decoder{from, jsontext.NewDecoder(from)}
}

func (d *decoder) header() (h Header, err error) {
	if err := d.expect(jsontext.KindBeginObject); err != nil {
		return h, err
	}
	fields := []struct {
		name     string
		to       any
		optional bool
	}{
		{"format", &h.Format, false},
		{"kind", &h.Kind, false},
		{"subject", &h.Subject, false},
		{"origin", &h.Origin, false},
		{"key", &h.Key, false},
		{"checkpoint", &h.Checkpoint, false},
		{"older", &h.Older, true},
		{"timestamp", &h.Timestamp, true},
	}
	name, err := d.name()
	for _, field := range fields {
		if err != nil {
			return h, err
		}
		if name != field.name && field.optional {
			continue
		}
		if name != field.name {
			return h, fmt.Errorf("%q stands where %q must stand", name, field.name)
		}
		if err := d.value(field.to); err != nil {
			return h, err
		}
		name, err = d.name()
	}
	if o, t := h.Older, h.Timestamp; err == nil && (o != nil && (o.Checkpoint == "" || o.Hashes == nil) || t != nil && (t.Checkpoint == "" || t.Hashes == nil)) {
		err = errors.New("an older checkpoint or a timestamp does not have all that it must have")
	}
	if err == nil && name != "runs" {
		err = fmt.Errorf("%q stands where \"runs\" must stand", name)
	}
	if err == nil {
		err = d.expect(jsontext.KindBeginArray)
	}
	return h, err
}

// run reads the next run; io.EOF is the end of a bundle that ends as it must.
func (d *decoder) run() (r Run, err error) {
	err = d.part(func() error {
		if err := d.named("begin"); err != nil {
			return err
		}
		if err := d.value(&r.Begin); err != nil {
			return err
		}
		return d.proven(&r.Beside, maxBeside, &r.Entries)
	})
	return r, err
}

// scatter reads what stands in the place of a run in the bundle of a report.
func (d *decoder) scatter() (s Scatter, err error) {
	err = d.part(func() error {
		if err := listOf(d, "indexes", RunEntries, &s.Indexes); err != nil {
			return err
		}
		return d.proven(&s.Beside, maxScattered, &s.Entries)
	})
	return s, err
}

// part reads the next object of the list that a bundle ends with.
func (d *decoder) part(members func() error) error {
	d.from.left = maxRun
	if d.json.PeekKind() == jsontext.KindEndArray {
		for _, kind := range []jsontext.Kind{jsontext.KindEndArray, jsontext.KindEndObject} {
			if err := d.expect(kind); err != nil {
				return err
			}
		}
		if _, err := d.json.ReadToken(); !errors.Is(err, io.EOF) {
			return errors.New("something stands behind its end")
		}
		return io.EOF
	}
	err := d.expect(jsontext.KindBeginObject)
	if err == nil {
		err = members()
	}
	if err == nil {
		err = d.expect(jsontext.KindEndObject)
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func (d *decoder) proven(beside *[]Digest, most int, entries *[]Entry) error {
	if err := listOf(d, "beside", most, beside); err != nil {
		return err
	}
	return d.list("entries", RunEntries, func() error {
		var e entry
		if err := d.value(&e); err != nil {
			return err
		}
		whole, err := e.whole()
		*entries = append(*entries, whole)
		return err
	})
}

// listOf reads a list of at most so many.
func listOf[T any](d *decoder, name string, most int, to *[]T) error {
	return d.list(name, most, func() error {
		var one T
		err := d.value(&one)
		*to = append(*to, one)
		return err
	})
}

// named reads the name that must stand here.
func (d *decoder) named(want string) error {
	name, err := d.name()
	if err == nil && name != want {
		err = fmt.Errorf("%q stands where %q must stand", name, want)
	}
	return err
}

func (d *decoder) list(want string, most int, each func() error) error {
	if err := d.named(want); err != nil {
		return err
	}
	if err := d.expect(jsontext.KindBeginArray); err != nil {
		return err
	}
	for n := 0; d.json.PeekKind() != jsontext.KindEndArray; n++ {
		if n == most {
			return fmt.Errorf("%q has more than %d elements", want, most)
		}
		if err := each(); err != nil {
			return err
		}
	}
	return d.expect(jsontext.KindEndArray)
}

// value reads a value that has no null in it.
func (d *decoder) value(to any) error {
	text, err := d.json.ReadValue()
	if err != nil {
		return err
	}
	if hasNull(text) {
		return errors.New("null stands where a value must stand")
	}
	return json.Unmarshal(text, to, json.RejectUnknownMembers(true))
}

// hasNull looks through JSON that was read already: outside of its strings an n is that
// of null.
func hasNull(text []byte) bool {
	for len(text) > 0 {
		quote := bytes.IndexByte(text, '"')
		if quote < 0 {
			quote = len(text)
		}
		if bytes.IndexByte(text[:quote], 'n') >= 0 {
			return true
		}
		for text = text[min(quote+1, len(text)):]; len(text) > 0; {
			at := bytes.IndexAny(text, "\"\\")
			if at < 0 || text[at] == '"' {
				text = text[at+1:]
				break
			}
			text = text[min(at+2, len(text)):]
		}
	}
	return false
}

// entry is an Entry as it stands in a file: what is not there is nil, for which Entry
// has no word.
type entry struct {
	Leaf *string `json:"leaf"`
	Said *said   `json:"said"`
}

type said struct {
	Salt     *Salt   `json:"salt"`
	Type     *string `json:"type"`
	Data     *Bytes  `json:"data"`
	Metadata *Bytes  `json:"metadata"`
}

func (e entry) whole() (Entry, error) {
	s := e.Said
	if e.Leaf == nil || s != nil && (s.Salt == nil || s.Type == nil || s.Data == nil || s.Metadata == nil) {
		return Entry{}, errors.New("an entry does not have all that it must have")
	}
	if s == nil {
		return Entry{Leaf: *e.Leaf}, nil
	}
	return Entry{Leaf: *e.Leaf, Said: &Said{Salt: *s.Salt, Type: *s.Type, Data: *s.Data, Metadata: *s.Metadata}}, nil
}

func (d *decoder) name() (string, error) {
	token, err := d.json.ReadToken()
	if err != nil {
		return "", err
	}
	if token.Kind() != jsontext.KindString {
		return "", errors.New("it ends before all of it was said")
	}
	name := token.String()
	if len(name) > 40 {
		name = name[:40]
	}
	return name, nil
}

func (d *decoder) expect(kind jsontext.Kind) error {
	token, err := d.json.ReadToken()
	if err != nil {
		return err
	}
	if token.Kind() != kind {
		return fmt.Errorf("%s stands where %s must stand", token.Kind(), kind)
	}
	return nil
}
