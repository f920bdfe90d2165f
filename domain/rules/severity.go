package rules

import "slices"

// Severity says how soon somebody should look. Stored names.
type Severity string

// The severities, mildest first.
const (
	Info     Severity = "info"     // worth counting
	Low      Severity = "low"      // worth a look at the end of the day
	Medium   Severity = "medium"   // worth a look today
	High     Severity = "high"     // worth a look now
	Critical Severity = "critical" // something that must not happen has happened
)

// Severities lists every severity, mildest first.
func Severities() []Severity { return []Severity{Info, Low, Medium, High, Critical} }

// Known reports whether s is one of Severities.
func (s Severity) Known() bool { return slices.Contains(Severities(), s) }
