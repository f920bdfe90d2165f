package evidence

import "github.com/tradetrail/tradetrail/tlog/verify"

// Verdict is the outcome for an archive. The zero Verdict is a no.
type Verdict struct {
	Verified  bool              `json:"verified"` // all evidence that is in it, and there is some
	Files     []Judged          `json:"files"`    // in the order of the archive
	Evidence  int               `json:"evidence"` // files that are evidence and verified
	NotProven []string          `json:"not_proven"`
	Failures  []*verify.Failure `json:"failures"` // of the archive as a whole; those of files are there
}

// Judged is one file of an archive.
type Judged struct {
	Name    string          `json:"name"`
	Kind    Kind            `json:"kind"`
	Why     string          `json:"why,omitzero"`     // nothing is said about it
	Verdict *verify.Verdict `json:"verdict,omitzero"` // missing where nothing is said
}

// Bounds of what is kept about an archive.
const (
	maxFiles    = 4096
	maxName     = 512 // bytes
	maxFailures = 5   // of one file
)

func (v *Verdict) fail(what, message string) {
	v.Failures = append(v.Failures, &verify.Failure{What: what, Message: message})
}

// add takes in a verdict, with as much of it as may be kept of one file of many.
func (v *Verdict) add(j Judged) {
	if one := j.Verdict; one != nil {
		if more := len(one.Failures) - maxFailures; more > 0 {
			one.Failures, one.More = one.Failures[:maxFailures], one.More+uint64(more)
		}
		if one.Verified {
			v.Evidence++
		}
	}
	v.Files = append(v.Files, j)
}

// refused is a file that can't be judged as what it claims to be.
func refused(name string, kind Kind, message string) Judged {
	return Judged{Name: name, Kind: kind, Verdict: &verify.Verdict{
		Proven: []string{}, NotProven: []string{}, Failures: []*verify.Failure{{What: verify.Malformed, Message: message}},
	}}
}
