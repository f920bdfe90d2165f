package rest_test

import (
	"bytes"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/internal/rest"
)

// spec is openapi.json, to hold answers against.
type spec struct {
	mu       sync.Mutex // held while the compiler works
	document map[string]any
	compiler *jsonschema.Compiler
	paths    map[string]*regexp.Regexp
}

func readSpec(t testing.TB) *spec {
	t.Helper()
	raw, err := os.ReadFile("openapi.json")
	require.NoError(t, err)
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	require.NoError(t, err)
	s := &spec{document: value.(map[string]any), compiler: jsonschema.NewCompiler(), paths: make(map[string]*regexp.Regexp)} //nolint:errcheck // a panic is a failure
	s.compiler.DefaultDraft(jsonschema.Draft2020)
	s.compiler.AssertFormat()
	require.NoError(t, s.compiler.AddResource("openapi.json", value))
	for path := range object(s.document["paths"]) {
		s.paths[path] = regexp.MustCompile(`^` + regexp.MustCompile(`\{\w+\}`).ReplaceAllString(path, `[^/]+`) + `$`)
	}
	return s
}

func object(value any) map[string]any {
	members, _ := value.(map[string]any)
	return members
}

// resolved follows a $ref within the document; pointer is where the result stands.
func (s *spec) resolved(pointer string) (value map[string]any, at string) {
	value = s.document
	for part := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		value = object(value[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)])
	}
	if ref, ok := value["$ref"].(string); ok {
		return s.resolved(strings.TrimPrefix(ref, "#"))
	}
	return value, pointer
}

func escaped(name string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(name) }

// schema compiles what stands at a place of the document.
func (s *spec) schema(t testing.TB, pointer string) *jsonschema.Schema {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	compiled, err := s.compiler.Compile("openapi.json#" + pointer)
	require.NoError(t, err)
	return compiled
}

// check holds an answer against what is described for its path, status and media
// type.
func (s *spec) check(t testing.TB, method, path string, r reply) {
	t.Helper()
	path, _, _ = strings.Cut(path, "?")
	media, _, _ := strings.Cut(r.header.Get("Content-Type"), ";")
	for template, pattern := range s.paths {
		operation := "/paths/" + escaped(template) + "/" + strings.ToLower(method)
		if found, _ := s.resolved(operation); !pattern.MatchString(path) || len(found) == 0 {
			continue
		}
		response, at := s.resolved(operation + "/responses/" + strconv.Itoa(r.status))
		require.NotEmpty(t, response, "%s %s: %d is not described", method, template, r.status)
		if len(r.body) == 0 {
			return
		}
		require.Contains(t, response["content"], media, "%s %s: %d", method, template, r.status)
		pointer := at + "/content/" + escaped(media) + "/schema"
		switch {
		case media == ndjsonType && path == "/v1/events":
			receipts, last := bytes.Lines(r.body), bytes.LastIndexByte(bytes.TrimSpace(r.body), '\n')+1
			at := 0
			for line := range receipts {
				pointer = "/components/schemas/Receipt"
				if at == last {
					pointer = "/components/schemas/Totals"
				}
				s.validate(t, pointer, line)
				at += len(line)
			}
		case media == ndjsonType:
			pointer = "/components/schemas/Event"
			if strings.HasPrefix(path, "/audit/chain/") {
				pointer = "/components/schemas/ChainEvent"
			}
			for line := range bytes.Lines(r.body) {
				s.validate(t, pointer, line)
			}
		case strings.HasSuffix(media, "json"):
			s.validate(t, pointer, r.body)
		}
		return
	}
	// Nothing is described for it, so it must be refused.
	assert.Contains(t, []int{http.StatusNotFound, http.StatusMethodNotAllowed}, r.status)
	s.validate(t, "/components/schemas/Problem", r.body)
}

func (s *spec) validate(t testing.TB, pointer string, text []byte) {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err, "%s", text)
	assert.NoError(t, s.schema(t, pointer).Validate(value), "%s", text)
}

// What is described is what there is: paths, methods, and the parameters of each.
func TestOpenAPI_DescribesWhatThereIs(t *testing.T) {
	t.Parallel()
	s := readSpec(t)
	var served, described []string
	endpoints := slices.Concat(
		rest.NewAudit(nil, nil, nil, quiet, "v1", rest.DefaultAuditLimits()).Endpoints(),
		rest.NewProof(nil, nil, nil, quiet).Endpoints(),
		[]rest.Endpoint{
			{Method: http.MethodGet, Path: "/audit/integrity", Parameters: []string{"before", "limit"}},
			{Method: http.MethodPost, Path: "/v1/events", Parameters: []string{"source"}},
		},
	)
	for _, e := range endpoints {
		served = append(served, e.Method+" "+e.Path)
		operation := "/paths/" + escaped(e.Path) + "/" + strings.ToLower(e.Method)
		found, _ := s.resolved(operation)
		var inQuery, inPath []string
		list, _ := found["parameters"].([]any)
		for _, given := range list {
			parameter := object(given)
			if ref, ok := parameter["$ref"].(string); ok {
				parameter, _ = s.resolved(strings.TrimPrefix(ref, "#"))
			}
			require.NotEmpty(t, parameter, "%s: a parameter is nowhere", e.Path)
			assert.NotEmpty(t, parameter["description"], "%s %s", e.Path, parameter["name"])
			switch parameter["in"] {
			case "query":
				inQuery = append(inQuery, field(parameter, "name"))
			case "path":
				inPath = append(inPath, "{"+field(parameter, "name")+"}")
			}
		}
		assert.ElementsMatch(t, e.Parameters, inQuery, e.Path)
		assert.ElementsMatch(t, regexp.MustCompile(`\{\w+\}`).FindAllString(e.Path, -1), inPath, e.Path)
	}
	names := make(map[string]bool)
	for path, item := range object(s.document["paths"]) {
		for method, operation := range object(item) {
			described = append(described, strings.ToUpper(method)+" "+path)
			id := field(operation, "operationId")
			assert.False(t, names[id], "%s is there twice", id)
			names[id] = true
		}
	}
	assert.ElementsMatch(t, served, described)
	for _, name := range slices.Sorted(keys(object(object(s.document["components"])["schemas"]))) {
		s.schema(t, "/components/schemas/"+name)
	}
}

func keys(members map[string]any) func(func(string) bool) {
	return func(yield func(string) bool) {
		for name := range members {
			if !yield(name) {
				return
			}
		}
	}
}

func TestOpenAPI_IsServedWithItsVersion(t *testing.T) {
	t.Parallel()
	d := openDesk(t, nil, deskOptions{})
	document := d.get("/openapi.json").json(t)
	assert.Equal(t, "3.1.0", document["openapi"])
	assert.Equal(t, "v1.2.3", field(document["info"], "version"))
}
