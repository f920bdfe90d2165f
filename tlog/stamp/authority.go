package stamp

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tradetrail/tradetrail/domain"
)

// How long an authority is waited for, what it may answer at most, and by how much its
// clock and ours may differ.
const (
	patience  = 30 * time.Second
	maxAnswer = MaxToken + 1<<10
	tolerance = 5 * time.Minute
)

const (
	queryType = "application/timestamp-query"
	replyType = "application/timestamp-reply"
)

// Authority is a time-stamping authority over HTTP. Its methods may be called
// concurrently.
type Authority struct {
	place  *url.URL
	roots  *x509.CertPool
	client *http.Client
	now    func() time.Time
}

// NewAuthority is the authority at a URL, http or https, which may hold a name and a
// password. What it signs is taken if its certificate leads to one of the roots.
func NewAuthority(place string, roots *x509.CertPool, transport http.RoundTripper, now func() time.Time) (*Authority, error) {
	u, err := url.Parse(place)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Fragment != "" {
		return nil, domain.Rejectf(domain.CodeInvalid, "tsa-url", "it is not a URL such as https://tsa.example/tsr") // it may hold a password
	}
	client := &http.Client{Transport: transport, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // what was configured is what is asked
	}}
	return &Authority{u, roots, client, now}, nil
}

type request struct {
	Version      int
	Imprint      imprint
	Nonce        *big.Int
	Certificates bool
}

type response struct {
	Status struct {
		Status  int
		Text    []string       `asn1:"optional,utf8"`
		Failure asn1.BitString `asn1:"optional"`
	}
	Token asn1.RawValue `asn1:"optional"`
}

// Stamp asks for a token over a SHA-256, and checks it.
func (a *Authority) Stamp(ctx context.Context, digest [sha256.Size]byte) (token []byte, s Stamp, err error) {
	var random [16]byte
	_, _ = rand.Read(random[:]) // it never fails
	nonce := new(big.Int).SetBytes(random[:])
	query, err := asn1.Marshal(request{1, imprintOf(digest), nonce, true})
	if err != nil {
		return nil, s, fmt.Errorf("asking for a timestamp: %w", err)
	}
	before := a.now()
	answer, err := a.ask(ctx, query)
	if err != nil {
		return nil, s, err
	}
	if token, err = tokenOf(answer); err != nil {
		return nil, s, err
	}
	s, echo, err := verify(token, digest, a.roots)
	if err != nil {
		return nil, Stamp{}, err
	}
	if echo == nil || echo.Cmp(nonce) != 0 {
		return nil, Stamp{}, bad("the timestamp answers another question: its nonce is another")
	}
	if off := tolerance + s.Accuracy; s.Time.Before(before.Add(-off)) || s.Time.After(a.now().Add(off)) {
		return nil, Stamp{}, bad("the timestamp says %s, and it is %s here: one of the clocks is wrong", s.Time.Format(time.RFC3339), before.UTC().Format(time.RFC3339))
	}
	return token, s, nil
}

func (a *Authority) ask(ctx context.Context, query []byte) ([]byte, error) {
	away := func(format string, args ...any) error {
		return &domain.Error{Class: domain.ClassTransient, Code: CodeAway, Message: fmt.Sprintf("the time-stamping authority at %s: %s", a.place.Host, fmt.Sprintf(format, args...))}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, a.place.String(), bytes.NewReader(query))
	if err != nil {
		return nil, fmt.Errorf("asking for a timestamp: %w", err)
	}
	r.Header.Set("Content-Type", queryType)
	r.Header.Set("Accept", replyType)
	reply, err := a.client.Do(r)
	if err != nil {
		if cause, ok := errors.AsType[*url.Error](err); ok {
			err = cause.Err // without the URL
		}
		return nil, away("%.300s", err)
	}
	defer func() { _ = reply.Body.Close() }() // it was only read
	if reply.StatusCode != http.StatusOK {
		return nil, away("it answers %d", reply.StatusCode)
	}
	if kind, _, err := mime.ParseMediaType(reply.Header.Get("Content-Type")); err != nil || kind != replyType {
		return nil, bad("the time-stamping authority answers with %.60q, and not with a timestamp", reply.Header.Get("Content-Type"))
	}
	answer, err := io.ReadAll(io.LimitReader(reply.Body, maxAnswer+1))
	if err != nil {
		return nil, away("reading its answer: %.300s", err)
	}
	if len(answer) > maxAnswer {
		return nil, bad("the time-stamping authority answers with more than %d bytes", maxAnswer)
	}
	return answer, nil
}

// tokenOf reads an answer.
func tokenOf(answer []byte) ([]byte, error) {
	var r response
	if err := unmarshal(answer, &r); err != nil {
		return nil, wrong(err, "the answer of the time-stamping authority can't be read")
	}
	const granted, withChanges = 0, 1
	if r.Status.Status != granted && r.Status.Status != withChanges {
		return nil, bad("the time-stamping authority refuses: status %d, failure %x, %s", r.Status.Status, r.Status.Failure.Bytes, limited(strings.Join(r.Status.Text, " ")))
	}
	if len(r.Token.FullBytes) == 0 {
		return nil, bad("the answer of the time-stamping authority holds no token")
	}
	return r.Token.FullBytes, nil
}
