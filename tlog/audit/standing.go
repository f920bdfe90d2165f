package audit

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// Standing is what the auditor knows by now.
type Standing struct {
	// Verdict is one of "intact", "doubted" and, before the first verification of this
	// process is over, "unknown".
	Verdict  string         `json:"verdict"`
	Verified *VerifiedUpTo  `json:"verified,omitzero"` // nil: nothing yet
	Again    uint64         `json:"again"`             // leaves that the verification of all the rest has come to
	Doubts   []string       `json:"doubts,omitempty"`
	Failed   string         `json:"failed,omitzero"` // why the last verification could not be done, which is no verdict
	Issued   []IssuedOfADay `json:"certificates"`    // the newest first
	More     bool           `json:"more"`            // there are certificates of earlier days
}

// VerifiedUpTo is the last checkpoint under which everything was found intact.
type VerifiedUpTo struct {
	Size uint64        `json:"size"`
	Root verify.Digest `json:"root"`
	At   time.Time     `json:"at"`
}

// IssuedOfADay is a certificate as it stands in its file. Nothing of it is verified here:
// whoever is shown it has to.
type IssuedOfADay struct {
	Day  string `json:"day"`
	Note string `json:"note"`
}

// MaxCertificates is how many certificates are told at once.
const MaxCertificates = 100

// Standing tells what was verified, and at most so many certificates of days before a
// day, or the newest if it is empty. It may be called concurrently with everything else.
func (a *Auditor) Standing(before string, most int) (Standing, error) {
	out := a.standing()
	var err error
	out.Issued, out.More, err = issued(a.subject.Dir, before, most)
	return out, err
}

func (a *Auditor) standing() Standing {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := Standing{Verdict: "unknown", Again: a.again}
	if a.verified != nil {
		verified := *a.verified
		out.Verified, out.Verdict = &verified, "intact"
	}
	for _, doubt := range a.doubts {
		out.Verdict, out.Doubts = "doubted", append(out.Doubts, doubt.String())
	}
	slices.Sort(out.Doubts)
	if a.failed != nil {
		out.Failed = a.failed.Error()
	}
	return out
}

// issued reads certificates, the newest first.
func issued(dir, before string, most int) (found []IssuedOfADay, more bool, err error) {
	if _, err := time.Parse(dayLayout, before); before != "" && err != nil {
		return nil, false, domain.Rejectf(domain.CodeInvalid, "before", "%.40q is not a day such as 2026-03-02", before)
	}
	if most < 1 || most > MaxCertificates {
		return nil, false, domain.Rejectf(domain.CodeInvalid, "limit", "must be from 1 to %d", MaxCertificates)
	}
	found = []IssuedOfADay{}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, false, fmt.Errorf("opening the folder of certificates: %w", err)
	}
	defer func() { _ = root.Close() }() // nothing is open in it
	names, err := certificateFiles(root)
	if err != nil {
		return nil, false, err
	}
	for _, name := range slices.Backward(names) {
		day := strings.TrimSuffix(name, ".txt")
		if before != "" && day >= before {
			continue
		}
		if len(found) == most {
			return found, true, nil
		}
		text, err := readBounded(root, certificateName(day))
		if err != nil {
			return nil, false, fmt.Errorf("reading the certificate of %s: %w", day, err)
		}
		found = append(found, IssuedOfADay{day, string(text)})
	}
	return found, false, nil
}
