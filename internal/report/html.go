package report

import (
	"bufio"
	"fmt"
	"html"
	"io"
)

// htmlStyle and what follows are all that the page has: no script, nothing from
// elsewhere.
const htmlHead = `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>%s</title>
<style>
body{font:14px/1.45 system-ui,sans-serif;margin:2em;color:#111}
table{border-collapse:collapse;width:100%%;margin:.6em 0}
th,td{border-bottom:1px solid #ccc;padding:.2em .5em;text-align:left;vertical-align:top;overflow-wrap:anywhere}
thead{display:table-header-group}
td,dd,text{unicode-bidi:isolate}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1em 1em}dd{margin:0;overflow-wrap:anywhere}
.notice{background:#fff3cd}.alarm{background:#f8d7da}
.why{font-style:italic}
</style></head><body>
`

// The measures of a timeline in HTML, in CSS pixels.
const (
	htmlBars  = 400
	htmlNames = 260
	htmlStep  = 20
)

// writeHTML writes a page that stands alone.
func writeHTML(w io.Writer, d Document) error {
	h := &htmlOutput{bufio.NewWriter(w)}
	h.printf(htmlHead, htmlText(d.Title))
	h.printf("<h1>%s</h1>\n", htmlText(d.Title))
	h.facts(d.About)
	for block, err := range d.Contents {
		if err == nil {
			err = h.block(block)
		}
		if err != nil {
			return err
		}
	}
	h.printf("</body></html>\n")
	return h.out.Flush()
}

type htmlOutput struct{ out *bufio.Writer }

func htmlText(text string) string { return html.EscapeString(visible(text, nil)) }

// printf leaves errors to Flush, which returns the first.
func (h *htmlOutput) printf(format string, args ...any) { fmt.Fprintf(h.out, format, args...) }

func (h *htmlOutput) block(block Block) error {
	switch b := block.(type) {
	case Section:
		h.printf("<h2>%s</h2>\n", htmlText(b.Title))
	case Facts:
		h.facts(b)
	case Note:
		h.printf("<p class=\"%s\">%s</p>\n", b.Tone, htmlText(marked(b.Tone, b.Text)))
	case Timeline:
		h.timeline(b)
	case Table:
		return h.table(b)
	}
	return nil
}

func marked(tone Tone, text string) string {
	if tone == Plain {
		return text
	}
	return tone.mark() + " " + text
}

func (h *htmlOutput) facts(facts Facts) {
	h.printf("<dl>\n")
	for _, f := range facts {
		h.printf("<dt>%s</dt><dd>%s</dd>\n", htmlText(f.Name), htmlText(f.Value))
	}
	h.printf("</dl>\n")
}

func (h *htmlOutput) table(t Table) error {
	empty := true
	for row, err := range t.Rows {
		if err != nil {
			return err
		}
		if empty {
			empty = false
			h.printf("<table><thead><tr><th></th>")
			for _, c := range t.Columns {
				h.printf("<th>%s</th>", htmlText(c.Name))
			}
			h.printf("</tr></thead><tbody>\n")
		}
		h.printf("<tr class=\"%s\"><td>%s</td>", row.Tone, row.Tone.mark())
		for _, cell := range row.Cells {
			h.printf("<td>%s</td>", htmlText(cell))
		}
		h.printf("</tr>\n")
		for _, note := range row.Notes {
			h.printf("<tr class=\"%s why\"><td></td><td colspan=\"%d\">%s</td></tr>\n", row.Tone, len(t.Columns), htmlText(note))
		}
		if err := failed(h.out); err != nil {
			return err
		}
	}
	if empty {
		h.printf("<p>%s</p>\n", htmlText(t.Empty))
		return nil
	}
	h.printf("</tbody></table>\n")
	return nil
}

func (h *htmlOutput) timeline(t Timeline) {
	height := htmlStep * len(t.Steps)
	h.printf("<svg role=\"img\" aria-label=\"timeline\" width=\"100%%\" viewBox=\"0 0 %d %d\" font-size=\"12\">\n", 2*htmlNames+htmlBars, height)
	for i, s := range t.Steps {
		from, length := bar(s, t.Total, htmlBars)
		y := htmlStep * i
		fill := map[Tone]string{Plain: "#3b6ea5", Notice: "#d39e00", Alarm: "#b02a37"}[s.Tone]
		h.printf("<text x=\"0\" y=\"%d\">%s</text><rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"12\" fill=\"%s\"/><text x=\"%d\" y=\"%d\">%s</text>\n",
			y+13, htmlText(marked(s.Tone, s.Name)), htmlNames+from, y+3, length, fill, htmlNames+htmlBars+10, y+13, durationText(s.Latency))
	}
	h.printf("</svg>\n")
	if t.Left > 0 {
		h.printf("<p>%d more steps are in the table.</p>\n", t.Left)
	}
}
