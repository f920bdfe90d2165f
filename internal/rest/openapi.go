package rest

import (
	"bytes"
	_ "embed"
	"net/http"
	"strconv"
)

//go:embed openapi.json
var openAPIDocument []byte

// openAPIVersion stands in the document for the version of the build.
const openAPIVersion = `"VERSION"`

func openAPIOf(version string) []byte {
	return bytes.Replace(openAPIDocument, []byte(openAPIVersion), strconv.AppendQuote(nil, version), 1)
}

// describe is GET /openapi.json: the description of this API.
func (a *Audit) describe(w http.ResponseWriter, r *http.Request, _ query) error {
	if _, err := negotiate(r, mediaJSON); err != nil {
		return err
	}
	a.send(w, r, mediaJSON, a.openAPI)
	return nil
}
