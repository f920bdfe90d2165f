// Package stamptest is a time-stamping authority in the test's process. Its tokens are
// made by another implementation than the one that checks them.
package stamptest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/stretchr/testify/require"
)

// Authority answers requests until it is away.
type Authority struct {
	URL   string
	Roots []byte // its root certificate in PEM
	Away  atomic.Bool
	Asked atomic.Int64

	// Changed, unless it is nil, changes what is signed. It must be set before the first
	// request.
	Changed func(*timestamp.Timestamp)
	// Respond, unless it is nil, answers instead. It must be set before the first request.
	Respond http.HandlerFunc

	certificate *x509.Certificate
	between     *x509.Certificate
	key         crypto.Signer
}

// Start runs an authority until the test ends. Its certificate is as change leaves it,
// unless that is nil.
func Start(tb testing.TB, change func(*x509.Certificate)) *Authority {
	tb.Helper()
	a := new(Authority)
	now := time.Now()
	template := func(name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(24 * time.Hour),
			BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
		}
	}
	sign := func(template, parent *x509.Certificate, by crypto.Signer) (*x509.Certificate, crypto.Signer) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(tb, err)
		if parent == nil {
			parent, by = template, key
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
		require.NoError(tb, err)
		c, err := x509.ParseCertificate(der)
		require.NoError(tb, err)
		return c, key
	}
	root, rootKey := sign(template("Test Root"), nil, nil)
	var betweenKey crypto.Signer
	a.between, betweenKey = sign(template("Test Between"), root, rootKey)
	leaf := template("Test Authority")
	leaf.IsCA, leaf.KeyUsage = false, x509.KeyUsageDigitalSignature
	usage, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})
	require.NoError(tb, err)
	leaf.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: usage}}
	if change != nil {
		change(leaf)
	}
	a.certificate, a.key = sign(leaf, a.between, betweenKey)
	a.Roots = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw})
	server := httptest.NewServer(http.HandlerFunc(a.serve))
	tb.Cleanup(server.Close)
	a.URL = server.URL
	return a
}

func (a *Authority) serve(w http.ResponseWriter, r *http.Request) {
	a.Asked.Add(1)
	if a.Away.Load() {
		http.Error(w, "away", http.StatusServiceUnavailable)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if a.Respond != nil {
		a.Respond(w, r)
		return
	}
	reply, err := a.Answer(body, time.Now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/timestamp-reply")
	_, _ = w.Write(reply)
}

// Answer is the response to a request, at a time.
func (a *Authority) Answer(query []byte, at time.Time) ([]byte, error) {
	asked, err := timestamp.ParseRequest(query)
	if err != nil {
		return nil, err
	}
	t := &timestamp.Timestamp{
		HashAlgorithm: asked.HashAlgorithm, HashedMessage: asked.HashedMessage, Time: at.UTC().Truncate(time.Second), Nonce: asked.Nonce,
		Policy: asn1.ObjectIdentifier{1, 2, 3, 4}, Accuracy: time.Second, AddTSACertificate: true, Certificates: []*x509.Certificate{a.between},
	}
	if a.Changed != nil {
		a.Changed(t)
	}
	return t.CreateResponseWithOpts(a.certificate, a.key, crypto.SHA256)
}

// Token is a token over a digest, at a time.
func (a *Authority) Token(tb testing.TB, digest []byte, at time.Time) []byte {
	tb.Helper()
	query, err := (&timestamp.Request{HashAlgorithm: crypto.SHA256, HashedMessage: digest, Certificates: true}).Marshal()
	require.NoError(tb, err)
	answer, err := a.Answer(query, at)
	require.NoError(tb, err)
	parsed, err := timestamp.ParseResponse(answer)
	require.NoError(tb, err)
	return parsed.RawToken
}
