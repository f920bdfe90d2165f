package rest

import (
	"bufio"
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
	maxWindow = 8 << 20 // of zstd: what every sender of it may use
)

// The memory of decoders, which they take from that of bodies.
const (
	gzipBytes  = 64 << 10
	zstdBytes  = 512 << 10 // and the window
	zstdWindow = 1 << 20   // that any frame of a body may have, and none behind the first one more than that
)

// Codes of bodies that can't be decompressed.
const (
	codeEncoding = "unsupported_encoding"
	codeRatio    = "compression_ratio"
)

const acceptEncoding = "gzip, zstd"

// decoded returns what a body says without its Content-Encoding. While it is being
// read it takes memory from the account, or ends with errTooManyBytes. The error is
// ClassRejected: codeEncoding for encodings that are not on offer.
func decoded(r *http.Request, account *account) (io.ReadCloser, error) {
	counted := &counter{in: r.Body}
	switch encoding := strings.ToLower(strings.TrimSpace(strings.Join(r.Header.Values("Content-Encoding"), ","))); encoding {
	case "", "identity":
		return r.Body, nil
	case "gzip", "x-gzip":
		return &inflated{from: counted, start: func() (io.Reader, func(), error) {
			give, err := account.take(gzipBytes, true)
			if err != nil {
				return nil, nil, err
			}
			z, err := gzip.NewReader(counted)
			if err != nil {
				give()
				return nil, nil, malformed(counted, err)
			}
			return z, give, nil
		}}, nil
	case "zstd":
		return &inflated{from: counted, start: func() (io.Reader, func(), error) {
			return inflateZstd(counted, account)
		}}, nil
	default:
		return nil, domain.Rejectf(codeEncoding, "", "%.40q is no encoding that is taken; send %s, or none", encoding, strings.ReplaceAll(acceptEncoding, ",", " or"))
	}
}

// inflateZstd takes as much memory as the first frame of the body says it needs.
func inflateZstd(in *counter, account *account) (io.Reader, func(), error) {
	buffered := bufio.NewReader(in)
	start, _ := buffered.Peek(zstd.HeaderMaxSize) // the decoder meets the error, if any
	window := uint64(zstdWindow)
	var header zstd.Header
	if header.Decode(start) == nil {
		if header.SingleSegment {
			header.WindowSize = header.FrameContentSize
		}
		window = min(max(window, header.WindowSize), maxWindow)
	}
	give, err := account.take(int64(window)+zstdBytes, true)
	if err != nil {
		return nil, nil, err
	}
	z, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(window))
	if err != nil {
		give()
		return nil, nil, malformed(in, err)
	}
	return z, func() {
		z.Close()
		give()
	}, nil
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
	ended bool
}

func (i *inflated) Read(p []byte) (int, error) {
	if i.ended {
		return 0, io.EOF
	}
	if i.z == nil {
		z, end, err := i.start()
		if err != nil {
			return 0, err
		}
		i.z, i.end = z, end
	}
	n, err := i.z.Read(p)
	if i.bytes += int64(n); i.bytes > ratioFrom && i.bytes > maxRatio*i.from.bytes {
		return n, domain.Rejectf(codeRatio, "", "the body grows more than %d times when it is decompressed", maxRatio)
	}
	switch {
	case errors.Is(err, io.EOF):
		i.ended = true
		_ = i.Close() // it has no error; what was read may take long to record
	case err != nil:
		err = malformed(i.from, err)
	}
	return n, err
}

// malformed tells a body that ends early from one that is not what it says.
func malformed(from *counter, err error) error {
	if from.err != nil {
		return from.err
	}
	return domain.Rejectf(domain.CodeMalformed, "", "the body can't be decompressed: %v", err)
}

// Close gives up the decoder's memory. It does not close what it reads from.
func (i *inflated) Close() error {
	if i.end != nil {
		i.end()
		i.end = nil
	}
	return nil
}
