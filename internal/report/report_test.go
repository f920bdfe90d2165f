package report_test

import (
	"testing"

	"github.com/tradetrail/tradetrail/internal/report"
)

func TestText_Golden(t *testing.T) {
	v := newMemory(desk()...)
	for name, r := range map[string]report.Request{
		"order":      {Kind: report.Order, ID: "O-1"},
		"account":    {Kind: report.Account, ID: "ACC-1"},
		"daily":      {Kind: report.Daily, Day: "2026-03-02"},
		"compliance": {Kind: report.Compliance},
	} {
		for _, f := range []report.Format{report.Text, report.CSV, report.JSON, report.HTML} {
			t.Run(name+f.Extension(), func(t *testing.T) {
				golden(t, name+f.Extension(), written(t, v, as(r, f)))
			})
		}
	}
}
