package client

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/klauspost/compress/zstd"
)

// door is POST /v1/events of the server. It belongs to the delivery.
type door struct {
	url     string
	header  http.Header
	client  *http.Client
	timeout time.Duration
	now     func() time.Time

	auto   bool
	coding Compression          // of the next body; CompressNone is none
	never  map[Compression]bool // refused once
	zstd   *zstd.Encoder
	gzip   *gzip.Writer
	packed []byte
}

// maxAnswerBytes is more than the receipts of the largest batch take.
const maxAnswerBytes = 16 << 20

func newDoor(cfg *Config) (*door, error) {
	transport := cfg.Transport
	if transport == nil {
		transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 1,
			IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 10 * time.Second,
		}
	}
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(1<<20)) // what the server has memory for, at least
	if err != nil {
		return nil, fmt.Errorf("making the compressor: %w", err)
	}
	source := "client"
	if cfg.Name != "" {
		source = cfg.Name
	}
	d := &door{
		url: strings.TrimSuffix(cfg.Server, "/") + "/v1/events?source=" + url.QueryEscape(source), header: cfg.Header,
		// A redirect would turn the POST into a GET; whoever answers it is no server of ours.
		client:  &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		timeout: cfg.Timeout, now: cfg.clock.now,
		coding: cfg.Compression, never: make(map[Compression]bool), zstd: encoder,
	}
	if d.gzip, err = gzip.NewWriterLevel(io.Discard, gzip.BestSpeed); err != nil {
		return nil, fmt.Errorf("making the compressor: %w", err)
	}
	if cfg.Compression == CompressAuto {
		d.auto, d.coding = true, CompressNone
	}
	return d, nil
}

func (d *door) close() { d.client.CloseIdleConnections() }

// answer is what the server said.
type answer struct {
	status   int
	receipts []receipt // in the order of the lines; as many as there were
	after    time.Duration
	packed   bool // the body was compressed
}

type receipt struct {
	EventID string `json:"event_id"`
	Status  string `json:"status"`
	Error   *struct {
		Code    string `json:"code"`
		Field   string `json:"field"`
		Message string `json:"message"`
	} `json:"error"`
}

// post sends lines. The error says that there is no receipt for anything, and why;
// answer.status and answer.after are set even then, if somebody answered.
func (d *door) post(ctx context.Context, lines []byte, events int) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	body, err := d.pack(lines)
	if err != nil {
		return answer{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url, bytes.NewReader(body))
	if err != nil {
		return answer{}, transient(CodeServerRefused, "asking "+d.url, err)
	}
	maps.Copy(request.Header, d.header)
	request.Header.Set("Content-Type", "application/x-ndjson")
	packed := d.coding != CompressNone
	if packed {
		request.Header.Set("Content-Encoding", string(d.coding))
	}
	response, err := d.client.Do(request)
	if err != nil {
		return answer{}, transient(CodeServerUnreachable, "asking "+d.url, err)
	}
	defer func() { _ = response.Body.Close() }() // read to its end or given up: nothing left to fail
	a := answer{status: response.StatusCode, after: retryAfter(response.Header, d.now()), packed: packed}
	raw, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes))
	if err != nil {
		return a, transient(CodeServerUnreachable, "reading the answer of "+d.url, err)
	}
	d.learn(response.Header)
	var said struct {
		Detail   string    `json:"detail"`
		Receipts []receipt `json:"receipts"`
	}
	parsed := json.Unmarshal(raw, &said)
	if parsed == nil && len(said.Receipts) == events {
		a.receipts = said.Receipts
		return a, nil
	}
	code, why := CodeServerRefused, said.Detail
	switch {
	case a.status < 300:
		code, why = CodeNotUnderstood, fmt.Sprintf("%d receipts for %d events", len(said.Receipts), events)
		if parsed != nil {
			why = fmt.Sprintf("no receipts: %.100q", raw)
		}
	case transientStatus(a.status):
		code = CodeServerUnavailable
	}
	return a, transient(code, strings.TrimSuffix(d.url+" answers "+response.Status+": "+why, ": "), nil)
}

// transientStatus: the server, or a proxy before it, asks to come again.
func transientStatus(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	default:
		return false
	}
}

// plain gives compression up; it reports whether there was any.
func (d *door) plain() bool {
	if d.coding == CompressNone {
		return false
	}
	d.never[d.coding] = true
	d.coding = CompressNone
	return true
}

// learn takes the best coding that the server says it accepts.
func (d *door) learn(header http.Header) {
	if !d.auto || d.coding != CompressNone {
		return
	}
	offered := strings.ToLower(strings.Join(header.Values("Accept-Encoding"), ","))
	for _, coding := range []Compression{CompressZstd, CompressGzip} {
		for one := range strings.SplitSeq(offered, ",") {
			name, weight, _ := strings.Cut(one, ";")
			if strings.TrimSpace(name) == string(coding) && strings.ReplaceAll(weight, " ", "") != "q=0" && !d.never[coding] {
				d.coding = coding
				return
			}
		}
	}
}

func (d *door) pack(lines []byte) ([]byte, error) {
	switch d.coding {
	case CompressZstd:
		d.packed = d.zstd.EncodeAll(lines, d.packed[:0])
	case CompressGzip:
		out := bytes.NewBuffer(d.packed[:0])
		d.gzip.Reset(out)
		_, err := d.gzip.Write(lines)
		if err = errors.Join(err, d.gzip.Close()); err != nil {
			return nil, fmt.Errorf("compressing a batch: %w", err)
		}
		d.packed = out.Bytes()
	default:
		return lines, nil
	}
	return d.packed, nil
}

// maxRetryAfter is the longest that a server may send the delivery away for.
const maxRetryAfter = 5 * time.Minute

// retryAfter reads the header in both its forms (RFC 9110, 10.2.3).
func retryAfter(header http.Header, now time.Time) time.Duration {
	value := header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}
