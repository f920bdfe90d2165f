package rest_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/internal/authz"
	"github.com/tradetrail/tradetrail/internal/rest"
)

// held is a recorder that answers when it is let.
type held struct {
	stub

	begun, let chan struct{}
	available  error
}

func (h held) Record(ctx context.Context, _ string, items []ingest.Item) ([]ingest.Receipt, error) {
	h.begun <- struct{}{}
	select {
	case <-h.let:
	case <-ctx.Done():
	}
	return make([]ingest.Receipt, len(items)), nil
}

func (h held) Available() error { return h.available }

// metric is the sum of all values of a counter or gauge.
func metric(t testing.TB, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	sum := 0.0
	for _, family := range families {
		if family.GetName() == name {
			for _, m := range family.GetMetric() {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// postUnsent posts without ever sending the body: an answer that
// comes is one that did not wait for it.
func postUnsent(t *testing.T, url string) reply {
	t.Helper()
	body, never := io.Pipe()
	t.Cleanup(func() { _ = never.Close() })
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, body)
	require.NoError(t, err)
	request.ContentLength = 10 << 20
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Expect", "100-continue")
	client := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Hour}}
	t.Cleanup(client.CloseIdleConnections)
	response, err := client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return reply{status: response.StatusCode, header: response.Header, body: raw}
}

func TestDoor_RefusesBeforeItReads(t *testing.T) {
	t.Parallel()
	s := readSpec(t)
	away := &domain.Error{Class: domain.ClassTransient, Code: "store_unavailable", Message: "away"}
	for _, c := range []struct {
		name      string
		limits    rest.DoorLimits
		available error
		status    int
		code      string
	}{
		{"store away", rest.DefaultDoorLimits(), away, 503, "store_unavailable"},
		{"too many of one", rest.DoorLimits{Bodies: 9, BodiesEach: 1, Bytes: 1 << 30}, nil, 429, "too_many_bodies"},
		{"too many in all", rest.DoorLimits{Bodies: 1, BodiesEach: 9, Bytes: 1 << 30}, nil, 429, "too_many_bodies"},
		{"too many bytes", rest.DoorLimits{Bodies: 9, BodiesEach: 9, Bytes: 512 << 10}, nil, 503, "overloaded"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			reg := prometheus.NewRegistry()
			h := held{begun: make(chan struct{}, 9), let: make(chan struct{}), available: c.available}
			server := httptest.NewServer(rest.NewDoor(t.Context(), h, c.limits, quiet, time.Now, reg))
			t.Cleanup(server.Close)
			first := make(chan int, 1)
			if c.available == nil {
				go func() {
					response, err := http.Post(server.URL, "application/json", strings.NewReader(event("a", "")))
					if err != nil {
						first <- 0
						return
					}
					_ = response.Body.Close()
					first <- response.StatusCode
				}()
				<-h.begun
			}
			r := postUnsent(t, server.URL)
			assert.Equal(t, c.status, r.status)
			assert.Equal(t, c.code, field(r.json(t), "code"))
			assert.NotEmpty(t, r.header.Get("Retry-After"))
			s.check(t, http.MethodPost, "/v1/events", r)
			if c.available == nil {
				close(h.let)
				assert.Equal(t, http.StatusOK, <-first)
			}
			require.Eventually(t, func() bool {
				return metric(t, reg, "tradetrail_bodies") == 0 && metric(t, reg, "tradetrail_body_bytes") == 0
			}, time.Minute, time.Millisecond, "everything is given back")
			assert.InDelta(t, 1, metric(t, reg, "tradetrail_bodies_refused_total"), 0)
		})
	}
}

// A body that does not say how long it is takes memory as it comes.
func TestDoor_BodyOfUnknownLength(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(rest.NewDoor(t.Context(), stub{}, rest.DoorLimits{Bodies: 9, BodiesEach: 9, Bytes: 1 << 20}, quiet, time.Now, prometheus.NewRegistry()))
	t.Cleanup(server.Close)
	for size, want := range map[int]int{100: 200, 4 << 20: 503} {
		body := io.MultiReader(strings.NewReader(`{"x":"`), bytes.NewReader(make([]byte, size)), strings.NewReader(`"}`))
		response, err := http.Post(server.URL, "application/json", struct{ io.Reader }{body})
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, want, response.StatusCode)
	}
}

// The bodies of other handlers count too.
func TestDoor_MetersOthers(t *testing.T) {
	t.Parallel()
	door := rest.NewDoor(t.Context(), stub{}, rest.DoorLimits{Bodies: 9, BodiesEach: 9, Bytes: 200}, quiet, time.Now, prometheus.NewRegistry())
	handler := door.Metered(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	for range 3 { // it is given back
		for size, want := range map[int]int{90: 200, 101: 503} {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(strings.Repeat("x", size))))
			assert.Equal(t, want, w.Code)
		}
	}
}

// All answers of the door are as described.
func TestDoor_AnswersAreDescribed(t *testing.T) {
	t.Parallel()
	s := readSpec(t)
	d := open(t)
	for _, c := range []struct{ contentType, accept, encoding, body string }{
		{"application/json", "", "", event("a", "")},
		{"application/json", "", "", event("a", `"note":"other"`)},
		{"application/json", "", "", "{"},
		{"application/json", "", "", ""},
		{"application/json", "", "br", "{"},
		{"text/plain", "", "", "{"},
		{ndjson, "", "", event("b", "") + "\n{}\n"},
		{ndjson, "", "gzip", event("b", "") + "\n{}\n"},
		{ndjson, ndjson, "", event("b", "") + "\n{}\n" + event("c", "")},
		{ndjson, ndjson, "gzip", "no gzip"},
		{ndjson, ndjson, "", ""},
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.url, strings.NewReader(c.body))
		require.NoError(t, err)
		request.Header.Set("Content-Type", c.contentType)
		request.Header.Set("Content-Encoding", c.encoding)
		request.Header.Set("Accept", c.accept)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		raw, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		s.check(t, http.MethodPost, "/v1/events", reply{status: response.StatusCode, header: response.Header, body: raw})
	}
}

// A body that comes a byte at a time, or half of it, holds nobody back.
func TestDoor_SlowBodies(t *testing.T) {
	t.Parallel()
	d := open(t)
	for range 50 {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(d.url, "http://"))
		require.NoError(t, err)
		defer conn.Close()
		_, err = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: 1000\r\n\r\n{", ndjson)
		require.NoError(t, err)
	}
	assert.Equal(t, 1, d.post(t, "", ndjson, event("a", "")).Recorded)
}

// A body that was announced, and does not come, takes little from the others.
func TestDoor_AnnouncedBodies(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	server := httptest.NewServer(rest.NewDoor(t.Context(), stub{}, rest.DefaultDoorLimits(), quiet, time.Now, reg))
	t.Cleanup(server.Close)
	const open = 100
	for range open {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(server.URL, "http://"))
		require.NoError(t, err)
		defer conn.Close()
		_, err = fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 16777216\r\n\r\n")
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return metric(t, reg, "tradetrail_body_bytes") >= open*(256<<10) }, time.Minute, time.Millisecond)
	response, err := http.Post(server.URL, "application/json", strings.NewReader(event("a", "")))
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	assert.Equal(t, http.StatusOK, response.StatusCode)
}

// One principal gets half of the memory.
func TestDoor_HalfForOne(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	door := rest.NewDoor(t.Context(), stub{}, rest.DoorLimits{Bodies: 9, BodiesEach: 9, Bytes: 200}, quiet, time.Now, reg)
	post := func(name string, while func()) (refused bool) {
		handler := door.Metered(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { while() }))
		r, w := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(strings.Repeat("x", 90))), httptest.NewRecorder()
		handler.ServeHTTP(w, r.WithContext(authz.With(t.Context(), authz.Principal{Name: name})))
		return w.Code == http.StatusServiceUnavailable
	}
	for range 2 {
		assert.False(t, post("a", func() {
			assert.True(t, post("a", func() {}))
			assert.False(t, post("b", func() {
				assert.True(t, post("c", func() {}), "all is taken")
			}))
		}))
	}
	assert.Zero(t, metric(t, reg, "tradetrail_body_bytes"))
}

// What decoders hold is counted, by what the body says that it needs, and there is a
// bound to it.
func TestDoor_DecodersTakeMemory(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		encoding string
		window   int
		atLeast  float64
	}{{"zstd", 8 << 20, 8 << 20}, {"zstd", 64 << 10, 1 << 20}, {"gzip", 0, 64 << 10}} {
		var packed bytes.Buffer
		var w interface {
			io.Writer
			Flush() error
		} = gzip.NewWriter(&packed)
		if c.encoding == "zstd" {
			z, err := zstd.NewWriter(&packed, zstd.WithWindowSize(c.window))
			require.NoError(t, err)
			defer z.Close()
			w = z
		}
		_, err := io.WriteString(w, event("a", "")+"\n"+event("b", "")[:20])
		require.NoError(t, err)
		require.NoError(t, w.Flush())
		for _, contentType := range []string{ndjson, "application/json"} {
			reg := prometheus.NewRegistry()
			handler := rest.NewDoor(t.Context(), stub{}, rest.DefaultDoorLimits(), quiet, time.Now, reg)
			body, more := io.Pipe()
			r := httptest.NewRequest(http.MethodPost, "/", body)
			r.Header.Set("Content-Type", contentType)
			r.Header.Set("Content-Encoding", c.encoding)
			done := make(chan struct{})
			go func() {
				defer close(done)
				handler.ServeHTTP(httptest.NewRecorder(), r)
			}()
			_, err := more.Write(packed.Bytes())
			require.NoError(t, err)
			require.Eventually(t, func() bool { return metric(t, reg, "tradetrail_body_bytes") >= c.atLeast }, time.Minute, time.Millisecond)
			require.NoError(t, more.Close())
			<-done
			assert.Zero(t, metric(t, reg, "tradetrail_body_bytes"))

			small := rest.NewDoor(t.Context(), stub{}, rest.DoorLimits{Bodies: 9, BodiesEach: 9, Bytes: 128 << 10}, quiet, time.Now, prometheus.NewRegistry())
			r, answer := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(packed.Bytes())), httptest.NewRecorder()
			r.Header = http.Header{"Content-Type": {contentType}, "Content-Encoding": {c.encoding}}
			small.ServeHTTP(answer, r)
			assert.Equal(t, http.StatusServiceUnavailable, answer.Code, "%+v", c)
		}
	}
}

// The line that has no end yet is counted, too.
func TestDoor_UnfinishedLines(t *testing.T) {
	t.Parallel()
	for size, want := range map[int]int{100 << 10: http.StatusOK, 900 << 10: http.StatusServiceUnavailable} {
		handler := rest.NewDoor(t.Context(), stub{}, rest.DoorLimits{Bodies: 9, BodiesEach: 9, Bytes: 1 << 20}, quiet, time.Now, prometheus.NewRegistry())
		r, w := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(strings.Repeat("x", size))), httptest.NewRecorder()
		r.Header.Set("Content-Type", ndjson)
		handler.ServeHTTP(w, r)
		assert.Equal(t, want, w.Code, "%d: %s", size, w.Body)
	}
}
