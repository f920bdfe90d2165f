package rest

import (
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/tradetrail/tradetrail/domain"
)

// The media types of answers.
const (
	mediaJSON   = "application/json"
	mediaLines  = "application/x-ndjson"
	mediaCSV    = "text/csv"
	mediaEvents = "text/event-stream"
)

// negotiate chooses one of the media types on offer by the request's Accept (RFC 9110,
// section 12.5.1): of those that the client likes best the first; without Accept the
// first of all. A range that can't be read counts as absent.
func negotiate(r *http.Request, offers ...string) (string, error) {
	headers := r.Header.Values("Accept")
	if len(headers) == 0 {
		return offers[0], nil
	}
	ranges := parseAccept(strings.Join(headers, ","))
	best, liking := "", 0.0
	for _, offer := range offers {
		if q := quality(ranges, offer); q > liking {
			best, liking = offer, q
		}
	}
	if best == "" {
		return "", &domain.Error{Class: domain.ClassRejected, Code: codeNotAcceptable, Message: "this path answers " + strings.Join(offers, ", ")}
	}
	return best, nil
}

// acceptable is one range of an Accept header.
type acceptable struct {
	media   string // text/csv, text/*, */*
	quality float64
}

func parseAccept(header string) []acceptable {
	var ranges []acceptable
	for part := range strings.SplitSeq(header, ",") {
		media, parameters, err := mime.ParseMediaType(strings.TrimSpace(part))
		if err != nil {
			continue
		}
		found := acceptable{media: media, quality: 1}
		if text, ok := parameters["q"]; ok {
			if found.quality, err = strconv.ParseFloat(text, 64); err != nil || !(found.quality >= 0 && found.quality <= 1) {
				continue
			}
		}
		ranges = append(ranges, found)
	}
	return ranges
}

// quality is how much a client likes a media type: the most specific range decides.
func quality(ranges []acceptable, media string) float64 {
	family, _, _ := strings.Cut(media, "/")
	liking := 0.0
	closest := -1
	for _, r := range ranges {
		closeness := -1
		switch r.media {
		case media:
			closeness = 2
		case family + "/*":
			closeness = 1
		case "*/*":
			closeness = 0
		}
		if closeness > closest {
			closest, liking = closeness, r.quality
		}
	}
	return liking
}
