package rest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/rest"
	"github.com/tradetrail/tradetrail/tlog/audit"
	"github.com/tradetrail/tradetrail/tlog/prove"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// told writes what it was asked for.
type told struct{ err error }

func (p told) Event(_ context.Context, to io.Writer, id uuid.UUID, stream string, o prove.Options) error {
	return p.say(to, strings.TrimSpace(id.String()+" "+stream), o)
}

func (p told) EventAt(_ context.Context, to io.Writer, id uuid.UUID, at domain.Position, o prove.Options) error {
	return p.say(to, id.String()+" at "+at.String(), o)
}

func (p told) Order(_ context.Context, to io.Writer, order string, related []domain.Position, o prove.Options) error {
	for _, at := range related {
		order += " " + at.String()
	}
	return p.say(to, order, o)
}

func (p told) Window(_ context.Context, to io.Writer, from, until time.Time, o prove.Options) error {
	return p.say(to, from.Format(time.RFC3339)+" "+until.Format(time.RFC3339), o)
}

func (p told) say(to io.Writer, text string, o prove.Options) error {
	if p.err != nil && domain.ClassOf(p.err) != domain.ClassUnknown {
		return p.err
	}
	if o.Redact {
		text += " redacted"
	}
	if o.Older != "" {
		text += " continuing " + o.Older
	}
	return errors.Join(bundleOf(to, text), p.err)
}

// bundleOf writes what has a bundle's form.
func bundleOf(to io.Writer, text string) error {
	_, err := fmt.Fprintf(to, `{"format":"tradetrail/proof/v1","kind":"event","subject":{"event":%q},"origin":"o","key":"k","checkpoint":"c","runs":[]}`, text)
	return err
}

// oneOrder has a chain of two events.
type oneOrder struct{}

func (oneOrder) Chain(_ context.Context, order string) (domain.Chain, int, bool, error) {
	steps := []domain.Step{{Located: domain.Located{Position: domain.Position{Commit: 1, Prepare: 1}}}, {Located: domain.Located{Position: domain.Position{Commit: 7, Prepare: 6}}}}
	return domain.Chain{Steps: steps}, 0, order == "ord 1/2", nil
}

// oneReport is a PDF.
type oneReport struct{}

func (oneReport) Bundle(_ context.Context, id string, to io.Writer) error {
	if id != "r1" {
		return &domain.Error{Class: domain.ClassNotFound, Code: "no_proof", Message: "a PDF does"}
	}
	return bundleOf(to, "the proof of r1")
}

func TestProof(t *testing.T) {
	t.Parallel()
	described := readSpec(t)
	for name, c := range map[string]struct {
		proofs   rest.Proofs
		path     string
		status   int
		says     string
		cutShort bool
	}{
		"an event":        {told{}, "event/94167980-F909-527e-a4af-bc3155f586d3", 200, "94167980-f909-527e-a4af-bc3155f586d3", false},
		"with its stream": {told{}, "event/94167980-F909-527e-a4af-bc3155f586d3?stream=order-ord%201%2F2", 200, "94167980-f909-527e-a4af-bc3155f586d3 order-ord 1/2", false},
		"an order":        {told{}, "order/ord%201%2F2?redact=true", 200, "ord 1/2 C:1/P:1 C:7/P:6 redacted", false},
		"a checkpoint":    {told{}, "order/ord%201%2F2?checkpoint=log%0A7%0A", 200, `C:7/P:6 continuing log\n7\n`, false},
		"a window":        {told{}, "window?from=2026-03-02&to=2026-03-02T14:30:00Z", 200, "2026-03-02T00:00:00Z 2026-03-02T14:30:00Z", false},
		"a report":        {told{}, "report/r1", 200, "the proof of r1", false},
		"no PDF":          {told{}, "report/r2", 404, "no_proof", false},
		"a redacted one":  {told{}, "report/r1?redact=true", 422, "redact", false},
		"no such order":   {told{}, "order/none", 404, "unknown_order", false},
		"no end":          {told{}, "window?from=2026-03-02", 422, "missing", false},
		"maybe":           {told{}, "event/1?redact=maybe", 422, "neither true nor false", false},
		"no such path":    {told{}, "account/1", 404, "no_such_endpoint", false},
		"a wrong name":    {told{}, "event/1?redacted=true", 422, "redacted", false},
		"no log":          {nil, "event/1", 501, "no_log", false},
		"cut off":         {told{errors.New("no more")}, "event/1", 200, "", true},
		"not sealed yet":  {told{&domain.Error{Class: domain.ClassNotFound, Code: prove.CodeUnsealed, Message: "later"}}, "event/1", 404, "unsealed", false},
		"they differ":     {told{&domain.Error{Class: domain.ClassIntegrity, Code: prove.CodeContradict, Message: "leaf 7"}}, "event/1", 500, "", false},
		"one at a place":  {told{}, "event/94167980-F909-527e-a4af-bc3155f586d3?position=C:7/P:6", 200, "94167980-f909-527e-a4af-bc3155f586d3 at C:7/P:6", false},
		"at no place":     {told{}, "event/1?position=7", 422, "position", false},
		"at two places":   {told{}, "event/1?position=C:7/P:6&stream=order-1", 422, "stream", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(rest.NewProof(c.proofs, oneOrder{}, oneReport{}, slog.New(slog.DiscardHandler)))
			defer server.Close()
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/audit/proof/"+c.path, nil)
			require.NoError(t, err)
			response, err := server.Client().Do(request)
			if c.cutShort && err != nil {
				return // before its beginning was sent
			}
			require.NoError(t, err)
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			assert.Equal(t, c.status, response.StatusCode, "%s", body)
			assert.Equal(t, c.cutShort, err != nil)
			assert.Contains(t, string(body), c.says)
			if err == nil {
				described.check(t, http.MethodGet, request.URL.EscapedPath(), reply{status: response.StatusCode, header: response.Header, body: body})
			}
		})
	}
}

func TestIntegrity(t *testing.T) {
	t.Parallel()
	described := readSpec(t)
	knows := func(known audit.Standing) rest.Standing {
		return func(_ context.Context, before string, limit int) (any, error) {
			if limit > audit.MaxCertificates {
				return nil, domain.Rejectf(domain.CodeInvalid, "limit", "too many")
			}
			known.Issued = []audit.IssuedOfADay{{Day: "2026-03-02", Note: fmt.Sprint(before, " ", limit)}}
			return known, nil
		}
	}
	verified := &audit.VerifiedUpTo{Size: 7, Root: verify.EmptyRoot(), At: time.Date(2026, 3, 3, 0, 0, 1, 5, time.UTC)}
	for name, c := range map[string]struct {
		standing rest.Standing
		query    string
		status   int
		says     string
	}{
		"intact":       {knows(audit.Standing{Verdict: "intact", Verified: verified, More: true}), "", 200, `"note":" 31"`},
		"doubted":      {knows(audit.Standing{Verdict: "doubted", Doubts: []string{"leaf 3"}, Failed: "no disk"}), "?limit=2", 200, `"note":" 2"`},
		"unknown":      {knows(audit.Standing{Verdict: "unknown"}), "?before=2026-03-03&limit=100", 200, `"note":"2026-03-03 100"`},
		"too many":     {knows(audit.Standing{}), "?limit=101", 422, "limit"},
		"no number":    {knows(audit.Standing{}), "?limit=all", 422, "limit"},
		"a wrong name": {knows(audit.Standing{}), "?day=2026-03-03", 422, "day"},
		"no log":       {nil, "", 501, "no_log"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer := httptest.NewRecorder()
			request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/audit/integrity"+c.query, nil)
			rest.Integrity(c.standing, quiet).ServeHTTP(answer, request)
			assert.Equal(t, c.status, answer.Code)
			assert.Contains(t, answer.Body.String(), c.says)
			described.check(t, http.MethodGet, "/audit/integrity", reply{status: answer.Code, header: answer.Header(), body: answer.Body.Bytes()})
		})
	}
}
