package stamp

import (
	"bytes"
	"crypto"
	"crypto/sha1" //nolint:gosec // names a certificate whose signature is checked, as RFC 2634 has it
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
)

// What a token names.
var (
	oidSignedData    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidTSTInfo       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}
	oidContentType   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidSigningCert   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 12}
	oidSigningCertV2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}
	oidExtKeyUsage   = asn1.ObjectIdentifier{2, 5, 29, 37}
)

// contentInfo is a token: CMS (RFC 5652) as RFC 3161 narrows it.
type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content signedData `asn1:"explicit,tag:0"`
}

type signedData struct {
	Version          int
	DigestAlgorithms []pkix.AlgorithmIdentifier `asn1:"set"`
	Content          encapsulated
	Certificates     asn1.RawValue `asn1:"optional,tag:0"`
	CRLs             asn1.RawValue `asn1:"optional,tag:1"`
	Signers          []signerInfo  `asn1:"set"`
}

type encapsulated struct {
	Type asn1.ObjectIdentifier
	Text []byte `asn1:"explicit,tag:0"`
}

type signerInfo struct {
	Version            int
	ID                 asn1.RawValue // not looked at: the signed attributes name the certificate by its hash
	DigestAlgorithm    pkix.AlgorithmIdentifier
	Signed             asn1.RawValue `asn1:"optional,tag:0"`
	SignatureAlgorithm pkix.AlgorithmIdentifier
	Signature          []byte
	Unsigned           asn1.RawValue `asn1:"optional,tag:1"`
}

type attribute struct {
	Type   asn1.ObjectIdentifier
	Values []asn1.RawValue `asn1:"set"`
}

// certificateID is the hash by which a signer names its certificate, in both versions of
// the attribute.
type certificateID struct {
	Certificates []struct {
		Algorithm pkix.AlgorithmIdentifier `asn1:"optional"` // SHA-256
		Hash      []byte
		Issuer    asn1.RawValue `asn1:"optional"`
	}
	Policies asn1.RawValue `asn1:"optional"`
}

// digests are those that are taken. SHA-1 is none of them.
var digests = []struct {
	oid  asn1.ObjectIdentifier
	hash crypto.Hash
}{
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, crypto.SHA256},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}, crypto.SHA384},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}, crypto.SHA512},
}

// signatures say which digest goes with which algorithm.
var signatures = []struct {
	oid       asn1.ObjectIdentifier
	hash      crypto.Hash
	algorithm x509.SignatureAlgorithm
}{
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}, crypto.SHA256, x509.SHA256WithRSA},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}, crypto.SHA384, x509.SHA384WithRSA},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}, crypto.SHA512, x509.SHA512WithRSA},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, crypto.SHA256, x509.SHA256WithRSA},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 12}, crypto.SHA384, x509.SHA384WithRSA},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13}, crypto.SHA512, x509.SHA512WithRSA},
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}, crypto.SHA256, x509.ECDSAWithSHA256},
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}, crypto.SHA384, x509.ECDSAWithSHA384},
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}, crypto.SHA512, x509.ECDSAWithSHA512},
	{asn1.ObjectIdentifier{1, 3, 101, 112}, crypto.SHA512, x509.PureEd25519},
}

func digestOf(hash crypto.Hash, text []byte) []byte {
	switch hash {
	case crypto.SHA256:
		sum := sha256.Sum256(text)
		return sum[:]
	case crypto.SHA384:
		sum := sha512.Sum384(text)
		return sum[:]
	default:
		sum := sha512.Sum512(text)
		return sum[:]
	}
}

func hashOf(a pkix.AlgorithmIdentifier) (crypto.Hash, error) {
	for _, d := range digests {
		if a.Algorithm.Equal(d.oid) {
			return d.hash, nil
		}
	}
	return 0, fmt.Errorf("it uses the digest %s, which is none of SHA-256, SHA-384 and SHA-512", a.Algorithm)
}

// unmarshal reads all of a value in DER.
func unmarshal(der []byte, to any) error {
	rest, err := asn1.Unmarshal(der, to)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return errors.New("something stands behind its end")
	}
	return nil
}

// opened is a token whose signature is right, by a certificate that nobody has looked at.
type opened struct {
	text   []byte
	signer *x509.Certificate
	others []*x509.Certificate
}

// open checks the signature of a token.
func open(der []byte) (o opened, err error) {
	var token contentInfo
	if err := unmarshal(der, &token); err != nil {
		return o, err
	}
	data := token.Content
	if !token.Type.Equal(oidSignedData) || !data.Content.Type.Equal(oidTSTInfo) || len(data.Signers) != 1 {
		return o, errors.New("it is not a time that one authority has signed")
	}
	if o.others, err = x509.ParseCertificates(data.Certificates.Bytes); err != nil {
		return o, fmt.Errorf("its certificates: %w", err)
	}
	signer := data.Signers[0]
	hash, err := hashOf(signer.DigestAlgorithm)
	if err != nil {
		return o, err
	}
	attributes, signed, err := attributesOf(signer.Signed)
	if err != nil {
		return o, err
	}
	var kind asn1.ObjectIdentifier
	var digest []byte
	if err := errors.Join(attributes.value(oidContentType, &kind), attributes.value(oidMessageDigest, &digest)); err != nil {
		return o, err
	}
	if !kind.Equal(oidTSTInfo) || !bytes.Equal(digest, digestOf(hash, data.Content.Text)) {
		return o, errors.New("what is signed is not what it says")
	}
	if o.signer, err = attributes.signer(o.others); err != nil {
		return o, err
	}
	for _, s := range signatures {
		if s.hash == hash && signer.SignatureAlgorithm.Algorithm.Equal(s.oid) {
			o.text = data.Content.Text
			return o, o.signer.CheckSignature(s.algorithm, signed, signer.Signature)
		}
	}
	return o, fmt.Errorf("it is signed by the algorithm %s, which is not known here", signer.SignatureAlgorithm.Algorithm)
}

type attributes []attribute

// attributesOf reads the signed attributes, and tells what is signed: their encoding as a
// set of its own.
func attributesOf(raw asn1.RawValue) (a attributes, signed []byte, err error) {
	if len(raw.FullBytes) == 0 {
		return nil, nil, errors.New("it has no signed attributes")
	}
	signed = bytes.Clone(raw.FullBytes)
	signed[0] = asn1.TagSet | 0x20
	rest, err := asn1.UnmarshalWithParams(signed, &a, "set")
	if err == nil && len(rest) > 0 {
		err = errors.New("something stands behind its signed attributes")
	}
	return a, signed, err
}

// value reads an attribute that must be there once.
func (a attributes) value(kind asn1.ObjectIdentifier, to any) error {
	var found *attribute
	for i := range a {
		if !a[i].Type.Equal(kind) {
			continue
		}
		if found != nil {
			return fmt.Errorf("it has the signed attribute %s twice", kind)
		}
		found = &a[i]
	}
	if found == nil || len(found.Values) != 1 {
		return fmt.Errorf("it lacks the signed attribute %s, or has several values of it", kind)
	}
	return unmarshal(found.Values[0].FullBytes, to)
}

// signer is the certificate that the signed attributes name by its hash.
func (a attributes) signer(among []*x509.Certificate) (*x509.Certificate, error) {
	var id certificateID
	old := false
	if err := a.value(oidSigningCertV2, &id); err != nil {
		id, old = certificateID{}, true
		if a.value(oidSigningCert, &id) != nil {
			return nil, fmt.Errorf("it does not say whose certificate it is signed with: %w", err)
		}
	}
	if len(id.Certificates) == 0 {
		return nil, errors.New("it names no certificate")
	}
	first := id.Certificates[0]
	hash := crypto.SHA256
	if len(first.Algorithm.Algorithm) > 0 {
		var err error
		if hash, err = hashOf(first.Algorithm); err != nil {
			return nil, err
		}
	}
	for _, c := range among {
		sum := digestOf(hash, c.Raw)
		if old {
			short := sha1.Sum(c.Raw) //nolint:gosec // as above
			sum = short[:]
		}
		if bytes.Equal(sum, first.Hash) {
			return c, nil
		}
	}
	return nil, errors.New("the certificate that it is signed with is not in it")
}
