package pdf

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"unicode/utf16"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

// Face is one of the typefaces that are in the program. They have the Latin, Greek
// and Cyrillic letters of WGL4, punctuation and some signs, and nothing else: ask Has.
type Face int

// The faces.
const (
	Regular Face = iota
	Bold
	Mono
	faces
)

// typeface is a face of one document, and which characters it has used.
type typeface struct {
	name   string
	file   []byte
	parsed *sfnt.Font
	buffer sfnt.Buffer
	units  fixed.Int26_6 // per em

	codes  map[rune]uint16 // a character's code in this document, from 1 on
	used   []used          // by code-1
	widths [128]float64    // of ASCII, in em; 0: not asked yet
	known  map[rune]glyph
}

type used struct {
	char  rune
	glyph glyph
}

type glyph struct {
	index uint16
	width float64 // in em
}

func openFaces() ([faces]*typeface, error) {
	var all [faces]*typeface
	for i, source := range [faces]struct {
		name string
		file []byte
	}{{"GoRegular", goregular.TTF}, {"Go-Bold", gobold.TTF}, {"GoMono", gomono.TTF}} {
		parsed, err := sfnt.Parse(source.file)
		if err != nil {
			return all, fmt.Errorf("reading the typeface %s: %w", source.name, err)
		}
		all[i] = &typeface{
			name: source.name, file: source.file, parsed: parsed, units: fixed.Int26_6(parsed.UnitsPerEm()),
			codes: make(map[rune]uint16), known: make(map[rune]glyph),
		}
	}
	return all, nil
}

func (t *typeface) glyph(c rune) glyph {
	if g, ok := t.known[c]; ok {
		return g
	}
	var g glyph
	if index, err := t.parsed.GlyphIndex(&t.buffer, c); err == nil && index != 0 {
		if advance, err := t.parsed.GlyphAdvance(&t.buffer, index, t.units, font.HintingNone); err == nil {
			g = glyph{uint16(index), float64(advance) / float64(t.units)}
		}
	}
	if len(t.known) < 1<<16 { // hostile text must not fill the memory
		t.known[c] = g
	}
	return g
}

func (t *typeface) width(c rune) float64 {
	if c < 0 || int(c) >= len(t.widths) {
		return t.glyph(c).width
	}
	if t.widths[c] == 0 {
		t.widths[c] = t.glyph(c).width
	}
	return t.widths[c]
}

// appendString writes text as a string of codes. What the face lacks is left out:
// callers ask Has before.
func (t *typeface) appendString(b []byte, text string) []byte {
	b = append(b, '(')
	for _, c := range text {
		code, ok := t.codes[c]
		if !ok {
			g := t.glyph(c)
			if g.index == 0 {
				continue
			}
			t.used = append(t.used, used{c, g})
			code = uint16(len(t.used)) //nolint:gosec // a face has less than 2^16 glyphs
			t.codes[c] = code
		}
		for _, octet := range binary.BigEndian.AppendUint16(nil, code) {
			switch octet {
			case '(', ')', '\\':
				b = append(b, '\\', octet)
			case '\r': // a reader may turn it into \n
				b = append(b, '\\', 'r')
			default:
				b = append(b, octet)
			}
		}
	}
	return append(b, ')')
}

// glyphOfCode is the table that leads from codes to glyphs.
func (t *typeface) glyphOfCode() []byte {
	table := make([]byte, 2, 2+2*len(t.used))
	for _, u := range t.used {
		table = binary.BigEndian.AppendUint16(table, u.glyph.index)
	}
	return table
}

// widthOfCode is the table of widths, in thousandths of an em.
func (t *typeface) widthOfCode() []byte {
	b := []byte("[1 [")
	for _, u := range t.used {
		b = fmt.Appendf(b, "%.4g ", u.glyph.width*1000)
	}
	return append(b, "]]"...)
}

// toUnicode tells readers which character a code stands for.
func (t *typeface) toUnicode() []byte {
	var b bytes.Buffer
	b.WriteString("/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n" +
		"/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def\n" +
		"/CMapName /Adobe-Identity-UCS def /CMapType 2 def\n" +
		"1 begincodespacerange <0000> <FFFF> endcodespacerange\n")
	code := 0
	for chunk := range slices.Chunk(t.used, 100) { // as many as the format allows
		fmt.Fprintf(&b, "%d beginbfchar\n", len(chunk))
		for _, u := range chunk {
			code++
			fmt.Fprintf(&b, "<%04X> <", code)
			for _, unit := range utf16.Encode([]rune{u.char}) {
				fmt.Fprintf(&b, "%04X", unit)
			}
			b.WriteString(">\n")
		}
		b.WriteString("endbfchar\n")
	}
	b.WriteString("endcmap CMapName currentdict /CMap defineresource pop end end\n")
	return b.Bytes()
}

// subset is the font file with the outlines of the used glyphs alone. Glyphs keep
// their numbers; the others are empty.
func (t *typeface) subset() ([]byte, error) {
	tables, err := tablesOf(t.file)
	if err != nil {
		return nil, fmt.Errorf("reading the typeface %s: %w", t.name, err)
	}
	keep := map[uint16]bool{0: true}
	for _, u := range t.used {
		keep[u.glyph.index] = true
	}
	if err := tables.reduce(keep); err != nil {
		return nil, fmt.Errorf("reducing the typeface %s: %w", t.name, err)
	}
	return tables.file(), nil
}

// outline are the metrics of a whole face, in thousandths of an em.
type outline struct{ ascent, descent, capHeight, left, bottom, right, top int }

func (t *typeface) outline() (outline, error) {
	m, err := t.parsed.Metrics(&t.buffer, t.units, font.HintingNone)
	if err != nil {
		return outline{}, fmt.Errorf("measuring the typeface %s: %w", t.name, err)
	}
	box, err := t.parsed.Bounds(&t.buffer, t.units, font.HintingNone)
	if err != nil {
		return outline{}, fmt.Errorf("measuring the typeface %s: %w", t.name, err)
	}
	thousandths := func(v fixed.Int26_6) int { return int(v) * 1000 / int(t.units) }
	return outline{ // y grows downwards in sfnt, upwards in PDF
		thousandths(m.Ascent), -thousandths(m.Descent), thousandths(cmp.Or(m.CapHeight, m.Ascent)),
		thousandths(box.Min.X), -thousandths(box.Max.Y), thousandths(box.Max.X), -thousandths(box.Min.Y),
	}, nil
}
