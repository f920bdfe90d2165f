package graph

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// The media types of answers.
const (
	plainJSON   = "application/json"
	graphqlJSON = "application/graphql-response+json"
)

// answerType chooses the media type of the answer: the one that Accept prefers, at
// equal weight the one that it names, and names first. Who has no preference gets
// application/json, which every client understands. ok is false when neither is
// acceptable.
func answerType(header http.Header) (media string, ok bool) {
	accept := strings.Join(header.Values("Accept"), ",")
	if strings.TrimSpace(accept) == "" {
		return plainJSON, true
	}
	best := preference{}
	for _, candidate := range []string{plainJSON, graphqlJSON} {
		if p := preferred(accept, candidate); p.better(best) {
			best, media = p, candidate
		}
	}
	return media, media != ""
}

// preference is what Accept says of one media type.
type preference struct {
	weight      float64 // 0: not acceptable
	specificity int     // of the range that matches it best
	place       int     // of that range
}

func (p preference) better(than preference) bool {
	switch {
	case p.weight <= 0:
		return false
	case p.weight != than.weight:
		return p.weight > than.weight
	case p.specificity != than.specificity:
		return p.specificity > than.specificity
	default:
		return p.place < than.place
	}
}

func preferred(accept, media string) preference {
	var best preference
	place := 0
	for part := range strings.SplitSeq(accept, ",") {
		place++
		named, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		specificity := 0
		switch named {
		case media:
			specificity = 3
		case "application/*":
			specificity = 2
		case "*/*":
			specificity = 1
		}
		if specificity <= best.specificity {
			continue
		}
		best = preference{weight: 1, specificity: specificity, place: place}
		if q, weighted := params["q"]; weighted {
			if best.weight, err = strconv.ParseFloat(q, 64); err != nil {
				best.weight = 0
			}
		}
	}
	return best
}

// isJSON reports whether a body is said to be JSON, in UTF-8 as JSON has to be.
// Browsers send it to other sites only after asking, which is why nothing else is
// accepted.
func isJSON(contentType string) bool {
	media, params, err := mime.ParseMediaType(contentType)
	return err == nil && media == plainJSON && (params["charset"] == "" || strings.EqualFold(params["charset"], "utf-8"))
}
