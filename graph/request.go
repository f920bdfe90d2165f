package graph

import (
	stdjson "encoding/json"
	"io"
	"net/url"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tradetrail/tradetrail/domain"
)

// envelope is a request of GraphQL over HTTP before its parts are looked at. Other
// members are ignored, as the specification wants it.
type envelope struct {
	Query         jsontext.Value `json:"query"`
	OperationName jsontext.Value `json:"operationName"`
	Variables     jsontext.Value `json:"variables"`
	Extensions    jsontext.Value `json:"extensions"`
}

// readBody reads the request out of the body of a POST.
func readBody(body []byte) (*graphql.RawParams, error) {
	kind := jsontext.Value(body).Kind()
	if kind == '[' {
		return nil, domain.Rejectf(domain.CodeMalformed, "", "batches are not supported: send one request, a JSON object")
	}
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		if kind != '{' && jsontext.Value(body).IsValid() {
			return nil, domain.Rejectf(domain.CodeMalformed, "", "the body must be a JSON object")
		}
		return nil, domain.Rejectf(domain.CodeMalformed, "", "the body is not a well-formed JSON object")
	}
	return e.params()
}

// readURL reads the request out of the parameters of a GET.
func readURL(raw string) (*graphql.RawParams, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, domain.Rejectf(domain.CodeMalformed, "", "the parameters of the URL can't be decoded")
	}
	for name, all := range values {
		if len(all) > 1 {
			return nil, domain.Rejectf(domain.CodeMalformed, cut(name), "is given more than once")
		}
	}
	e := envelope{Variables: jsontext.Value(values.Get("variables")), Extensions: jsontext.Value(values.Get("extensions"))}
	for _, part := range []struct {
		name  string
		value jsontext.Value
	}{{"variables", e.Variables}, {"extensions", e.Extensions}} {
		if len(part.value) > 0 && !part.value.IsValid() {
			return nil, domain.Rejectf(domain.CodeMalformed, part.name, "is not well-formed JSON")
		}
	}
	params, err := e.params()
	if err != nil {
		return nil, err
	}
	params.Query, params.OperationName = values.Get("query"), values.Get("operationName")
	return params, nil
}

func (e *envelope) params() (*graphql.RawParams, error) {
	params := &graphql.RawParams{}
	for _, part := range []struct {
		name   string
		value  jsontext.Value
		target *string
	}{{"query", e.Query, &params.Query}, {"operationName", e.OperationName, &params.OperationName}} {
		if absent(part.value) {
			continue
		}
		if part.value.Kind() != '"' {
			return nil, domain.Rejectf(domain.CodeWrongType, part.name, "must be a string")
		}
		if err := json.Unmarshal(part.value, part.target); err != nil {
			return nil, domain.Rejectf(domain.CodeMalformed, part.name, "is not a well-formed string")
		}
	}
	for _, part := range []struct {
		name   string
		value  jsontext.Value
		target *map[string]any
	}{{"variables", e.Variables, &params.Variables}, {"extensions", e.Extensions, &params.Extensions}} {
		if absent(part.value) {
			continue
		}
		if part.value.Kind() != '{' {
			return nil, domain.Rejectf(domain.CodeWrongType, part.name, "must be an object")
		}
		// Numbers keep their digits, which the strict decoder can't do here.
		decoder := stdjson.NewDecoder(strings.NewReader(string(part.value)))
		decoder.UseNumber()
		if err := decoder.Decode(part.target); err != nil {
			return nil, domain.Rejectf(domain.CodeMalformed, part.name, "is not a well-formed object")
		}
	}
	return params, nil
}

// absent reports whether a part is missing or null, which is the same here.
func absent(value jsontext.Value) bool { return len(value) == 0 || value.Kind() == 'n' }

// check refuses a request that names nothing to execute.
func checkParams(params *graphql.RawParams) error {
	if params.Query == "" && params.Extensions["persistedQuery"] == nil {
		return domain.Rejectf(domain.CodeMissing, "query", "is missing: there is nothing to execute")
	}
	return nil
}

// readAll reads a body that the handler in front has bounded.
func readAll(body io.Reader) ([]byte, error) {
	raw, err := io.ReadAll(body)
	if err != nil {
		return nil, unreadable(err)
	}
	return raw, nil
}
