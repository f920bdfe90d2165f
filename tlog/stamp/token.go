// Package stamp asks a time-stamping authority (RFC 3161) to sign that something was
// there at a time, and checks what it has signed. It needs the standard library alone,
// since it is part of what an examiner runs. Whether a certificate was revoked is not
// looked at.
package stamp

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"time"

	"github.com/tradetrail/tradetrail/domain"
)

// MaxToken is how many bytes a token may have: several times what they have.
const MaxToken = 32 << 10

// Codes of the errors of this package.
const (
	CodeInvalid = "timestamp_invalid" // ClassRejected: the answer or the token is not right
	CodeAway    = "authority_away"    // ClassTransient: it does not answer
	CodeRoots   = "timestamp_roots"   // ClassRejected: the file of roots is none
)

// Stamp is what a token says, once it was verified.
type Stamp struct {
	Time      time.Time     `json:"time"`                 // by the authority's clock, UTC
	Accuracy  time.Duration `json:"accuracy_ns,omitzero"` // that it claims; 0: it claims none
	Authority string        `json:"authority"`            // the subject of its certificate
	Serial    string        `json:"serial"`               // of the token, by which the authority knows it
}

// imprint is a digest and how it was made.
type imprint struct {
	Algorithm pkix.AlgorithmIdentifier
	Digest    []byte
}

func imprintOf(digest [sha256.Size]byte) imprint {
	return imprint{pkix.AlgorithmIdentifier{Algorithm: digests[0].oid, Parameters: asn1.NullRawValue}, digest[:]}
}

type accuracy struct {
	Seconds int `asn1:"optional"`
	Millis  int `asn1:"optional,tag:0"`
	Micros  int `asn1:"optional,tag:1"`
}

// maxAccuracy is a bound that keeps hostile numbers from overflowing.
const maxAccuracy = 24 * time.Hour

func (a accuracy) duration() (time.Duration, bool) {
	if a.Seconds < 0 || a.Seconds > int(maxAccuracy/time.Second) || a.Millis < 0 || a.Millis > 999 || a.Micros < 0 || a.Micros > 999 {
		return 0, false
	}
	return time.Duration(a.Seconds)*time.Second + time.Duration(a.Millis)*time.Millisecond + time.Duration(a.Micros)*time.Microsecond, true
}

// info is the TSTInfo of RFC 3161.
type info struct {
	Version    int
	Policy     asn1.ObjectIdentifier
	Imprint    imprint
	Serial     *big.Int
	Time       time.Time        `asn1:"generalized"`
	Accuracy   accuracy         `asn1:"optional"`
	Ordering   bool             `asn1:"optional"`
	Nonce      *big.Int         `asn1:"optional"`
	Authority  asn1.RawValue    `asn1:"optional,tag:0"`
	Extensions []pkix.Extension `asn1:"optional,tag:1"`
}

// Verify checks that a token says that something with this SHA-256 was there at a time:
// the signature, that its certificate is for time-stamping alone, and that it leads to
// one of the roots and was valid at that time.
func Verify(token []byte, digest [sha256.Size]byte, roots *x509.CertPool) (Stamp, error) {
	stamp, _, err := verify(token, digest, roots)
	return stamp, err
}

func verify(token []byte, digest [sha256.Size]byte, roots *x509.CertPool) (Stamp, *big.Int, error) {
	if len(token) > MaxToken {
		return Stamp{}, nil, bad("the token has %d bytes, and may have %d", len(token), MaxToken)
	}
	o, err := open(token)
	if err != nil {
		return Stamp{}, nil, wrong(err, "the token of the timestamp can't be trusted")
	}
	var said info
	if err := unmarshal(o.text, &said); err != nil {
		return Stamp{}, nil, wrong(err, "the time in the token can't be read")
	}
	precise, ok := said.Accuracy.duration()
	if said.Version != 1 || !ok || said.Serial == nil || said.Serial.BitLen() > 256 {
		return Stamp{}, nil, bad("the token is not of version 1 of RFC 3161")
	}
	for _, e := range said.Extensions {
		if e.Critical {
			return Stamp{}, nil, bad("the token has the critical extension %s, which is not known here", e.Id)
		}
	}
	hash, err := hashOf(said.Imprint.Algorithm)
	if err != nil || hash != crypto.SHA256 || !bytes.Equal(said.Imprint.Digest, digest[:]) {
		return Stamp{}, nil, bad("the timestamp is of something else: its digest is another")
	}
	if err := trusted(o, roots, said.Time); err != nil {
		return Stamp{}, nil, err
	}
	return Stamp{said.Time.UTC(), precise, limited(o.signer.Subject.String()), said.Serial.Text(16)}, said.Nonce, nil
}

// trusted looks at the certificate: a root must vouch for it at the time of the token,
// for time-stamping and nothing else.
func trusted(o opened, roots *x509.CertPool, at time.Time) error {
	c := o.signer
	critical := false
	for _, e := range c.Extensions {
		critical = critical || e.Id.Equal(oidExtKeyUsage) && e.Critical
	}
	if !critical || len(c.ExtKeyUsage) != 1 || c.ExtKeyUsage[0] != x509.ExtKeyUsageTimeStamping || len(c.UnknownExtKeyUsage) > 0 {
		return bad("the certificate of %s is not for time-stamping alone", limited(c.Subject.String()))
	}
	between := x509.NewCertPool()
	for _, other := range o.others {
		between.AddCert(other)
	}
	if roots == nil {
		roots = x509.NewCertPool() // never those of the machine
	}
	_, err := c.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping}})
	if err != nil {
		return wrong(err, "the certificate of %s, at %s", limited(c.Subject.String()), at.UTC().Format(time.RFC3339))
	}
	return nil
}

// ParseRoots reads the certificates that are trusted: one or more in PEM, and nothing
// else that a reader could take for one.
func ParseRoots(text []byte) (*x509.CertPool, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, &domain.Error{Class: domain.ClassRejected, Code: CodeRoots, Message: "the roots of the time-stamping authority are no certificates in PEM"}
	}
	return roots, nil
}

// limited cuts what others have written.
func limited(text string) string {
	const most = 200
	return fmt.Sprintf("%.*q", most, text)
}

func bad(format string, args ...any) error { return wrong(nil, format, args...) }

func wrong(cause error, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if cause != nil {
		text += ": " + cause.Error()[:min(len(cause.Error()), 300)]
	}
	return &domain.Error{Class: domain.ClassRejected, Code: CodeInvalid, Message: text}
}
