package rest

import (
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/tradetrail/tradetrail/domain"
)

// The bounds of compressed bodies. Audit events shrink to a tenth, at most to a
// fiftieth; what grows more is made to hurt.
const (
	maxRatio  = 200
	ratioFrom = 8 << 20 // bytes that any body may become
	maxWindow = 8 << 20 // of zstd: memory for one body
)

// Codes of bodies that can't be decompressed.
const (
	codeEncoding = "unsupported_encoding"
	codeRatio    = "compression_ratio"
)

const acceptEncoding = "gzip, zstd"

// decoded returns what a body says without its Content-Encoding. The error is
// ClassRejected: codeEncoding for encodings that are not on offer.
func decoded(r *http.Request) (io.ReadCloser, error) {
	counted := &counter{in: r.Body}
	switch encoding := strings.ToLower(strings.TrimSpace(strings.Join(r.Header.Values("Content-Encoding"), ","))); encoding {
	case "", "identity":
		return r.Body, nil
	case "gzip", "x-gzip":
		return &inflated{from: counted, start: func() (io.Reader, func(), error) {
			z, err := gzip.NewReader(counted)
			return z, func() {}, err
		}}, nil
	case "zstd":
		return &inflated{from: counted, start: func() (io.Reader, func(), error) {
			z, err := zstd.NewReader(counted, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
			if err != nil {
				return nil, nil, err
			}
			return z, z.Close, nil
		}}, nil
	default:
		return nil, domain.Rejectf(codeEncoding, "", "%.40q is no encoding that is taken; send %s, or none", encoding, strings.ReplaceAll(acceptEncoding, ",", " or"))
	}
}

// counter counts what was read, and remembers the error of reading.
type counter struct {
	in    io.Reader
	bytes int64
	err   error
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.bytes += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}

// inflated is a decompressed body.
type inflated struct {
	from  *counter
	start func() (z io.Reader, end func(), err error)
	z     io.Reader // nil until something is read
	end   func()
	bytes int64
}

func (i *inflated) Read(p []byte) (int, error) {
	if i.z == nil {
		z, end, err := i.start()
		if err != nil {
			return 0, i.reason(err)
		}
		i.z, i.end = z, end
	}
	n, err := i.z.Read(p)
	if i.bytes += int64(n); i.bytes > ratioFrom && i.bytes > maxRatio*i.from.bytes {
		return n, domain.Rejectf(codeRatio, "", "the body grows more than %d times when it is decompressed", maxRatio)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = i.reason(err)
	}
	return n, err
}

// reason tells a body that ends early from one that is not what it says.
func (i *inflated) reason(err error) error {
	if i.from.err != nil {
		return i.from.err
	}
	return domain.Rejectf(domain.CodeMalformed, "", "the body can't be decompressed: %v", err)
}

// Close gives up the decoder's memory. It does not close what it reads from.
func (i *inflated) Close() error {
	if i.end != nil {
		i.end()
	}
	return nil
}
