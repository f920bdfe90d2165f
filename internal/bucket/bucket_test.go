package bucket_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/bucket"
	"github.com/tradetrail/tradetrail/internal/bucket/buckettest"
)

func open(t *testing.T, place string) *bucket.Bucket {
	t.Helper()
	p, err := bucket.ParsePlace(place)
	require.NoError(t, err)
	b, err := bucket.Open(p)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, b.Close()) })
	return b
}

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func TestBucket_PutsWholeAndOverNoOther(t *testing.T) {
	server := buckettest.Start(t)
	b := open(t, server.Place("desk/2026 ä"))
	require.NoError(t, b.Ready(t.Context()))
	has, err := b.Has(t.Context(), "daily.txt")
	require.NoError(t, err)
	assert.False(t, has)

	long := strings.Repeat("a line of a report\n", 2<<20) // 38 MB: more than one part of an upload in parts
	require.NoError(t, b.Put(t.Context(), "daily.txt", "text/plain", file(t, long)))
	assert.Equal(t, []string{"desk/2026 ä/daily.txt"}, server.Names(t))
	content, metadata := server.Object(t, "desk/2026 ä/daily.txt")
	assert.True(t, long == content) //nolint:testifylint // 38 MB say nothing in a difference
	sum := sha256.Sum256([]byte(long))
	assert.Equal(t, hex.EncodeToString(sum[:]), metadata["X-Amz-Meta-Sha256"])
	assert.Equal(t, "text/plain", metadata["Content-Type"])

	has, err = b.Has(t.Context(), "daily.txt")
	require.NoError(t, err)
	assert.True(t, has)
	require.ErrorIs(t, b.Put(t.Context(), "daily.txt", "text/plain", file(t, "another")), fs.ErrExist)
	again, _ := server.Object(t, "desk/2026 ä/daily.txt")
	assert.Len(t, again, len(long))
}

func TestBucket_CredentialsOfTheSharedFile(t *testing.T) {
	server := buckettest.Start(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	t.Setenv("AWS_PROFILE", "desk")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file(t, "[desk]\naws_access_key_id = "+buckettest.AccessKey+"\naws_secret_access_key = "+buckettest.SecretKey+"\n"))
	b := open(t, server.Place(""))
	require.NoError(t, b.Ready(t.Context()))
	require.NoError(t, b.Put(t.Context(), "daily.txt", "text/plain", file(t, "x")))
	assert.Equal(t, []string{"daily.txt"}, server.Names(t))
}

func TestBucket_SaysWhatIsWrong(t *testing.T) {
	answer := func(status int, body string) func(*testing.T, *buckettest.Server) {
		return func(_ *testing.T, s *buckettest.Server) {
			s.Between(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
				w.WriteHeader(status)
				_, _ = w.Write([]byte(body))
			})
		}
	}
	for name, c := range map[string]struct {
		place func(*buckettest.Server) string
		with  func(*testing.T, *buckettest.Server)
		class domain.Class
		code  string
	}{
		"no bucket":           {place: func(s *buckettest.Server) string { return "s3://others?endpoint=" + s.URL }, class: domain.ClassNotFound, code: bucket.CodeNoBucket},
		"away":                {place: func(*buckettest.Server) string { return "s3://reports?endpoint=http://127.0.0.1:1" }, class: domain.ClassTransient, code: bucket.CodeAway},
		"no credentials":      {with: func(t *testing.T, _ *buckettest.Server) { t.Setenv("AWS_ACCESS_KEY_ID", "") }, class: domain.ClassDenied, code: bucket.CodeDenied},
		"half of credentials": {with: func(t *testing.T, _ *buckettest.Server) { t.Setenv("AWS_SECRET_ACCESS_KEY", "") }, class: domain.ClassDenied, code: bucket.CodeDenied},
		"another key":         {with: func(t *testing.T, _ *buckettest.Server) { t.Setenv("AWS_ACCESS_KEY_ID", "AKIDOTHER") }, class: domain.ClassDenied, code: bucket.CodeDenied},
		"a wrong secret":      {with: func(t *testing.T, _ *buckettest.Server) { t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret") }, class: domain.ClassDenied, code: bucket.CodeDenied},
		"slow down":           {with: answer(http.StatusServiceUnavailable, "<Error><Code>SlowDown</Code></Error>"), class: domain.ClassTransient, code: bucket.CodeAway},
		"broken":              {with: answer(http.StatusInternalServerError, ""), class: domain.ClassTransient, code: bucket.CodeAway},
		"another region":      {with: answer(http.StatusBadRequest, "<Error><Code>AuthorizationHeaderMalformed</Code></Error>"), class: domain.ClassRejected, code: bucket.CodeRefused},
		"hostile":             {with: answer(http.StatusBadRequest, "<Error><Message>"+strings.Repeat("x", 1<<19)), class: domain.ClassRejected, code: bucket.CodeRefused},
	} {
		t.Run(name, func(t *testing.T) {
			server := buckettest.Start(t)
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
			place := server.Place("")
			if c.place != nil {
				place = c.place(server)
			}
			if c.with != nil {
				c.with(t, server)
			}
			b := open(t, place)
			path := file(t, "x")
			for what, err := range map[string]error{"ready": b.Ready(t.Context()), "put": b.Put(t.Context(), "x", "text/plain", path)} {
				if what == "put" && strings.HasSuffix(name, "credentials") {
					require.Error(t, err) // asked as nobody
					continue
				}
				var e *domain.Error
				require.ErrorAs(t, err, &e, what)
				assert.Equal(t, c.class, e.Class, "%s: %v", what, err)
				assert.Equal(t, c.code, e.Code, "%s: %v", what, err)
				assert.NotContains(t, err.Error(), buckettest.SecretKey)
				assert.NotContains(t, err.Error(), "wrong-secret")
				assert.Less(t, len(err.Error()), 600)
			}
			assert.Empty(t, server.Names(t))
		})
	}
}

func TestBucket_WhoIsToldToStopStops(t *testing.T) {
	server := buckettest.Start(t)
	b := open(t, server.Place(""))
	ctx, cancel := context.WithCancel(t.Context())
	server.Between(func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
		cancel()
		<-r.Context().Done()
	})
	require.ErrorIs(t, b.Ready(ctx), context.Canceled)
}

func TestParsePlace(t *testing.T) {
	for text, want := range map[string]bucket.Place{
		"s3://reports":                                     {Bucket: "reports", Host: "s3.amazonaws.com", Secure: true, Region: "us-east-1"},
		"s3://reports/a/b/?region=eu-west":                 {Bucket: "reports", Prefix: "a/b/", Host: "s3.amazonaws.com", Secure: true, Region: "eu-west"},
		"s3://my.reports/?endpoint=http://127.0.0.1:9000/": {Bucket: "my.reports", Host: "127.0.0.1:9000", Region: "us-east-1"},
		"s3://reports/x?endpoint=https%3A%2F%2Fminio.example": {
			Bucket: "reports", Prefix: "x/", Host: "minio.example", Secure: true, Region: "us-east-1",
		},
	} {
		got, err := bucket.ParsePlace(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got)
	}
	for _, text := range []string{
		"", "reports", "/var/reports", "s3:reports", "s3://", "s3://R", "s3://re_ports", "https://reports", "s3://reports/a//b", "s3://reports/%ff",
		"s3://reports?endpoint=minio:9000", "s3://reports?endpoint=ftp://minio", "s3://reports?endpoint=http://minio/path", "s3://reports?endpoint=",
		"s3://reports?region=a&region=b", "s3://reports?secret_key=s3cr3t", "s3://reports#x", "s3://reports/\x00", "s3://AKID:s3cr3t@reports",
		"s3://reports?endpoint=http://AKID:s3cr3t@minio:9000", "s3://reports?endpoint=http://:9000", "s3://reports?%zz",
	} {
		_, err := bucket.ParsePlace(text)
		require.Error(t, err, text)
		assert.Equal(t, domain.ClassRejected, domain.ClassOf(err), text)
		assert.NotContains(t, err.Error(), "s3cr3t")
	}
}
