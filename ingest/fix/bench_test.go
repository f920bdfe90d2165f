package fix_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/ingest/fix"
	"github.com/tradetrail/tradetrail/ingest/fix/fixtest"
)

func BenchmarkParse(b *testing.B) {
	raw := fixtest.Message(7, fill)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := fix.Parse(raw); err != nil {
			b.Fatal(err)
		}
	}
}

// An execution report on its way from bytes to an event.
func BenchmarkMapper(b *testing.B) {
	mapper := fix.NewMapper(fix.Options{Gaps: true})
	piece := fix.Piece{Raw: fixtest.Message(7, fill)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := mapper.Items(b.Context(), piece, time.Time{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLog(b *testing.B) {
	var log bytes.Buffer
	const messages = 10_000
	for n := range messages {
		log.WriteString("20260302-14:30:00.123 IN ")
		log.Write(fixtest.Bars(fixtest.Message(n+1, strings.ReplaceAll(fill, "E-1", fmt.Sprint("E-", n)))))
		log.WriteByte('\n')
	}
	b.SetBytes(int64(log.Len()))
	b.ReportAllocs()
	for b.Loop() {
		mapper, in := fix.NewMapper(fix.Options{Gaps: true}), fix.NewLog(bytes.NewReader(log.Bytes()), "bench")
		n := 0
		for {
			p, err := in.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			items, err := mapper.Items(b.Context(), p, time.Time{})
			require.NoError(b, err)
			n += len(items)
		}
		require.Equal(b, messages, n)
	}
	b.ReportMetric(float64(messages*b.N)/b.Elapsed().Seconds(), "messages/s")
}
