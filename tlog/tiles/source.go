package tiles

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"

	"github.com/tradetrail/tradetrail/domain"
)

// Codes of the errors of this package.
const (
	CodeDamaged     = "log_damaged"     // ClassIntegrity: the files contradict themselves
	CodeUnavailable = "log_unavailable" // ClassTransient: they could not be read
	CodeOutside     = "outside_log"     // ClassNotFound: not, or not yet, in the log
)

// maxFile is what a file of a log may have: 256 entries of 64 KiB, each behind
// its length.
const maxFile = 256 * (2 + 65535)

// Source reads the files of a log by their path in tlog-tiles, such as
// "checkpoint" or "tile/0/x001/234". What does not exist is fs.ErrNotExist. It
// is called concurrently.
type Source interface {
	Read(ctx context.Context, path string) ([]byte, error)
}

// Folder is a log in a directory.
type Folder struct{ root *os.Root }

// OpenFolder opens the log in a directory that exists. Close must be called.
func OpenFolder(path string) (*Folder, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("opening the log in %s: %w", path, err)
	}
	return &Folder{root}, nil
}

// Read implements Source.
func (f *Folder) Read(_ context.Context, path string) ([]byte, error) {
	file, err := f.root.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // only read
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return readAll(file, path, info.Size())
}

// Close closes the directory.
func (f *Folder) Close() error { return f.root.Close() }

// Server is a log that is served below a URL.
type Server struct {
	base   *url.URL
	client *http.Client
}

// NewServer reads the log below base, such as http://127.0.0.1:8080/log/.
func NewServer(base *url.URL, client *http.Client) *Server { return &Server{base, client} }

// Read implements Source.
func (s *Server) Read(ctx context.Context, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base.JoinPath(path).String(), nil)
	if err != nil {
		return nil, err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
		return readAll(response.Body, path, response.ContentLength)
	case http.StatusNotFound, http.StatusGone:
		return nil, fs.ErrNotExist
	default:
		return nil, fmt.Errorf("reading %s: the server answers %s", request.URL, response.Status)
	}
}

// readAll reads to the end; size is about how long it will be, or negative.
func readAll(r io.Reader, path string, size int64) ([]byte, error) {
	var out bytes.Buffer
	out.Grow(int(min(max(size, 0), maxFile)) + bytes.MinRead)
	if _, err := out.ReadFrom(io.LimitReader(r, maxFile+1)); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	text := out.Bytes()
	if len(text) > maxFile {
		return nil, damaged("%s has more bytes than a file of a log can have", path)
	}
	return text, nil
}

func damaged(format string, args ...any) error {
	return &domain.Error{Class: domain.ClassIntegrity, Code: CodeDamaged, Message: fmt.Sprintf(format, args...)}
}

func outside(format string, args ...any) error {
	return &domain.Error{Class: domain.ClassNotFound, Code: CodeOutside, Message: fmt.Sprintf(format, args...)}
}

// unreadable keeps what is classified and what was cancelled as it is.
func unreadable(path string, err error) error {
	if domain.ClassOf(err) != domain.ClassUnknown || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &domain.Error{Class: domain.ClassTransient, Code: CodeUnavailable, Message: "reading " + path + " of the log", Err: err}
}
