package pdf

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"strconv"
	"time"
	"unicode/utf16"
)

// Properties are what readers show about a document.
type Properties struct {
	Title, Subject, Creator string
	Language                string    // BCP 47, such as en
	Created                 time.Time // the only time in the file
}

// Size is a page's, in points: 72 to the inch.
type Size struct{ Width, Height float64 }

// The sizes of pages.
var (
	A4          = Size{595.28, 841.89}
	A4Landscape = Size{841.89, 595.28}
)

// The numbers of the objects that are there once; fonts take four each, and pages
// follow.
const (
	catalogObject = iota + 1
	pagesObject
	infoObject
	resourcesObject
	totalObject
	firstFontObject
)

// objectsOfFont: font, descendant, descriptor, file, codes, characters.
const objectsOfFont = 6

// Writer writes one document. It is for one goroutine. Close must be called.
type Writer struct {
	out     *bufio.Writer
	sum     hash.Hash // of what was written
	size    Size
	about   Properties
	faces   [faces]*typeface
	page    *Page
	buffer  []byte // of the page
	packed  bytes.Buffer
	packer  *zlib.Writer
	written int64
	offsets []int64 // of objects, by number-1
	pages   []int   // their objects
	err     error   // the first of writing

	attachment Attachment
	attached   int // its object, 0 without
}

// NewWriter begins a document whose pages are all of one size. It holds a page of it in
// memory, and some bytes for each page before.
func NewWriter(w io.Writer, size Size, about Properties) (*Writer, error) {
	all, err := openFaces()
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	d := &Writer{out: bufio.NewWriterSize(io.MultiWriter(w, sum), 64<<10), sum: sum, size: size, about: about, faces: all}
	d.packer, err = zlib.NewWriterLevel(&d.packed, zlib.BestSpeed)
	if err != nil {
		return nil, fmt.Errorf("making a compressor: %w", err)
	}
	d.offsets = make([]int64, firstFontObject-1+objectsOfFont*int(faces))
	d.print("%%PDF-1.7\n%%\xe2\xe3\xcf\xd3\n")
	return d, nil
}

// Has reports whether a face has a character.
func (d *Writer) Has(face Face, c rune) bool { return d.faces[face].glyph(c).index != 0 }

// Width is how wide a character is, in em; 0 if the face lacks it.
func (d *Writer) Width(face Face, c rune) float64 { return d.faces[face].width(c) }

// Pages is how many pages there are so far.
func (d *Writer) Pages() int {
	if d.page == nil {
		return len(d.pages)
	}
	return len(d.pages) + 1
}

// Page begins the next page; the one before is written and can't be drawn on.
func (d *Writer) Page() *Page {
	d.endPage()
	d.page = &Page{document: d, content: d.buffer[:0]}
	return d.page
}

func (d *Writer) endPage() {
	if d.page == nil {
		return
	}
	content := d.newObject()
	d.stream(content, "", d.page.content)
	d.buffer = d.page.content
	d.page.document, d.page = nil, nil
	page := d.newObject()
	d.object(page, "<< /Type /Page /Parent %d 0 R /MediaBox [0 0 %.2f %.2f] /Resources %d 0 R /Contents %d 0 R >>",
		pagesObject, d.size.Width, d.size.Height, resourcesObject, content)
	d.pages = append(d.pages, page)
}

// Close writes what is left, and returns the first error of all.
func (d *Writer) Close() error { return d.close(nil) }

func (d *Writer) close(s *Seal) error {
	if d.Pages() == 0 {
		d.Page()
	}
	d.endPage()
	// The number of pages stands in one place, and all pages show that.
	count := d.faces[Regular]
	d.object(totalObject, "%s", d.form(append(count.appendString(fmt.Appendf(nil, "BT /F%d 1 Tf 0 g ", Regular), strconv.Itoa(len(d.pages))), " Tj ET"...)))
	resources := fmt.Appendf(nil, "<< /XObject << /Total %d 0 R >> /Font <<", totalObject)
	for i, face := range d.faces {
		if err := d.font(firstFontObject+objectsOfFont*i, face); err != nil {
			return err
		}
		resources = fmt.Appendf(resources, " /F%d %d 0 R", i, firstFontObject+objectsOfFont*i)
	}
	d.object(resourcesObject, "%s >> >>", resources)
	kids := make([]byte, 0, 10*len(d.pages))
	for _, page := range d.pages {
		kids = fmt.Appendf(kids, "%d 0 R ", page)
	}
	d.object(pagesObject, "<< /Type /Pages /Count %d /Kids [%s] >>", len(d.pages), kids)
	d.object(catalogObject, "<< /Type /Catalog /Pages %d 0 R /Lang %s /ViewerPreferences << /DisplayDocTitle true >>%s >>", pagesObject, hexString(d.about.Language), d.associated())
	created := d.about.Created.UTC().Format("D:20060102150405Z")
	info := fmt.Sprintf("<< /Title %s /Subject %s /Creator %s /Producer %[3]s /CreationDate (%s) /ModDate (%[4]s) >>",
		hexString(d.about.Title), hexString(d.about.Subject), hexString(d.about.Creator), created)
	d.object(infoObject, "%s", info)
	start := d.written
	d.print("xref\n0 %d\n0000000000 65535 f \n", len(d.offsets)+1)
	for _, offset := range d.offsets {
		d.print("%010d 00000 n \n", offset)
	}
	id := sha256.Sum256([]byte(info))
	d.print("trailer\n<< /Size %d /Root %d 0 R /Info %d 0 R /ID [<%x> <%[4]x>] >>", len(d.offsets)+1, catalogObject, infoObject, id[:16])
	if err := d.end(start, s); err != nil {
		return err
	}
	if d.err == nil {
		d.err = d.out.Flush()
	}
	return d.err
}

// form is an object that pages can show; its unit is one em.
func (d *Writer) form(content []byte) []byte {
	return fmt.Appendf(nil, "<< /Type /XObject /Subtype /Form /BBox [0 -1 20 2] /Resources %d 0 R /Length %d >>\nstream\n%s\nendstream", resourcesObject, len(content), content)
}

func (d *Writer) font(first int, face *typeface) error {
	file, err := face.subset()
	if err != nil {
		return err
	}
	o, err := face.outline()
	if err != nil {
		return err
	}
	const flags = 4 // symbolic: no encoding of its own
	name := "TRAILS+" + face.name
	descendant, descriptor, data, codes, characters := first+1, first+2, first+3, first+4, first+5
	d.object(first, "<< /Type /Font /Subtype /Type0 /BaseFont /%s /Encoding /Identity-H /DescendantFonts [%d 0 R] /ToUnicode %d 0 R >>", name, descendant, characters)
	d.object(descendant, "<< /Type /Font /Subtype /CIDFontType2 /BaseFont /%s /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> "+
		"/FontDescriptor %d 0 R /CIDToGIDMap %d 0 R /W %s >>", name, descriptor, codes, face.widthOfCode())
	d.object(descriptor, "<< /Type /FontDescriptor /FontName /%s /Flags %d /FontBBox [%d %d %d %d] /ItalicAngle 0 /Ascent %d /Descent %d /CapHeight %d /StemV 80 /FontFile2 %d 0 R >>",
		name, flags, o.left, o.bottom, o.right, o.top, o.ascent, o.descent, o.capHeight, data)
	d.stream(data, fmt.Sprintf("/Length1 %d", len(file)), file)
	d.stream(codes, "", face.glyphOfCode())
	d.stream(characters, "", face.toUnicode())
	return d.err
}

func (d *Writer) newObject() int {
	d.offsets = append(d.offsets, 0)
	return len(d.offsets)
}

func (d *Writer) object(number int, format string, args ...any) {
	d.offsets[number-1] = d.written
	d.print("%d 0 obj\n", number)
	d.print(format, args...)
	d.print("\nendobj\n")
}

func (d *Writer) stream(number int, entries string, content []byte) {
	d.packed.Reset()
	d.packer.Reset(&d.packed)
	_, _ = d.packer.Write(content) // a Buffer takes everything
	_ = d.packer.Close()
	d.object(number, "<< /Filter /FlateDecode /Length %d %s >>\nstream\n%s\nendstream", d.packed.Len(), entries, d.packed.Bytes())
}

func (d *Writer) print(format string, args ...any) {
	if d.err != nil {
		return
	}
	n, err := fmt.Fprintf(d.out, format, args...)
	d.written += int64(n)
	d.err = err
}

func (d *Writer) bytes(b []byte) {
	if d.err != nil {
		return
	}
	n, err := d.out.Write(b)
	d.written += int64(n)
	d.err = err
}

// Err is the first error of writing so far: a caller that writes much asks now and
// then whether it is worth it.
func (d *Writer) Err() error { return d.err }

// hexString writes text as UTF-16 with its mark, as properties need it.
func hexString(text string) string {
	b := []byte("<FEFF")
	for _, unit := range utf16.Encode([]rune(text)) {
		b = fmt.Appendf(b, "%04X", unit)
	}
	return string(append(b, '>'))
}
