// Package remote talks to a running Tradetrail server over HTTP, for the
// commands.
package remote

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/klauspost/compress/zstd"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/internal/backoff"
)

const (
	requestTimeout = 2 * time.Minute
	maxAnswerBytes = 64 << 20
	// defaultPatience is how long a server may be away in the middle of recording.
	defaultPatience = 5 * time.Minute
)

// Client is a client of one server.
type Client struct {
	base     string
	http     *http.Client
	patience time.Duration
	pack     *zstd.Encoder // of what is recorded; nil on this machine, where bytes cost less than packing
}

// New makes a client; base is such as http://127.0.0.1:8080.
func New(base string) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, domain.Rejectf(domain.CodeInvalid, "server", "%.100q is not a URL such as http://127.0.0.1:8080", base)
	}
	c := &Client{base: strings.TrimSuffix(base, "/"), http: &http.Client{Timeout: requestTimeout}, patience: defaultPatience}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		if err := c.compress(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// compress packs what is recorded from now on.
func (c *Client) compress() (err error) {
	c.pack, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithWindowSize(1<<20)) // what the server has memory for, at least
	if err != nil {
		return fmt.Errorf("making the compressor: %w", err)
	}
	return nil
}

// Reachable reports whether there may be a server: only a refused connection says
// for sure that there is none. A slow server is one.
func (c *Client) Reachable(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, err := c.get(ctx, "/healthz")
	return !errors.Is(err, syscall.ECONNREFUSED)
}

// Ready returns nil when the server says that it is.
func (c *Client) Ready(ctx context.Context) error {
	body, err := c.get(ctx, "/readyz")
	if err != nil {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(body))
	}
	return nil
}

func (c *Client) get(ctx context.Context, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", c.base, err)
	}
	return c.do(request)
}

// do returns the body, also along with the error for a status that is not 2xx.
func (c *Client) do(request *http.Request) ([]byte, error) {
	response, err := c.http.Do(request)
	if err != nil {
		return nil, &domain.Error{Class: domain.ClassTransient, Code: "server_unreachable", Message: "asking " + c.base, Err: err}
	}
	defer func() { _ = response.Body.Close() }() // read to its end or given up: nothing left to fail
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes))
	if err != nil {
		return nil, &domain.Error{Class: domain.ClassTransient, Code: "server_unreachable", Message: "reading the answer of " + c.base, Err: err}
	}
	switch {
	case response.StatusCode < 300:
		return body, nil
	case transientStatus(response.StatusCode):
		return body, &domain.Error{Class: domain.ClassTransient, Code: "server_unavailable", Message: c.base + " answers " + response.Status}
	default:
		return body, &domain.Error{Class: domain.ClassRejected, Code: "server_refused", Message: c.base + " answers " + response.Status}
	}
}

// transientStatus: the server, or a proxy before it, asks to come again.
func transientStatus(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	default:
		return false
	}
}

// answer is the body of POST /v1/events, as a problem document or not.
type answer struct {
	Detail   string `json:"detail"`
	Receipts []struct {
		EventID  string `json:"event_id"`
		Status   string `json:"status"`
		Stream   string `json:"stream"`
		Revision uint64 `json:"revision"`
		Position string `json:"position"`
		Error    *struct {
			Code    string `json:"code"`
			Field   string `json:"field"`
			Message string `json:"message"`
		} `json:"error"`
	} `json:"receipts"`
}

// Record sends items to the server, in as many requests as it takes, and returns
// their receipts, in order; with an error, those of the requests before. While
// the server is away it tries again for some minutes; the same items sent twice
// are recorded once. What could not be read is sent as the event that keeps it.
func (c *Client) Record(ctx context.Context, source string, items []ingest.Item) ([]ingest.Receipt, error) {
	e := encoder{source: source, seen: make(map[[sha256.Size]byte]int)}
	receipts := make([]ingest.Receipt, 0, len(items))
	for len(items) > 0 {
		body, n, err := e.encode(items)
		if err != nil {
			return receipts, err
		}
		answered, err := c.deliver(ctx, source, body, items[:n])
		receipts = append(receipts, answered...)
		if err != nil {
			return receipts, err
		}
		items = items[n:]
	}
	return receipts, nil
}

// deliver posts until the server has answered.
func (c *Client) deliver(ctx context.Context, source string, body []byte, items []ingest.Item) ([]ingest.Receipt, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.patience, errors.New("the server was away for too long"))
	defer cancel()
	for attempt := 0; ; attempt++ {
		receipts, err := c.post(ctx, source, body, items)
		if err == nil || domain.ClassOf(err) != domain.ClassTransient {
			return receipts, err
		}
		if backoff.Wait(ctx, attempt, 100*time.Millisecond, 5*time.Second) != nil {
			return nil, errors.Join(err, context.Cause(ctx))
		}
	}
}

// The bounds of one request, well below the server's.
const (
	maxRequestBytes  = 8 << 20
	maxRequestEvents = 2_000
)

// encoder turns items into requests.
type encoder struct {
	source string
	seen   map[[sha256.Size]byte]int // events without an id, by what they say
}

// encode writes NDJSON: the canonical event, or what could not be read, wrapped
// in the event that keeps it. It returns how many of the items it has taken.
func (e *encoder) encode(items []ingest.Item) ([]byte, int, error) {
	var body bytes.Buffer
	for n, item := range items {
		if n == maxRequestEvents || body.Len() > maxRequestBytes {
			return body.Bytes(), n, nil
		}
		event := item.Event
		if item.Err != nil {
			event = ingest.Quarantine(e.source, item, time.Now()) //nolint:forbidigo // the moment counts for people only
		}
		event, err := e.identified(event)
		if err != nil {
			return nil, 0, fmt.Errorf("encoding line %d: %w", item.Line, err)
		}
		line, err := event.Encode()
		if err != nil {
			return nil, 0, fmt.Errorf("encoding line %d: %w", item.Line, err)
		}
		body.Write(line)
		body.WriteByte('\n')
	}
	return body.Bytes(), len(items), nil
}

// identified gives an event without an id the one that the server would: what is
// said twice is two events, also when they go in two requests.
func (e *encoder) identified(event *domain.Event) (*domain.Event, error) {
	if event.ID != "" {
		return event, nil
	}
	digest, err := event.Digest()
	if err != nil {
		return nil, err
	}
	with := *event
	with.ID = ingest.DeriveID("http:"+e.source, digest, e.seen[digest])
	e.seen[digest]++
	return &with, nil
}

func (c *Client) post(ctx context.Context, source string, body []byte, items []ingest.Item) ([]ingest.Receipt, error) {
	if c.pack != nil {
		body = c.pack.EncodeAll(body, nil)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/v1/events?source="+url.QueryEscape(source), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", c.base, err)
	}
	request.Header.Set("Content-Type", "application/x-ndjson")
	if c.pack != nil {
		request.Header.Set("Content-Encoding", "zstd")
	}
	raw, err := c.do(request)
	if domain.ClassOf(err) == domain.ClassTransient {
		return nil, err
	}
	var a answer
	if jsonErr := json.Unmarshal(raw, &a); jsonErr != nil || len(a.Receipts) != len(items) {
		return nil, errors.Join(err, fmt.Errorf("%s answered %d receipts for %d events: %.200s", c.base, len(a.Receipts), len(items), raw))
	}
	receipts := make([]ingest.Receipt, len(items))
	for i, r := range a.Receipts {
		switch ingest.Status(r.Status) {
		case ingest.Recorded, ingest.Duplicate, ingest.Rejected:
		default:
			return nil, errors.Join(err, fmt.Errorf("%s answered %.100q for line %d", c.base, r.Status, items[i].Line))
		}
		receipts[i] = ingest.Receipt{
			Line: items[i].Line, EventID: r.EventID, Status: ingest.Status(r.Status), Stream: r.Stream, Revision: r.Revision,
		}
		var positionErr error
		if receipts[i].Position, positionErr = domain.ParsePosition(r.Position); positionErr != nil {
			return nil, fmt.Errorf("reading the receipt of line %d: %w", items[i].Line, positionErr)
		}
		switch {
		case items[i].Err != nil: // recorded, as what could not be read
			receipts[i].Status, receipts[i].Err = ingest.Rejected, items[i].Err
		case r.Error != nil:
			receipts[i].Err = &domain.Error{Class: domain.ClassRejected, Code: r.Error.Code, Field: r.Error.Field, Message: r.Error.Message}
		}
	}
	return receipts, nil
}

// Query runs a GraphQL query or mutation and decodes its data into out. It waits
// as long as ctx does: a rebuild may take its time.
func (c *Client) Query(ctx context.Context, query string, variables map[string]any, out any) error {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return fmt.Errorf("encoding the query: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/graphql", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("asking %s: %w", c.base, err)
	}
	request.Header.Set("Content-Type", "application/json")
	patient := Client{base: c.base, http: &http.Client{}}
	raw, err := patient.do(request)
	var response struct {
		Data   any `json:"data"`
		Errors []struct {
			Message    string `json:"message"`
			Extensions struct {
				Code  string `json:"code"`
				Class string `json:"class"`
			} `json:"extensions"`
		} `json:"errors"`
	}
	response.Data = out
	if jsonErr := json.Unmarshal(raw, &response); jsonErr != nil {
		return errors.Join(err, fmt.Errorf("reading the answer of %s: %.200s", c.base, raw))
	}
	if len(response.Errors) > 0 {
		first := response.Errors[0]
		return &domain.Error{Class: classNamed(first.Extensions.Class), Code: first.Extensions.Code, Message: first.Message}
	}
	return err
}

// classNamed is the class that a server names; without one, the query itself is at
// fault.
func classNamed(name string) domain.Class {
	for _, class := range []domain.Class{
		domain.ClassUnknown, domain.ClassNotFound, domain.ClassConflict, domain.ClassTransient, domain.ClassIntegrity, domain.ClassDenied,
	} {
		if name == class.String() {
			return class
		}
	}
	return domain.ClassRejected
}
