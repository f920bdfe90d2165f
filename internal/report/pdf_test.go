package report_test

import (
	"bytes"
	"fmt"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/report"
)

// bars are those of a timeline in text.
var bars = regexp.MustCompile(` *\| *#+ *\| `)

func TestPDF_HasAllThatTheTextHas(t *testing.T) {
	v := newMemory(desk()...)
	for _, r := range []report.Request{
		{Kind: report.Order, ID: "O-1"},
		{Kind: report.Account, ID: "ACC-1"},
		{Kind: report.Daily, Day: "2026-03-02"},
		{Kind: report.Compliance},
	} {
		t.Run(string(r.Kind), func(t *testing.T) {
			got := squeezed(pdfText(t, written(t, v, as(r, report.PDF))))
			for line := range strings.Lines(string(written(t, v, as(r, report.Text)))) {
				line = bars.ReplaceAllString(line, " | ")
				for cell := range strings.SplitSeq(strings.TrimLeft(line, "!^ "), " | ") {
					if cell = strings.Trim(cell, " -=\n"); strings.Contains(cell, "  ") {
						name, value, _ := strings.Cut(cell, "  ")
						assert.Contains(t, got, squeezed(name))
						cell = value
					}
					assert.Contains(t, got, squeezed(cell))
				}
			}
		})
	}
}

// A table of many pages, with an id and an amount in each row that are longer than
// their columns: everything is there, and on each page the columns are named.
func TestPDF_NothingIsCutOff(t *testing.T) {
	var events []*domain.Event
	for i := range 400 {
		id := fmt.Sprintf("%d-%s", i, strings.Repeat("averylongidwithoutanyplacetobreak", 4))
		events = append(events, &domain.Event{
			ID: id, Type: domain.OrderPartiallyFilled, OccurredAt: created().Add(time.Duration(i)), OrderID: "order-" + id, AccountID: "ACC",
			Data: fmt.Appendf(nil, `{"fill_price":"%d.000000000000000000000000000000000001230","fill_quantity":"0.10"}`, i),
		})
	}
	// A single event that is longer than a page.
	events = append(events, &domain.Event{ID: "huge", Type: "strange.thing", OccurredAt: created(), AccountID: "ACC", Data: []byte(`{"x":"` + strings.Repeat("0123456789", 3000) + `END"}`)})
	file := written(t, newMemory(events...), report.Request{Kind: report.Account, ID: "ACC", Format: report.PDF})
	text := pdfText(t, file)
	flat := squeezed(text)
	for _, e := range events[:400] {
		assert.Contains(t, flat, e.ID)
		assert.Contains(t, flat, string(e.Data))
	}
	assert.Contains(t, flat, `END"}`)
	pages := strings.Split(strings.TrimSuffix(text, "\f"), "\f")
	require.Greater(t, len(pages), 10)
	for i, page := range pages {
		assert.Contains(t, page, fmt.Sprintf("%d of %d", i+1, len(pages)))
		if i > 0 && i < len(pages)-1 { // the table ends on the last
			assert.Contains(t, squeezed(page), "OccurredatRecordedat", "page %d names no columns", i+1)
		}
	}
}

func TestPDF_HostileText(t *testing.T) {
	for text, want := range map[string]string{
		"(bracket \\ and )":  "(bracket \\ and )",
		"\u4e2d\u6587":       "[U+4E2D][U+6587]",
		"emoji \U0001F600":   "emoji [U+1F600]",
		"right\u202eto left": "right[U+202E]to left",
		"zero\u200bwidth":    "zero[U+200B]width",
		"nul\x00 bell\x07":   "nul[U+0000] bell[U+0007]",
		"broken \xff utf8":   "broken [0xFF] utf8",
		"\u0416\u00e9\u03a9\u2126\u00b5\u03bc\u00a0\u20ac": "\u0416\u00e9\u03a9\u2126\u00b5\u03bc\u00a0\u20ac",
		"<script>alert(1)</script>":                        "<script>alert(1)</script>",
		"ESC \x1b[31m":                                     "ESC [U+001B][31m",
		"%%EOF endstream endobj":                           "%%EOF endstream endobj",
	} {
		e := &domain.Event{ID: "e", Type: "strange.thing", OccurredAt: created(), AccountID: "ACC", Actor: text}
		got := pdfText(t, written(t, newMemory(e), report.Request{Kind: report.Account, ID: "ACC", Format: report.PDF}))
		assert.Contains(t, squeezed(got), squeezed(want), "%q", text)
		plain := written(t, newMemory(e), report.Request{Kind: report.Account, ID: "ACC", Format: report.Text})
		assert.NotContains(t, string(plain), "\x1b")
		assert.NotContains(t, string(plain), "\u202e")
		page := written(t, newMemory(e), report.Request{Kind: report.Account, ID: "ACC", Format: report.HTML})
		assert.NotContains(t, string(page), "<script")
	}
}

// The rendered page of a chain shows the anomaly: in the colours that nothing else has.
func TestPDF_AnomaliesAreVisible(t *testing.T) {
	program := poppler(t, "pdftoppm")
	red := func(events []*domain.Event) int {
		dir := t.TempDir()
		in := filepath.Join(dir, "in.pdf")
		require.NoError(t, os.WriteFile(in, written(t, newMemory(events...), report.Request{Kind: report.Order, ID: "O-1", Format: report.PDF}), 0o600))
		out, err := exec.CommandContext(t.Context(), program, "-png", "-r", "50", in, filepath.Join(dir, "page")).CombinedOutput()
		require.NoError(t, err, string(out))
		require.Empty(t, string(out))
		pages, err := filepath.Glob(filepath.Join(dir, "page*.png"))
		require.NoError(t, err)
		require.NotEmpty(t, pages)
		count := 0
		for _, page := range pages {
			data, err := os.ReadFile(page)
			require.NoError(t, err)
			picture, err := png.Decode(bytes.NewReader(data))
			require.NoError(t, err)
			for y := range picture.Bounds().Dy() {
				for x := range picture.Bounds().Dx() {
					if r, g, b, _ := picture.At(x, y).RGBA(); r>>8 > 160 && int(r>>8)-int(g>>8) > 25 && int(r>>8)-int(b>>8) > 25 {
						count++
					}
				}
			}
		}
		return count
	}
	with := desk()
	var without []*domain.Event
	for _, e := range with {
		if e.Type != domain.AnomalyDetected {
			without = append(without, e)
		}
	}
	assert.Greater(t, red(with), 500)
	assert.Zero(t, red(without))
}

func TestPDF_Properties(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), poppler(t, "pdfinfo"), "-")
	cmd.Stdin = bytes.NewReader(written(t, newMemory(desk()...), report.Request{Kind: report.Order, ID: "O-1", Format: report.PDF}))
	cmd.Env = append(os.Environ(), "TZ=UTC")
	out, err := cmd.Output()
	require.NoError(t, err)
	for _, want := range []string{"Order O-1", "Tradetrail", "Tue Mar  3 06:00:00 2026 UTC"} {
		assert.Contains(t, string(out), want)
	}
}

func TestFormats_SameInputSameBytes(t *testing.T) {
	for _, f := range report.Formats() {
		for _, r := range []report.Request{{Kind: report.Order, ID: "O-1"}, {Kind: report.Daily, Day: "2026-03-02"}, {Kind: report.Compliance}} {
			first := written(t, newMemory(desk()...), as(r, f))
			for range 5 {
				require.Equal(t, first, written(t, newMemory(desk()...), as(r, f)), "%s of %s", f, r.Kind)
			}
		}
	}
}

// trading is an account's history of any length, made while it is read.
func trading(n int) *memory {
	events := make([]*domain.Event, n)
	for i := range events {
		events[i] = &domain.Event{
			ID: fmt.Sprintf("00000000-0000-4000-8000-%012d", i), Type: domain.OrderPartiallyFilled, OccurredAt: created().Add(time.Duration(i) * time.Millisecond),
			RecordedAt: created(), OrderID: fmt.Sprintf("order-%d", i/4), AccountID: "ACC", StrategyID: "momentum", Ticker: "MSFT", Actor: "broker_service", Source: "http",
			Data: []byte(`{"fill_quantity":"100","fill_price":"412.440000","commission":"0.15","slippage_bps":"-1.45","execution_venue":"NASDAQ","leaves_quantity":"250"}`),
		}
	}
	return newMemory(events...)
}

// BenchmarkAccountPDF makes the report of 100,000 events. peak-MB is the most that the
// heap had beyond the events themselves, which the read models hold outside of a server.
func BenchmarkAccountPDF(b *testing.B) {
	v := trading(100_000)
	for b.Loop() {
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		peak := uint64(0)
		rows := 0
		d, err := report.Make(b.Context(), v, nil, report.Request{Kind: report.Account, ID: "ACC", Format: report.PDF}, created(), func(n int) {
			if rows += n; rows%(20*512) == 0 {
				runtime.ReadMemStats(&after)
				peak = max(peak, after.HeapInuse)
			}
		})
		require.NoError(b, err)
		size := &counting{}
		require.NoError(b, report.PDF.Write(size, d))
		b.ReportMetric(float64(peak-min(peak, before.HeapInuse))/1e6, "peak-MB")
		b.ReportMetric(float64(size.bytes)/1e6, "file-MB")
	}
}

// BenchmarkChainPDF makes the report of an order.
func BenchmarkChainPDF(b *testing.B) {
	v := newMemory(desk()...)
	b.ReportAllocs()
	for b.Loop() {
		d, err := report.Make(b.Context(), v, nil, report.Request{Kind: report.Order, ID: "O-1", Format: report.PDF}, created(), func(int) {})
		require.NoError(b, err)
		require.NoError(b, report.PDF.Write(io.Discard, d))
	}
}

type counting struct{ bytes int }

func (c *counting) Write(p []byte) (int, error) {
	c.bytes += len(p)
	return len(p), nil
}
