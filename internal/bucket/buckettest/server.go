// Package buckettest is an object store in the test's process.
package buckettest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/require"
)

// The keys that a server takes.
const (
	AccessKey = "AKIDEXAMPLE"
	SecretKey = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" //nolint:gosec // the one of AWS's documentation
)

// Server is an object store with one bucket, "reports", which looks at signatures.
type Server struct {
	URL     string
	Backend gofakes3.Backend

	between atomic.Pointer[func(w http.ResponseWriter, r *http.Request, store http.Handler)]
}

// Between sets what is done with requests that are signed rightly, instead of giving them
// to the store.
func (s *Server) Between(do func(w http.ResponseWriter, r *http.Request, store http.Handler)) {
	s.between.Store(&do)
}

// Start runs a server until the test ends, and sets the credentials of the environment to
// its keys.
func Start(t *testing.T) *Server {
	t.Helper()
	backend := s3mem.New()
	require.NoError(t, backend.CreateBucket("reports"))
	s := &Server{Backend: backend}
	store := gofakes3.New(backend, gofakes3.WithIntegrityCheck(true)).Server()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if code := wrong(r, SecretKey); code != "" {
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(http.StatusForbidden)
			if r.Method != http.MethodHead {
				_, _ = w.Write([]byte("<Error><Code>" + code + "</Code><Message>the request is not signed as it must be</Message></Error>"))
			}
			return
		}
		if between := s.between.Load(); between != nil {
			(*between)(w, r, store)
			return
		}
		store.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.URL = server.URL
	t.Setenv("AWS_ACCESS_KEY_ID", AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", SecretKey)
	t.Setenv("AWS_SESSION_TOKEN", "")
	return s
}

// Place is the URL of a prefix of the server's bucket.
func (s *Server) Place(prefix string) string {
	return "s3://reports/" + prefix + "?endpoint=" + s.URL
}

// Names are the names of all objects.
func (s *Server) Names(t *testing.T) []string {
	t.Helper()
	list, err := s.Backend.ListBucket("reports", &gofakes3.Prefix{}, gofakes3.ListBucketPage{})
	require.NoError(t, err)
	names := []string{}
	for _, object := range list.Contents {
		names = append(names, object.Key)
	}
	return names
}

// Object is what an object has in it, and its metadata.
func (s *Server) Object(t *testing.T, name string) (content string, metadata map[string]string) {
	t.Helper()
	object, err := s.Backend.GetObject("reports", name, nil)
	require.NoError(t, err)
	defer func() { _ = object.Contents.Close() }() // it was only read
	var text strings.Builder
	_, err = io.Copy(&text, object.Contents)
	require.NoError(t, err)
	return text.String(), object.Metadata
}
