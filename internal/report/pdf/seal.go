package pdf

import (
	"crypto/sha256"
	"fmt"
)

// Seal is a comment before the end of the document that speaks of all its other bytes.
// Begins stands before its text; it begins with a line feed and a percent sign. Text is
// asked for once, when the rest is known: it is given the SHA-256 of the document
// without the text, and must have no line feed.
type Seal struct {
	Begins string
	Text   func(digest [sha256.Size]byte) (string, error)
}

// CloseSealed is Close, with a seal.
func (d *Writer) CloseSealed(s Seal) error { return d.close(&s) }

// end writes what stands behind the trailer.
func (d *Writer) end(table int64, s *Seal) error {
	end := fmt.Appendf(nil, "\nstartxref\n%d\n%%%%EOF\n", table)
	if s == nil {
		d.bytes(end)
		return d.err
	}
	d.bytes([]byte(s.Begins))
	if d.err == nil {
		d.err = d.out.Flush() // into the sum
	}
	if d.err != nil {
		return d.err
	}
	d.sum.Write(end)
	text, err := s.Text([sha256.Size]byte(d.sum.Sum(nil)))
	if err != nil {
		return err
	}
	d.bytes(append([]byte(text), end...))
	return d.err
}
