package report

import (
	"io"
	"strconv"
	"strings"

	"github.com/tradetrail/tradetrail/internal/report/pdf"
)

// The measures of a page, in points.
const (
	pageMargin  = 36.0
	footerSize  = 7.0
	titleSize   = 16.0
	headingSize = 11.0
	textSize    = 8.0
	cellSize    = 6.8
	lineFactor  = 1.3 // of the size
	cellGap     = 4.0
	markWidth   = 12.0
	barHeight   = 8.0
	barNames    = 190.0
	barTimes    = 110.0
)

func ink() pdf.Color   { return pdf.Color{} }
func faint() pdf.Color { return pdf.Color{R: 0.7, G: 0.7, B: 0.7} }

// shade is the colour behind what stands out, strong that of its bar.
func (t Tone) shade() pdf.Color {
	if t == Alarm {
		return pdf.Color{R: 0.98, G: 0.84, B: 0.84}
	}
	return pdf.Color{R: 1, G: 0.95, B: 0.78}
}

func (t Tone) strong() pdf.Color {
	switch t {
	case Alarm:
		return pdf.Color{R: 0.7, G: 0.1, B: 0.15}
	case Notice:
		return pdf.Color{R: 0.8, G: 0.55, B: 0}
	default:
		return pdf.Color{R: 0.23, G: 0.43, B: 0.65}
	}
}

// writePDF writes pages of A4 across. A row that does not fit on a page goes on on the
// next, below the table's columns; nothing is cut off.
func writePDF(w io.Writer, d Document) error {
	writer, err := pdf.NewWriter(w, pdf.A4Landscape, pdf.Properties{
		Title: d.Title, Subject: visible(joinedFacts(d.About), nil), Creator: "Tradetrail", Language: "en", Created: d.Created,
	})
	if err != nil {
		return err
	}
	p := &pdfOutput{writer: writer, document: d, width: pdf.A4Landscape.Width - 2*pageMargin}
	p.newPage()
	p.paragraph(pdf.Bold, titleSize, d.Title, Plain)
	p.facts(d.About)
	for block, err := range d.Contents {
		if err == nil {
			err = p.block(block)
		}
		if err != nil {
			return err
		}
	}
	return d.proof.close(writer, d)
}

func joinedFacts(facts Facts) string {
	texts := make([]string, len(facts))
	for i, f := range facts {
		texts[i] = f.Name + ": " + f.Value
	}
	return strings.Join(texts, "; ")
}

type pdfOutput struct {
	writer   *pdf.Writer
	document Document
	page     *pdf.Page
	width    float64
	y        float64 // of the upper end of what comes next
	onPage   func()  // what a table repeats on each page
}

func (p *pdfOutput) newPage() {
	p.page = p.writer.Page()
	number := strconv.Itoa(p.writer.Pages()) + " of "
	left := fitted(p, p.document.Title+"  -  created "+timeText(p.document.Created)+"  -  times are UTC", p.width-80)
	p.page.Text(pdf.Regular, footerSize, pageMargin, pageMargin/2, ink(), left)
	x := pageMargin + p.width - 60
	p.page.Text(pdf.Regular, footerSize, x, pageMargin/2, ink(), number)
	p.page.Total(footerSize, x+p.measure(pdf.Regular, footerSize, number), pageMargin/2)
	p.y = pdf.A4Landscape.Height - pageMargin
	if p.onPage != nil {
		p.onPage()
	}
}

// fitted is text for the foot of a page, which stands in full at its head.
func fitted(p *pdfOutput, text string, width float64) string {
	lines := p.wrap(pdf.Regular, footerSize, width, text)
	if len(lines) == 1 {
		return lines[0]
	}
	return lines[0] + "..."
}

// room makes sure that so much is left on the page.
func (p *pdfOutput) room(height float64) {
	if p.y-height < pageMargin {
		p.newPage()
	}
}

func (p *pdfOutput) measure(face pdf.Face, size float64, text string) float64 {
	width := 0.0
	for _, c := range text {
		width += p.writer.Width(face, c)
	}
	return width * size
}

// wrap breaks text into lines that fit: behind a space or a sign where there is one in
// the second half of the line, else anywhere. There is at least one.
func (p *pdfOutput) wrap(face pdf.Face, size, width float64, text string) []string {
	text = visible(text, func(c rune) bool { return p.writer.Has(face, c) })
	limit := width / size
	var lines []string
	start, used, breakAt, usedAtBreak := 0, 0.0, 0, 0.0
	for i, c := range text {
		w := p.writer.Width(face, c)
		if used+w > limit && i > start {
			cut, rest := i, 0.0
			if breakAt > start && usedAtBreak > limit/2 {
				cut, rest = breakAt, used-usedAtBreak
			}
			lines = append(lines, text[start:cut])
			start, used = cut, rest
		}
		used += w
		switch c {
		case ' ', ',', ';', ':', '/', '-', '_', '.', '|':
			breakAt, usedAtBreak = i+1, used
		}
	}
	return append(lines, text[start:])
}

func (p *pdfOutput) block(block Block) error {
	switch b := block.(type) {
	case Section:
		p.y -= headingSize
		p.room(4 * headingSize) // not alone at the foot of a page
		p.paragraph(pdf.Bold, headingSize, b.Title, Plain)
	case Facts:
		p.facts(b)
	case Note:
		p.paragraph(pdf.Regular, textSize, marked(b.Tone, b.Text), b.Tone)
	case Timeline:
		p.timeline(b)
	case Table:
		return p.table(b)
	}
	return p.writer.Err()
}

func (p *pdfOutput) paragraph(face pdf.Face, size float64, text string, tone Tone) {
	p.lines(face, size, pageMargin, p.wrap(face, size, p.width, text), tone)
	p.y -= size * 0.4
}

// lines writes lines one below the other, over as many pages as it takes.
func (p *pdfOutput) lines(face pdf.Face, size, x float64, lines []string, tone Tone) {
	height := size * lineFactor
	for _, line := range lines {
		p.room(height)
		if tone != Plain {
			p.page.Box(x-2, p.y-height, pageMargin+p.width-x+4, height, tone.shade())
		}
		p.page.Text(face, size, x, p.y-size, ink(), line)
		p.y -= height
	}
}

func (p *pdfOutput) facts(facts Facts) {
	const names = 190
	for _, f := range facts {
		lines := p.wrap(pdf.Regular, textSize, p.width-names, f.Value)
		p.room(textSize * lineFactor)
		p.page.Text(pdf.Bold, textSize, pageMargin, p.y-textSize, ink(), fitted(p, f.Name, names))
		p.lines(pdf.Regular, textSize, pageMargin+names, lines, Plain)
	}
	p.y -= textSize * 0.4
}

func (p *pdfOutput) table(t Table) error {
	weights := 0.0
	for _, c := range t.Columns {
		weights += c.Weight
	}
	places := make([]float64, len(t.Columns)+1) // where columns begin
	places[0] = pageMargin + markWidth
	for i, c := range t.Columns {
		places[i+1] = places[i] + (p.width-markWidth)*c.Weight/weights
	}
	defer func() { p.onPage = nil }()
	empty := true
	for row, err := range t.Rows {
		if err != nil {
			return err
		}
		if empty {
			empty = false
			p.room(4 * cellSize * lineFactor)
			head := p.head(t, places)
			head()
			p.onPage = head
		}
		p.row(row, places)
		if err := p.writer.Err(); err != nil {
			return err
		}
	}
	p.onPage = nil
	if empty {
		p.paragraph(pdf.Regular, textSize, t.Empty, Plain)
	}
	p.y -= textSize * 0.4
	return nil
}

func (p *pdfOutput) head(t Table, places []float64) func() {
	return func() {
		deepest := 1
		for i, c := range t.Columns {
			lines := p.wrap(pdf.Bold, cellSize, places[i+1]-places[i]-cellGap, c.Name)
			deepest = max(deepest, len(lines))
			for n, line := range lines {
				p.page.Text(pdf.Bold, cellSize, places[i], p.y-cellSize-float64(n)*cellSize*lineFactor, ink(), line)
			}
		}
		p.y -= float64(deepest)*cellSize*lineFactor + 1
		p.page.Line(pageMargin, p.y, pageMargin+p.width, p.y, ink())
		p.y -= 1
	}
}

// row writes cells side by side, as much of each as the page has room for, until they
// are all written.
func (p *pdfOutput) row(row Row, places []float64) {
	const height = cellSize * lineFactor
	cells := make([][]string, len(row.Cells))
	left := 1
	for i, cell := range row.Cells {
		cells[i] = p.wrap(pdf.Regular, cellSize, places[i+1]-places[i]-cellGap, cell)
		left = max(left, len(cells[i]))
	}
	// A row that fits on one page is not taken apart.
	if whole := float64(left) * height; whole < pdf.A4Landscape.Height/3 {
		p.room(whole)
	}
	for first := true; left > 0; first = false {
		p.room(height)
		now := min(left, max(1, int((p.y-pageMargin)/height))) // where one just fits, the quotient may be a hair less
		if row.Tone != Plain {
			p.page.Box(pageMargin, p.y-float64(now)*height, p.width, float64(now)*height, row.Tone.shade())
			if first {
				p.page.Text(pdf.Bold, cellSize, pageMargin+2, p.y-cellSize, row.Tone.strong(), row.Tone.mark())
			}
		}
		for i, lines := range cells {
			part := lines[:min(now, len(lines))]
			cells[i] = lines[len(part):]
			for n, line := range part {
				p.page.Text(pdf.Regular, cellSize, places[i], p.y-cellSize-float64(n)*height, ink(), line)
			}
		}
		p.y -= float64(now) * height
		left -= now
	}
	for _, note := range row.Notes {
		p.lines(pdf.Bold, cellSize, places[0], p.wrap(pdf.Bold, cellSize, pageMargin+p.width-places[0], note), row.Tone)
	}
	p.page.Line(pageMargin, p.y, pageMargin+p.width, p.y, faint())
}

func (p *pdfOutput) timeline(t Timeline) {
	scale := p.width - barNames - barTimes
	for _, s := range t.Steps {
		p.room(barHeight + 3)
		names := p.wrap(pdf.Regular, cellSize, barNames-cellGap, marked(s.Tone, s.Name))
		from, length := bar(s, t.Total, int(scale))
		top := p.y
		p.page.Box(pageMargin+barNames+float64(from), top-barHeight, float64(length), barHeight-2, s.Tone.strong())
		p.page.Text(pdf.Regular, cellSize, pageMargin+p.width-barTimes+cellGap, top-cellSize, ink(), durationText(s.Latency))
		p.lines(pdf.Regular, cellSize, pageMargin, names, Plain)
		p.y -= 1.5
	}
	if t.Left > 0 {
		p.paragraph(pdf.Regular, textSize, strconv.Itoa(t.Left)+" more steps are in the table.", Plain)
	}
}
