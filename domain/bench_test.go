package domain_test

import (
	"testing"

	"github.com/tradetrail/tradetrail/domain"
)

// typical is one event of each input shape.
var typical = []struct{ name, file string }{
	{"canonical", "normalise/risk_rejected.json"},
	{"flat", "normalise/order_submitted.json"},
	{"nested", "normalise/position_changed.json"},
	{"minimal", "normalise/execution.json"},
}

func BenchmarkNormalise(b *testing.B) {
	for _, tt := range typical {
		input := readTestdata(b, tt.file)
		b.Run(tt.name, func(b *testing.B) {
			b.SetBytes(int64(len(input)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := domain.Normalise(input); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, tt := range typical {
		e := normalise(b, string(readTestdata(b, tt.file)))
		b.Run(tt.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.Encode(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, tt := range typical {
		encoded, err := normalise(b, string(readTestdata(b, tt.file))).Encode()
		if err != nil {
			b.Fatal(err)
		}
		b.Run(tt.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := domain.Decode(encoded); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkStream(b *testing.B) {
	e := normalise(b, string(readTestdata(b, "normalise/risk_rejected.json")))
	b.ReportAllocs()
	for b.Loop() {
		_ = e.Stream()
	}
}

func BenchmarkOrderApply(b *testing.B) {
	e := normalise(b, string(readTestdata(b, "normalise/order_filled.json")))
	b.ReportAllocs()
	for b.Loop() {
		var o domain.Order
		o.Apply(e)
	}
}

func BenchmarkBuildChain(b *testing.B) {
	var events []*domain.Event
	for _, line := range shapes(b) {
		events = append(events, normalise(b, string(line)))
	}
	log := collect(b, recorded(events...), "ord_501")
	b.ReportAllocs()
	for b.Loop() {
		_ = domain.BuildChain("ord_501", log)
	}
}
