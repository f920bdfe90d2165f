package pdf

import (
	"compress/zlib"
	"errors"
	"fmt"
	"io"
)

// Attachment is a file within the document, which readers list beside its pages.
type Attachment struct {
	Name        string // ASCII, such as proof.json
	Media       string // its media type
	Description string
}

// Place is where bytes stand in the document, from its beginning.
type Place struct{ Offset, Length int64 }

// Attach puts a file behind the pages there are so far: write writes what is in it.
// Nothing of it is kept in memory. What stands at the place that is returned is a zlib
// stream. A document has one at most.
func (d *Writer) Attach(a Attachment, write func(io.Writer) error) (Place, error) {
	d.endPage()
	if d.attached != 0 {
		return Place{}, errors.New("attaching to a PDF: there is an attachment already")
	}
	file, length := d.newObject(), d.newObject()
	d.offsets[file-1] = d.written
	d.print("%d 0 obj\n<< /Type /EmbeddedFile /Subtype /%s /Filter /FlateDecode /Length %d 0 R >>\nstream\n", file, name(a.Media), length)
	place := Place{Offset: d.written}
	packer, err := zlib.NewWriterLevel(raw{d}, zlib.BestSpeed)
	if err != nil {
		return Place{}, fmt.Errorf("making a compressor: %w", err)
	}
	if err := write(packer); err != nil {
		return Place{}, err
	}
	if err := packer.Close(); err != nil {
		return Place{}, err
	}
	place.Length = d.written - place.Offset
	d.print("\nendstream\nendobj\n")
	d.object(length, "%d", place.Length)
	d.attached, d.attachment = d.newObject(), a
	d.object(d.attached, "<< /Type /Filespec /F (%s) /UF %s /Desc %s /AFRelationship /Data /EF << /F %d 0 R /UF %[4]d 0 R >> >>",
		a.Name, hexString(a.Name), hexString(a.Description), file)
	return place, d.err
}

// associated are the entries of the catalog that name the attachment.
func (d *Writer) associated() string {
	if d.attached == 0 {
		return ""
	}
	return fmt.Sprintf(" /AF [%d 0 R] /Names << /EmbeddedFiles << /Names [%s %[1]d 0 R] >> >>", d.attached, hexString(d.attachment.Name))
}

// raw writes bytes as they are.
type raw struct{ to *Writer }

func (r raw) Write(p []byte) (int, error) {
	r.to.bytes(p)
	return len(p), r.to.err
}

// name writes a name: what is no letter and no digit as its code.
func name(text string) string {
	var out []byte
	for _, c := range []byte(text) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
			out = append(out, c)
			continue
		}
		out = fmt.Appendf(out, "#%02X", c)
	}
	return string(out)
}
