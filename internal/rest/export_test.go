package rest

import "net/http"

// Endpoint is a route as tests see it.
type Endpoint struct {
	Method, Path string
	Parameters   []string
}

// Endpoints are all routes.
func (a *Audit) Endpoints() []Endpoint {
	var out []Endpoint
	for _, route := range a.routes() {
		out = append(out, Endpoint{route.method, route.path, route.parameters})
	}
	return out
}

// Endpoints are all routes.
func (p *Proof) Endpoints() []Endpoint {
	var out []Endpoint
	for _, route := range p.routes() {
		out = append(out, Endpoint{http.MethodGet, route.path, route.parameters})
	}
	return out
}

// CSVColumns are the columns of lists.
func CSVColumns() []string { return csvColumns() }
