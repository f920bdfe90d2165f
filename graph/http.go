package graph

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/tradetrail/tradetrail/domain"
)

// The codes of requests that are refused before they are looked at.
const (
	codeMethod       = "method_not_allowed"
	codeMediaType    = "unsupported_media_type"
	codeAcceptable   = "not_acceptable"
	codeCrossOrigin  = "cross_origin"
	codeUnreadable   = "unreadable_body"
	codeSubscription = "needs_a_stream" // a subscription over plain HTTP
)

// overHTTP is GraphQL over HTTP: queries and mutations in the body of a POST,
// queries in the URL of a GET. gqlgen's own transports answer other status codes
// than the specification has, repeat bodies in errors, and leave errors without
// codes.
type overHTTP struct{ requests }

var _ graphql.Transport = (*overHTTP)(nil)

// Supports everything that no other transport does, to say what is wrong with it:
// also what curl and proxies send that would upgrade to HTTP/2.
func (*overHTTP) Supports(r *http.Request) bool {
	return !strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// Do answers one request.
func (t *overHTTP) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	media, acceptable := answerType(r.Header)
	out := &answer{w: w, media: media}
	if !acceptable {
		out.media = plainJSON // an explanation is better than none
		out.refuse(exec, r, http.StatusNotAcceptable, reject(codeAcceptable, "answers are "+graphqlJSON+" or "+plainJSON))
		return
	}
	params, status, err := t.read(r)
	if err != nil {
		switch status {
		case http.StatusMethodNotAllowed:
			w.Header().Set("Allow", "GET, POST, OPTIONS")
		case http.StatusServiceUnavailable:
			w.Header().Set("Retry-After", "1")
		}
		out.refuse(exec, r, status, err)
		return
	}
	if params == nil { // OPTIONS
		w.Header().Set("Allow", "GET, POST, OPTIONS")
		w.WriteHeader(http.StatusNoContent)
		return
	}
	params.Headers = r.Header
	params.ReadTime.Start = graphql.Now()
	params.ReadTime.End = params.ReadTime.Start
	operation, problems := exec.CreateOperationContext(r.Context(), params)
	if len(problems) > 0 {
		ctx := graphql.WithOperationContext(r.Context(), operation)
		out.write(out.badRequest(), exec.DispatchError(ctx, problems))
		return
	}
	switch kind := operation.Operation.Operation; {
	case kind == ast.Subscription:
		out.refuse(exec, r, out.badRequest(), reject(codeSubscription, "subscriptions go over graphql-transport-ws or, with Accept: text/event-stream, over server-sent events"))
		return
	case r.Method == http.MethodGet && kind != ast.Query:
		w.Header().Set("Allow", http.MethodPost)
		out.refuse(exec, r, http.StatusMethodNotAllowed, reject(codeMethod, "a GET executes queries only: POST mutations"))
		return
	}
	responses, ctx := exec.DispatchOperation(r.Context(), operation)
	response := responses(ctx)
	if len(response.Errors) > 0 && response.Errors[0].Extensions["code"] == codeOverloaded {
		w.Header().Set("Retry-After", "1")
		out.write(http.StatusServiceUnavailable, response)
		return
	}
	out.write(http.StatusOK, response)
}

// requests reads what is asked for over HTTP, and refuses what no browser should have
// sent.
type requests struct{ origins *http.CrossOriginProtection }

// read takes the request apart; with an error it says the status too. OPTIONS has
// neither.
func (q requests) read(r *http.Request) (params *graphql.RawParams, status int, err error) {
	switch r.Method {
	case http.MethodPost:
		if !isJSON(r.Header.Get("Content-Type")) {
			return nil, http.StatusUnsupportedMediaType, reject(codeMediaType, "send "+plainJSON)
		}
		body, err := readAll(r.Body)
		if err != nil {
			return nil, statusOfReading(err), err
		}
		params, err = readBody(body)
		if err != nil {
			return nil, http.StatusBadRequest, err
		}
	case http.MethodGet:
		if err := q.sameOrigin(r); err != nil {
			return nil, http.StatusForbidden, err
		}
		if params, err = readURL(r.URL.RawQuery); err != nil {
			return nil, http.StatusBadRequest, err
		}
	case http.MethodOptions:
		return nil, 0, nil
	default:
		return nil, http.StatusMethodNotAllowed, reject(codeMethod, "use POST, or GET for queries")
	}
	if err := checkParams(params); err != nil {
		return nil, http.StatusBadRequest, err
	}
	return params, 0, nil
}

// sameOrigin refuses a GET that a page of another site made a browser send. It
// could not read the answer, but it could keep us busy with queries; what http.
// CrossOriginProtection does for methods that change something does for this too.
func (q requests) sameOrigin(r *http.Request) error {
	asPost := *r
	asPost.Method = http.MethodPost
	if q.origins.Check(&asPost) != nil {
		return &domain.Error{Class: domain.ClassDenied, Code: codeCrossOrigin, Message: "queries from pages of other sites are refused"}
	}
	return nil
}

func reject(code, message string) error { return domain.Rejectf(code, "", "%s", message) }

func unreadable(err error) error {
	if errors.Is(err, errOverloaded) {
		return err
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return domain.Rejectf(domain.CodeTooLarge, "", "the body is too large")
	}
	return domain.Rejectf(codeUnreadable, "", "the body ended early")
}

func statusOfReading(err error) int {
	switch e, _ := errors.AsType[*domain.Error](err); {
	case e == nil:
		return http.StatusBadRequest
	case e.Code == domain.CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	case e.Code == codeOverloaded:
		return http.StatusServiceUnavailable
	default:
		return http.StatusBadRequest
	}
}

// answer writes responses in the media type that was agreed on.
type answer struct {
	w     http.ResponseWriter
	media string
}

// badRequest is the status of a request that was understood, and whose query can't
// be executed. To clients of application/json, which may know 200 only, it is 200.
func (a *answer) badRequest() int {
	if a.media == graphqlJSON {
		return http.StatusBadRequest
	}
	return http.StatusOK
}

func (a *answer) refuse(exec graphql.GraphExecutor, r *http.Request, status int, err error) {
	a.write(status, exec.DispatchError(r.Context(), gqlerror.List{gqlerror.WrapIfUnwrapped(err)}))
}

// write sends a response. Without data there is no entry for it: that is how
// clients tell a request that failed from a field that did. Data is JSON already
// and is sent as it is.
func (a *answer) write(status int, response *graphql.Response) {
	body := bytes.NewBuffer(make([]byte, 0, len(response.Data)+64))
	separator := byte('{')
	for _, part := range []struct {
		name  string
		value any
		there bool
	}{{"errors", response.Errors, len(response.Errors) > 0}, {"data", nil, response.Data != nil}, {"extensions", response.Extensions, len(response.Extensions) > 0}} {
		if !part.there {
			continue
		}
		body.WriteByte(separator)
		separator = ','
		body.WriteString(`"` + part.name + `":`)
		if part.name == "data" {
			body.Write(response.Data)
			continue
		}
		encoded, err := json.Marshal(part.value)
		if err != nil { // extensions are strings and numbers of ours
			encoded = []byte("null")
		}
		body.Write(encoded)
	}
	if separator == '{' {
		body.WriteByte('{')
	}
	body.WriteByte('}')
	header := a.w.Header()
	header.Set("Content-Type", a.media+"; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(body.Len()))
	a.w.WriteHeader(status)
	_, _ = a.w.Write(body.Bytes()) // a client that has gone needs no answer
}
