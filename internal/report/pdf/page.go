package pdf

import "strconv"

// Page is what is drawn on. Its origin is its lower left corner, lengths are in
// points. It can be drawn on until the next page begins.
type Page struct {
	document *Writer
	content  []byte
}

// Color is red, green and blue, from 0 to 1.
type Color struct{ R, G, B float64 }

// Text writes a line of text; y is its base line. Characters that the face lacks are
// left out.
func (p *Page) Text(face Face, size, x, y float64, color Color, text string) {
	b := p.color(color, " rg BT /F")
	b = strconv.AppendInt(b, int64(face), 10)
	b = append(appendNumber(append(b, ' '), size), " Tf "...)
	b = append(appendNumber(appendNumber(b, x), y), "Td "...)
	b = p.document.faces[face].appendString(b, text)
	p.content = append(b, " Tj ET\n"...)
}

// Total writes the number of pages that the document will have.
func (p *Page) Total(size, x, y float64) {
	b := append(p.content, "q "...)
	b = append(appendNumber(b, size), "0 0 "...)
	b = appendNumber(b, size)
	b = appendNumber(appendNumber(b, x), y)
	p.content = append(b, "cm /Total Do Q\n"...)
}

// Box fills a rectangle.
func (p *Page) Box(x, y, width, height float64, color Color) {
	b := p.color(color, " rg ")
	b = appendNumber(appendNumber(appendNumber(appendNumber(b, x), y), width), height)
	p.content = append(b, "re f\n"...)
}

// Line draws a thin line.
func (p *Page) Line(x1, y1, x2, y2 float64, color Color) {
	b := append(p.color(color, " RG "), "0.4 w "...)
	b = append(appendNumber(appendNumber(b, x1), y1), "m "...)
	b = appendNumber(appendNumber(b, x2), y2)
	p.content = append(b, "l S\n"...)
}

func (p *Page) color(c Color, operator string) []byte {
	return append(appendNumber(appendNumber(appendNumber(p.content, c.R), c.G), c.B), operator...)
}

func appendNumber(b []byte, v float64) []byte {
	return append(strconv.AppendFloat(b, v, 'f', 2, 64), ' ')
}
