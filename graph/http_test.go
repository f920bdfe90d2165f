package graph_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/graph"
	"github.com/tradetrail/tradetrail/projections/views"
)

func handler(v graph.Views) http.Handler {
	return graph.NewServer(nil, v, nil, nil, slog.New(slog.DiscardHandler))
}

// send sends a request with headers in pairs, and reads the answer's problems.
func send(t *testing.T, to http.Handler, method, target string, body io.Reader, header ...string) (answer *httptest.ResponseRecorder, problems []problem) {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, target, body)
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	answer = httptest.NewRecorder()
	to.ServeHTTP(answer, request)
	var decoded struct{ Errors []problem }
	if answer.Body.Len() > 0 && strings.HasSuffix(strings.Split(answer.Header().Get("Content-Type"), ";")[0], "json") {
		require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &decoded), "%s", answer.Body)
	}
	return answer, decoded.Errors
}

const (
	plain = "application/json"
	typed = "application/graphql-response+json"
)

func TestHTTP_MediaTypes(t *testing.T) {
	t.Parallel()
	server := handler(&fake{})
	for accept, want := range map[string]string{
		"": plain, "*/*": plain, "application/*": plain, plain: plain, typed: typed,
		typed + ", " + plain: typed, plain + ", " + typed: plain,
		plain + "; q=0.5, " + typed: typed, typed + ";q=0.9, " + plain: plain,
		"text/html, */*;q=0.1": plain, "text/html, " + typed + ";q=0.1": typed,
		typed + ";charset=utf-8": typed, "*/*, " + typed: typed, "application/json;q=0, */*": typed,
		"APPLICATION/JSON": plain, "broken;;, " + typed: typed,
	} {
		answer, problems := send(t, server, http.MethodPost, "/graphql", strings.NewReader(`{"query": "{ __typename }"}`), "Content-Type", plain, "Accept", accept)
		assert.Equal(t, http.StatusOK, answer.Code, accept)
		assert.Equal(t, want+"; charset=utf-8", answer.Header().Get("Content-Type"), accept)
		assert.Empty(t, problems, accept)
	}
	for _, accept := range []string{"text/html", "application/xml, image/*", plain + ";q=0", "*/*;q=0", plain + ";q=nothing", ","} {
		answer, problems := send(t, server, http.MethodPost, "/graphql", strings.NewReader(`{"query": "{ __typename }"}`), "Content-Type", plain, "Accept", accept)
		assert.Equal(t, http.StatusNotAcceptable, answer.Code, accept)
		require.Len(t, problems, 1, accept)
		assert.Equal(t, "not_acceptable", problems[0].Extensions.Code)
	}
	for contentType, ok := range map[string]bool{
		plain: true, plain + "; charset=utf-8": true, plain + ";charset=UTF-8": true, "Application/JSON": true,
		"": false, "text/plain": false, "application/x-www-form-urlencoded": false, "multipart/form-data; boundary=x": false,
		plain + "; charset=latin1": false, "application/graphql": false, "application/jsonx": false, ";": false,
	} {
		answer, problems := send(t, server, http.MethodPost, "/graphql", strings.NewReader(`{"query": "{ __typename }"}`), "Content-Type", contentType)
		if ok {
			assert.Equal(t, http.StatusOK, answer.Code, contentType)
			continue
		}
		assert.Equal(t, http.StatusUnsupportedMediaType, answer.Code, contentType)
		require.Len(t, problems, 1, contentType)
		assert.Equal(t, "unsupported_media_type", problems[0].Extensions.Code)
	}
}

func TestHTTP_Bodies(t *testing.T) {
	t.Parallel()
	server := handler(&fake{})
	for _, c := range []struct {
		name, body  string
		code, field string
	}{
		{"nothing", ``, "malformed", ""},
		{"no JSON", `query { __typename }`, "malformed", ""},
		{"half of it", `{"query": "{ __typename }"`, "malformed", ""},
		{"more than one", `{"query": "{ __typename }"} {}`, "malformed", ""},
		{"a batch", `[{"query": "{ __typename }"}, {"query": "{ __typename }"}]`, "malformed", ""},
		{"a string", `"{ __typename }"`, "malformed", ""},
		{"null", `null`, "missing", "query"},
		{"a member twice", `{"query": "{ __typename }", "query": "{ x }"}`, "malformed", ""},
		{"invalid UTF-8", "{\"query\": \"{ __typename } # \xff\"}", "malformed", ""},
		{"another spelling", `{"Query": "{ __typename }"}`, "missing", "query"},
		{"no query", `{}`, "missing", "query"},
		{"an empty query", `{"query": ""}`, "missing", "query"},
		{"query is null", `{"query": null}`, "missing", "query"},
		{"query is a number", `{"query": 1}`, "wrong_type", "query"},
		{"query is an object", `{"query": {}}`, "wrong_type", "query"},
		{"operationName is a list", `{"query": "{ __typename }", "operationName": []}`, "wrong_type", "operationName"},
		{"operationName is false", `{"query": "{ __typename }", "operationName": false}`, "wrong_type", "operationName"},
		{"variables are a list", `{"query": "{ __typename }", "variables": []}`, "wrong_type", "variables"},
		{"variables are a string", `{"query": "{ __typename }", "variables": "{}"}`, "wrong_type", "variables"},
		{"extensions are a number", `{"query": "{ __typename }", "extensions": 0}`, "wrong_type", "extensions"},
	} {
		for _, accept := range []string{plain, typed} {
			answer, problems := send(t, server, http.MethodPost, "/graphql", strings.NewReader(c.body), "Content-Type", plain, "Accept", accept)
			assert.Equal(t, http.StatusBadRequest, answer.Code, c.name)
			assert.Equal(t, accept+"; charset=utf-8", answer.Header().Get("Content-Type"), c.name)
			require.Len(t, problems, 1, c.name)
			assert.Equal(t, [2]string{c.code, c.field}, [2]string{problems[0].Extensions.Code, problems[0].Extensions.Field}, c.name)
			assert.NotContains(t, answer.Body.String(), `"data"`, c.name)
		}
	}
	for _, body := range []string{
		`{"query": "{ __typename }", "operationName": null, "variables": null, "extensions": null}`,
		`{"query": "query A { __typename } query B { x: __typename }", "operationName": "A", "variables": {}, "extensions": {"some": [1]}, "unknown": 1}`,
	} {
		answer, problems := send(t, server, http.MethodPost, "/graphql", strings.NewReader(body), "Content-Type", plain)
		assert.Equal(t, http.StatusOK, answer.Code, body)
		assert.Empty(t, problems, body)
		assert.JSONEq(t, `{"data": {"__typename": "Query"}}`, answer.Body.String())
	}
	answer, problems := send(t, http.MaxBytesHandler(server, 100), http.MethodPost, "/graphql", bytes.NewReader(make([]byte, 200)), "Content-Type", plain)
	assert.Equal(t, http.StatusRequestEntityTooLarge, answer.Code)
	assert.Equal(t, "too_large", problems[0].Extensions.Code)
	answer, problems = send(t, server, http.MethodPost, "/graphql", io.MultiReader(strings.NewReader(`{"query`), broken{}), "Content-Type", plain)
	assert.Equal(t, http.StatusBadRequest, answer.Code)
	assert.Equal(t, "unreadable_body", problems[0].Extensions.Code)
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the client has gone") }

// To clients of application/json every query that was understood is a 200; the
// newer media type tells in the status whether there is data.
func TestHTTP_StatusOfQueries(t *testing.T) {
	t.Parallel()
	v := &fake{
		names:  []string{"orders"},
		search: func(views.Query) (views.Found, error) { return views.Found{}, errors.New("no") },
	}
	server := handler(v)
	for _, c := range []struct {
		query, code string
		status      int // for the newer media type
		data        bool
	}{
		{`{ rebuilds { id } }`, "", http.StatusOK, true},
		{`{`, "GRAPHQL_PARSE_FAILED", http.StatusBadRequest, false},
		{`{ nothing }`, "GRAPHQL_VALIDATION_FAILED", http.StatusBadRequest, false},
		{`query($a: Int!) { events(first: $a) { totalCount } }`, "GRAPHQL_VALIDATION_FAILED", http.StatusBadRequest, false},
		{`query A { __typename } query B { __typename }`, "GRAPHQL_VALIDATION_FAILED", http.StatusBadRequest, false},
		{`subscription { accountEvents(accountId: "a") { cursor } }`, "needs_a_stream", http.StatusBadRequest, false},
		{`{ events { totalCount } rebuilds { id } }`, "internal", http.StatusOK, true},
		{`{ events(first: -1) { totalCount } }`, "invalid", http.StatusOK, true},
	} {
		for _, accept := range []string{plain, typed} {
			body, err := json.Marshal(map[string]any{"query": c.query})
			require.NoError(t, err)
			answer, problems := send(t, server, http.MethodPost, "/graphql", bytes.NewReader(body), "Content-Type", plain, "Accept", accept)
			want := c.status
			if accept == plain {
				want = http.StatusOK
			}
			assert.Equal(t, want, answer.Code, "%s %s", accept, c.query)
			assert.Equal(t, c.data, strings.Contains(answer.Body.String(), `"data"`), c.query)
			assert.Equal(t, c.code != "", len(problems) == 1, "%s %v", c.query, problems)
			for _, p := range problems {
				assert.Equal(t, c.code, p.Extensions.Code, c.query)
			}
		}
	}
}

func TestHTTP_Methods(t *testing.T) {
	t.Parallel()
	v := &fake{names: []string{"orders"}}
	server := handler(v)
	get := func(query string, header ...string) (*httptest.ResponseRecorder, []problem) {
		return send(t, server, http.MethodGet, "/graphql?"+query, nil, header...)
	}
	answer, problems := get("query=" + url.QueryEscape(`query A($n: String!) { __type(name: $n) { name } } query B { __typename }`) +
		"&operationName=A&variables=" + url.QueryEscape(`{"n": "Order"}`) + "&extensions=" + url.QueryEscape(`{"a": 1}`))
	assert.Equal(t, http.StatusOK, answer.Code)
	assert.Empty(t, problems)
	assert.JSONEq(t, `{"data": {"__type": {"name": "Order"}}}`, answer.Body.String())

	answer, problems = get("query=" + url.QueryEscape(`mutation { startRebuild { id } }`))
	assert.Equal(t, http.StatusMethodNotAllowed, answer.Code)
	assert.Equal(t, http.MethodPost, answer.Header().Get("Allow"))
	assert.Equal(t, "method_not_allowed", problems[0].Extensions.Code)
	assert.Empty(t, v.requested)
	for query, want := range map[string][2]string{
		"": {"missing", "query"}, "query=": {"missing", "query"}, "query=%zz": {"malformed", ""}, "query=a&query=b": {"malformed", "query"},
		"query=%7B__typename%7D&variables=x": {"malformed", "variables"}, "query=%7B__typename%7D&variables=%5B%5D": {"wrong_type", "variables"},
		"query=%7B__typename%7D&extensions=%7B": {"malformed", "extensions"}, "query=%7B__typename%7D&extensions=1": {"wrong_type", "extensions"},
	} {
		answer, problems := get(query)
		assert.Equal(t, http.StatusBadRequest, answer.Code, query)
		require.Len(t, problems, 1, query)
		assert.Equal(t, want, [2]string{problems[0].Extensions.Code, problems[0].Extensions.Field}, query)
	}
	for _, method := range []string{http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodHead} {
		answer, _ := send(t, server, method, "/graphql", nil)
		assert.Equal(t, http.StatusMethodNotAllowed, answer.Code, method)
		assert.Equal(t, "GET, POST, OPTIONS", answer.Header().Get("Allow"), method)
	}
	answer, _ = send(t, server, http.MethodPost, "/graphql", strings.NewReader(`{"query": "{ __typename }"}`), "Content-Type", plain, "Connection", "Upgrade, HTTP2-Settings", "Upgrade", "h2c")
	assert.Equal(t, http.StatusOK, answer.Code, "an upgrade that may be ignored is")
	answer, _ = send(t, server, http.MethodOptions, "/graphql", nil, "Origin", "https://evil.example", "Access-Control-Request-Method", "POST")
	assert.Equal(t, http.StatusNoContent, answer.Code)
	assert.Equal(t, "GET, POST, OPTIONS", answer.Header().Get("Allow"))
	for name := range answer.Header() {
		assert.False(t, strings.HasPrefix(name, "Access-Control-"), "no other site is let in: %s", name)
	}
}

// Nothing that a page of another site can make a browser send is executed.
func TestHTTP_CrossOrigin(t *testing.T) {
	t.Parallel()
	v := &fake{names: []string{"orders"}}
	for _, header := range [][]string{
		{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"},
	} {
		answer, problems := send(t, handler(v), http.MethodGet, "/graphql?query=%7Bprojections%7Bname%7D%7D", nil, header...)
		assert.Equal(t, http.StatusForbidden, answer.Code, header)
		require.Len(t, problems, 1, header)
		assert.Equal(t, "cross_origin", problems[0].Extensions.Code)
		assert.Equal(t, domain.ClassDenied.String(), problems[0].Extensions.Class)
	}
	for _, header := range [][]string{{}, {"Sec-Fetch-Site", "same-origin"}, {"Sec-Fetch-Site", "none"}, {"Origin", "http://example.com"}} {
		answer, _ := send(t, handler(v), http.MethodGet, "http://example.com/graphql?query=%7Bprojections%7Bname%7D%7D", nil, header...)
		assert.Equal(t, http.StatusOK, answer.Code, header)
	}
}
