package stamp_test

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/tlog/stamp"
	"github.com/tradetrail/tradetrail/tlog/stamp/stamptest"
)

var digest = sha256.Sum256([]byte("a checkpoint"))

func roots(t *testing.T, text []byte) *x509.CertPool {
	t.Helper()
	pool, err := stamp.ParseRoots(text)
	require.NoError(t, err)
	return pool
}

// ask asks an authority whose roots are those of another one, if there is one.
func ask(t *testing.T, a, trusted *stamptest.Authority) ([]byte, stamp.Stamp, error) {
	t.Helper()
	transport := new(http.Transport)
	t.Cleanup(transport.CloseIdleConnections)
	authority, err := stamp.NewAuthority(a.URL, roots(t, trusted.Roots), transport, time.Now)
	require.NoError(t, err)
	return authority.Stamp(t.Context(), digest)
}

func TestAuthority_Stamps(t *testing.T) {
	a := stamptest.Start(t, nil)
	token, s, err := ask(t, a, a)
	require.NoError(t, err)
	assert.WithinDuration(t, time.Now(), s.Time, time.Minute)
	assert.Equal(t, time.Second, s.Accuracy)
	assert.Contains(t, s.Authority, "Test Authority")
	again, err := stamp.Verify(token, digest, roots(t, a.Roots))
	require.NoError(t, err)
	assert.Equal(t, s, again)
}

func TestAuthority_AnswersThatAreNotTaken(t *testing.T) {
	answer := func(kind string, body []byte) func(*stamptest.Authority) {
		return func(a *stamptest.Authority) {
			a.Respond = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", kind)
				_, _ = w.Write(body)
			}
		}
	}
	changed := func(change func(*timestamp.Timestamp)) func(*stamptest.Authority) {
		return func(a *stamptest.Authority) { a.Changed = change }
	}
	refusal, err := timestamp.CreateErrorResponse(timestamp.Rejection, timestamp.BadRequest)
	require.NoError(t, err)
	const reply = "application/timestamp-reply"
	for name, c := range map[string]struct {
		with        func(*stamptest.Authority)
		certificate func(*x509.Certificate)
		says        string
		class       domain.Class
	}{
		"huge":            {with: answer(reply, make([]byte, 1<<20)), says: "more than"},
		"a page":          {with: answer("text/html", []byte("<html>")), says: "text/html"},
		"nothing":         {with: answer(reply, nil), says: "can't be read"},
		"nonsense":        {with: answer(reply, []byte("0123456789")), says: "can't be read"},
		"a refusal":       {with: answer(reply, refusal), says: "refuses: status 2"},
		"away":            {with: func(a *stamptest.Authority) { a.Away.Store(true) }, says: "503", class: domain.ClassTransient},
		"another nonce":   {with: changed(func(t *timestamp.Timestamp) { t.Nonce = big.NewInt(1) }), says: "nonce"},
		"no nonce":        {with: changed(func(t *timestamp.Timestamp) { t.Nonce = nil }), says: "nonce"},
		"another digest":  {with: changed(func(t *timestamp.Timestamp) { t.HashedMessage[0] ^= 1 }), says: "digest"},
		"yesterday":       {with: changed(func(t *timestamp.Timestamp) { t.Time = t.Time.Add(-time.Hour) }), says: "clocks"},
		"tomorrow":        {with: changed(func(t *timestamp.Timestamp) { t.Time = t.Time.Add(time.Hour) }), says: "clocks"},
		"no certificates": {with: changed(func(t *timestamp.Timestamp) { t.AddTSACertificate, t.Certificates = false, nil }), says: "certificate"},
		"a critical extension": {with: changed(func(t *timestamp.Timestamp) {
			t.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
		}), says: "critical"},
		"an expired certificate": {certificate: func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) }, says: "expired"},
		"a certificate for servers": {certificate: func(c *x509.Certificate) {
			c.ExtraExtensions = nil
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}, says: "time-stamping"},
		"a certificate for everything": {certificate: func(c *x509.Certificate) { c.ExtraExtensions = nil }, says: "time-stamping"},
		"a usage that is not critical": {certificate: func(c *x509.Certificate) { c.ExtraExtensions[0].Critical = false }, says: "time-stamping"},
	} {
		t.Run(name, func(t *testing.T) {
			a := stamptest.Start(t, c.certificate)
			if c.with != nil {
				c.with(a)
			}
			_, _, err := ask(t, a, a)
			require.ErrorContains(t, err, c.says)
			want := c.class
			if want == domain.ClassUnknown {
				want = domain.ClassRejected
			}
			assert.Equal(t, want, domain.ClassOf(err), "%v", err)
			assert.Less(t, len(err.Error()), 1000)
		})
	}
	t.Run("another root", func(t *testing.T) {
		_, _, err := ask(t, stamptest.Start(t, nil), stamptest.Start(t, nil))
		require.ErrorContains(t, err, "unknown authority")
	})
	t.Run("a redirection", func(t *testing.T) {
		a, other := stamptest.Start(t, nil), stamptest.Start(t, nil)
		a.Respond = func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		}
		_, _, err := ask(t, a, other)
		require.ErrorContains(t, err, "307")
		assert.Zero(t, other.Asked.Load())
	})
	t.Run("no answer", func(t *testing.T) {
		a := stamptest.Start(t, nil)
		asked := make(chan struct{})
		a.Respond = func(_ http.ResponseWriter, r *http.Request) { close(asked); <-r.Context().Done() }
		authority, err := stamp.NewAuthority(a.URL, roots(t, a.Roots), new(http.Transport), time.Now)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-asked; cancel() }()
		_, _, err = authority.Stamp(ctx, digest)
		require.Error(t, err)
	})
}

// Whatever byte of a token is changed: it is refused, or says the same.
func TestVerify_AnyChangedByteIsFound(t *testing.T) {
	a := stamptest.Start(t, nil)
	pool := roots(t, a.Roots)
	token := a.Token(t, digest[:], time.Now())
	want, err := stamp.Verify(token, digest, pool)
	require.NoError(t, err)
	survived := 0
	for i := range token {
		flip := byte(1) << (i * 5 % 8)
		token[i] ^= flip
		if got, err := stamp.Verify(token, digest, pool); err == nil {
			survived++
			require.Equal(t, want, got, "byte %d of %d", i, len(token))
		}
		token[i] ^= flip
	}
	assert.Less(t, survived, 200, "of %d", len(token)) // names of the signer and numbers of versions, which nobody reads
}

func TestVerify_ACertificateIsOfTheTimeOfTheToken(t *testing.T) {
	a := stamptest.Start(t, nil)
	pool := roots(t, a.Roots)
	_, err := stamp.Verify(a.Token(t, digest[:], time.Now().Add(-time.Hour)), digest, pool)
	require.NoError(t, err)
	for _, at := range []time.Duration{-48 * time.Hour, 48 * time.Hour} {
		_, err := stamp.Verify(a.Token(t, digest[:], time.Now().Add(at)), digest, pool)
		require.ErrorContains(t, err, "expired or is not yet valid")
	}
	_, err = stamp.Verify(a.Token(t, digest[:], time.Now()), digest, nil)
	require.Error(t, err, "never the roots of the machine")
	_, err = stamp.Verify(make([]byte, stamp.MaxToken+1), digest, pool)
	require.ErrorContains(t, err, "bytes")
}

func TestNewAuthority_RefusesWhatIsNoURL(t *testing.T) {
	for _, text := range []string{"", "tsa.example", "ftp://tsa.example", "https://", "https://name:s3cr3t@tsa.example/#x", "https://name:s3cr3t@tsa.example:port"} {
		_, err := stamp.NewAuthority(text, nil, nil, time.Now)
		require.Error(t, err, text)
		assert.NotContains(t, err.Error(), "s3cr3t")
	}
	_, err := stamp.ParseRoots([]byte("nothing"))
	assert.Equal(t, domain.ClassRejected, domain.ClassOf(err))
}

// OpenSSL is an authority of its own, and reads ours.
func TestVerify_TokensOfOpenSSL(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("TRADETRAIL_REQUIRE") != "" {
			require.NoError(t, err)
		}
		t.Skip("there is no openssl")
	}
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	openssl := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), "openssl", args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return string(out)
	}
	write("data", "a checkpoint")
	write("ext", "extendedKeyUsage=critical,timeStamping\n")
	write("serial", "01\n")
	write("ca.ext", "basicConstraints=critical,CA:true\n")
	openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "root.key", "-out", "root.pem", "-subj", "/CN=OpenSSL Root", "-days", "2")
	openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "tsa.key", "-out", "tsa.csr", "-subj", "/CN=OpenSSL Authority")
	openssl("x509", "-req", "-in", "tsa.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial", "-days", "1", "-extfile", "ext", "-out", "tsa.pem")
	openssl("ts", "-query", "-data", "data", "-sha256", "-cert", "-out", "query")
	for name, more := range map[string]string{"SHA-256": "sha256", "names its certificate by SHA-1": "sha1"} {
		t.Run(name, func(t *testing.T) {
			write("conf", "[tsa]\ndefault_tsa=t\n[t]\nserial=serial\nsigner_digest=sha256\ndefault_policy=1.2.3.4\ndigests=sha256\naccuracy=secs:1,millisecs:500\ness_cert_id_alg="+more+"\n")
			openssl("ts", "-reply", "-config", "conf", "-queryfile", "query", "-signer", "tsa.pem", "-inkey", "tsa.key", "-token_out", "-out", "token")
			token, err := os.ReadFile(filepath.Join(dir, "token"))
			require.NoError(t, err)
			pem, err := os.ReadFile(filepath.Join(dir, "root.pem"))
			require.NoError(t, err)
			s, err := stamp.Verify(token, digest, roots(t, pem))
			require.NoError(t, err)
			assert.Equal(t, 1500*time.Millisecond, s.Accuracy)
			assert.Contains(t, s.Authority, "OpenSSL Authority")
			_, err = stamp.Verify(token, sha256.Sum256([]byte("another")), roots(t, pem))
			require.ErrorContains(t, err, "digest")
		})
	}
	a := stamptest.Start(t, nil)
	token, _, err := ask(t, a, a)
	require.NoError(t, err)
	write("ours.tst", string(token))
	write("ours.pem", string(a.Roots))
	assert.Contains(t, openssl("ts", "-verify", "-data", "data", "-in", "ours.tst", "-token_in", "-CAfile", "ours.pem"), "OK")
}

func FuzzVerify(f *testing.F) {
	a := stamptest.Start(f, nil)
	pool, err := stamp.ParseRoots(a.Roots)
	require.NoError(f, err)
	f.Add(a.Token(f, digest[:], time.Now()))
	other := sha256.Sum256([]byte("another"))
	f.Fuzz(func(t *testing.T, token []byte) {
		_, err := stamp.Verify(token, other, pool)
		require.Error(t, err)
	})
}
