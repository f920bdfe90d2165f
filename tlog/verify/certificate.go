package verify

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// KindCertificate is a certificate of completeness: a note by the log's key, and no
// bundle.
const KindCertificate = "certificate"

// CertificateBegins is the first line of a certificate.
const CertificateBegins = "tradetrail/certificate/v1\n"

// maxCertificate is more than a certificate can have.
const maxCertificate = 16 << 10

// Completeness is what a certificate says, for which the log's auditor vouches: that
// leaves First up to, and without, First+Count are all events that the store took on a
// UTC day, as long as its clock did not go back over midnight, and lie under the root of
// a checkpoint, which has a leaf that was taken after the day. Certificates are a chain.
type Completeness struct {
	Checkpoint

	Day    string // 2026-03-02
	First  uint64
	Count  uint64
	Before string // SHA-256 of the certificate before, in hex; empty for the first
}

// noneBefore stands in the first certificate.
const noneBefore = "none"

// Text is what is signed: eight lines. Its first line keeps it from being taken for a
// checkpoint.
func (c Completeness) Text() string {
	return fmt.Sprintf("%s%s\n%s\n%d\n%d\n%d\n%s\n%s\n", CertificateBegins, c.Origin, c.Day, c.First, c.Count, c.Size, c.Root, cmp.Or(c.Before, noneBefore))
}

// Certificate verifies a certificate of completeness. Errors are as for Bundle.
func Certificate(from io.Reader, trust Trust) (Verdict, error) {
	text, err := io.ReadAll(io.LimitReader(from, maxCertificate+1))
	if err != nil {
		return Verdict{}, fmt.Errorf("reading the certificate: %w", err)
	}
	c, err := ParseCertificate(string(text))
	if err != nil {
		return refused(KindCertificate, &Failure{What: Malformed, Message: err.Error()}), nil //nolint:nilerr // it is in the verdict
	}
	key, failure := trust.Keys.signed(string(text), c.Origin, c.Size)
	if failure != nil {
		return refused(KindCertificate, failure), nil
	}
	return c.judge(trust, key)
}

func (c Completeness) judge(trust Trust, key string) (Verdict, error) {
	k := check{trust: trust, signed: Signed{Checkpoint: c.Checkpoint}}
	k.verdict = refused(KindCertificate, nil)
	v := &k.verdict
	v.Failures, v.Checkpoint, v.Events = []*Failure{}, &c.Checkpoint, c.Count
	if trust.Quorum > 0 {
		v.fail(&Failure{What: NotWitnessed, Message: "witnesses sign checkpoints, and no certificates: the cosignatures that you ask for can't be here"})
	}
	end, err := time.Parse(time.DateOnly, c.Day)
	if now := trust.At; err == nil && !now.IsZero() && end.AddDate(0, 0, 1).After(now.Add(trust.Tolerance)) {
		v.fail(&Failure{What: Future, Message: fmt.Sprintf("it is of %s, a day that is not over at %s", c.Day, rfc3339(now))})
	}
	v.proven("%s vouches that it has verified all %d events of %s, which are the leaves from %d to before %d of a log of %d",
		key, c.Count, c.Day, c.First, c.First+c.Count, c.Size)
	v.notProven("more than the log's own word: a window of that day has its events and their proof")
	if err := k.older(); err != nil {
		doubt, ok := err.(*doubtError) //nolint:errorlint // older returns it as it is
		if !ok {
			return Verdict{}, err
		}
		v.fail(doubt.Failure)
	}
	v.close()
	return *v, nil
}

var errNoCertificate = errors.New("this is not a certificate as it must be")

// ParseCertificate reads a certificate with its signature, at which it does not look.
func ParseCertificate(signed string) (c Completeness, err error) {
	body, _, found := strings.Cut(signed, "\n\n")
	lines := strings.Split(body, "\n")
	if !found || len(signed) > maxCertificate || len(lines) != 8 || lines[0]+"\n" != CertificateBegins || lines[7] == "" {
		return Completeness{}, errNoCertificate
	}
	if c.Checkpoint, err = ParseCheckpoint(strings.Join([]string{lines[1], lines[5], lines[6], ""}, "\n")); err != nil {
		return Completeness{}, errNoCertificate
	}
	if _, err := time.Parse(time.DateOnly, lines[2]); err != nil {
		return Completeness{}, errNoCertificate
	}
	c.Day = lines[2]
	for i, to := range map[int]*uint64{3: &c.First, 4: &c.Count} {
		if *to, err = strconv.ParseUint(lines[i], 10, 62); err != nil || strconv.FormatUint(*to, 10) != lines[i] {
			return Completeness{}, errNoCertificate
		}
	}
	if c.First+c.Count > c.Size {
		return Completeness{}, errNoCertificate
	}
	if c.Before = lines[7]; c.Before == noneBefore {
		c.Before = ""
	}
	return c, nil
}
