package rules

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tradetrail/tradetrail/domain"
)

// Finding is what a rule has to say about events of the log.
type Finding struct {
	ID          string   `json:"id"` // follows from Rule, Version and Subject, without one Evidence; a UUID
	Rule        string   `json:"rule"`
	Version     int      `json:"rule_version"`
	Kind        string   `json:"kind"`
	Severity    Severity `json:"severity"`
	Explanation string   `json:"explanation"` // plain English, with the numbers
	Evidence    []string `json:"evidence"`    // event ids: what led to it first, what completed it last

	// Subject is what a finding is about whose evidence depends on thresholds: of what
	// is counted, the owner, the instrument and the span of time.
	Subject []string `json:"subject,omitempty"`

	Order    string `json:"order_id,omitzero"`
	Account  string `json:"account_id,omitzero"`
	Strategy string `json:"strategy_id,omitzero"`
	User     string `json:"user_id,omitzero"`
	Ticker   string `json:"ticker,omitzero"`

	At    time.Time `json:"at"`             // occurred_at of the event that completed it, UTC
	Value string    `json:"value,omitzero"` // a decimal, or a duration such as 1.5s when Unit is duration
	Limit string    `json:"limit,omitzero"` // what Value was held against, in the same Unit
	Unit  string    `json:"unit,omitzero"`
}

// about is what the finding is identified by.
func (f Finding) about() []string {
	if len(f.Subject) > 0 {
		return f.Subject
	}
	return f.Evidence
}

// maxEvidence bounds the event ids of a finding: of a thousand messages, the first
// and the last few are shown.
const maxEvidence = 24

// findingID is a storage format: changing it would record every finding again.
func findingID(rule string, version int, about []string) string {
	var of strings.Builder
	for _, id := range about {
		of.WriteString(strconv.Itoa(len(id)))
		of.WriteByte(':')
		of.WriteString(id)
	}
	return domain.DeriveID("rule:"+rule, strconv.Itoa(version), of.String())
}

// verdict is what a rule says of the moment that it was asked about; without
// evidence, nothing.
type verdict struct {
	at                 time.Time
	value, limit, unit string
	evidence, subject  []string
	words              []string // name, value pairs for the explanation
}

func (v verdict) fires() bool { return len(v.evidence) > 0 }

// explain fills the placeholders of a template, with texts of bounded length: a
// finding has to fit into an event.
func (v verdict) explain(template string) string {
	pairs := []string{"{value}", v.value, "{limit}", v.limit, "{unit}", v.unit}
	for i := 0; i+1 < len(v.words); i += 2 {
		pairs = append(pairs, "{"+v.words[i]+"}", clip(v.words[i+1]))
	}
	return strings.NewReplacer(pairs...).Replace(template)
}

// trimmed keeps the beginning and the end of long evidence.
func trimmed(evidence []string) []string {
	if len(evidence) <= maxEvidence {
		return evidence
	}
	return slices.Concat(evidence[:maxEvidence/2], evidence[len(evidence)-maxEvidence/2:])
}

// compare orders findings for people: by rule, time and id.
func (f Finding) compare(g Finding) int {
	return cmp.Or(strings.Compare(f.Rule, g.Rule), f.At.Compare(g.At), strings.Compare(f.ID, g.ID))
}
