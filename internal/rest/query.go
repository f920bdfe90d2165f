package rest

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tradetrail/tradetrail/domain"
)

// query is the query of a URL in which every parameter is one that its route knows,
// none is empty, and only lists are given more than once.
type query struct{ values url.Values }

// filterLists are the parameters that may be given several times: any of the values.
func filterLists() []string {
	return []string{"type", "ticker", "strategy", "account", "user", "order"}
}

// filterParameters are those that choose events.
func filterParameters() []string {
	return append(filterLists(), "entity_type", "entity_id", "after", "before", "last", "filter")
}

// listParameters are those of lists.
func listParameters() []string {
	return append(filterParameters(), "limit", "cursor", "sort", "not_older_than")
}

func without(names []string, removed ...string) []string {
	return slices.DeleteFunc(names, func(name string) bool { return slices.Contains(removed, name) })
}

// parseQuery refuses what it does not know: a mistyped parameter must not silently
// widen what is asked for.
func parseQuery(raw string, known []string) (query, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return query{}, &domain.Error{Class: domain.ClassRejected, Code: domain.CodeMalformed, Message: "the query of the URL can't be read", Err: err}
	}
	for name, given := range values {
		switch {
		case !slices.Contains(known, name) && len(known) == 0:
			return query{}, domain.Rejectf("unknown_parameter", name, "this path takes no parameters")
		case !slices.Contains(known, name):
			return query{}, domain.Rejectf("unknown_parameter", name, "is none of the parameters here: %s", strings.Join(known, ", "))
		case len(given) > 1 && !slices.Contains(filterLists(), name) && !slices.Contains(anomalyLists(), name):
			return query{}, domain.Rejectf(domain.CodeInvalid, name, "is given %d times", len(given))
		case slices.Contains(given, ""):
			return query{}, domain.Rejectf(domain.CodeInvalid, name, "is empty")
		}
	}
	return query{values}, nil
}

// text is a parameter's value; empty: it is not given.
func (q query) text(name string) string { return q.values.Get(name) }

func (q query) list(name string) []string { return q.values[name] }

func (q query) position(name string) (p domain.Position, ok bool, err error) {
	text := q.text(name)
	if text == "" {
		return domain.Position{}, false, nil
	}
	p, err = parseCursor(name, text)
	return p, err == nil, err
}

// parseCursor reads a position that stands in a field of the request.
func parseCursor(field, text string) (domain.Position, error) {
	p, err := domain.ParsePosition(text)
	if err != nil {
		return domain.Position{}, domain.Rejectf(domain.CodeInvalid, field, "%s", err.Error())
	}
	return p, nil
}

// number is a whole number from 1 on; 0: it is not given.
func (q query) number(name string, most int) (int, error) {
	text := q.text(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, domain.Rejectf(domain.CodeInvalid, name, "must be a whole number from 1 to %d", most)
	}
	return n, nil
}

// moment is an RFC 3339 time, or a date, which is midnight UTC.
func (q query) moment(name string) (time.Time, error) {
	text := q.text(name)
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	hint := ""
	if strings.Contains(text, " ") {
		hint = "; a + in a URL is written %2B"
	}
	return time.Time{}, domain.Rejectf(domain.CodeInvalid, name, "%.64q is not a time with a zone such as 2026-03-02T14:30:00Z, nor a date%s", text, hint)
}

// neededMoment is a moment that must be given.
func (q query) neededMoment(name string) (time.Time, error) {
	t, err := q.moment(name)
	if err == nil && t.IsZero() {
		err = domain.Rejectf(domain.CodeMissing, name, "is missing: a time such as 2026-03-02T14:30:00Z, or a date")
	}
	return t, err
}

// maxSpan is longer than any log, and as far as a Duration reaches.
const maxSpan = 290 * 365 * 24 * time.Hour

// span is a length of time such as 90s, 24h, 7d or 2w; 0: it is not given.
func (q query) span(name string) (time.Duration, error) {
	text := q.text(name)
	if text == "" {
		return 0, nil
	}
	d, err := parseSpan(text)
	if err != nil || d <= 0 || d > maxSpan {
		return 0, domain.Rejectf(domain.CodeInvalid, name, "%.64q is not a length of time such as 30m, 24h, 7d or 2w", text)
	}
	return d, nil
}

func parseSpan(text string) (time.Duration, error) {
	const day = 24 * time.Hour
	for suffix, unit := range map[string]time.Duration{"d": day, "w": 7 * day} {
		digits, ok := strings.CutSuffix(text, suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(digits, 10, 31)
		if err != nil || time.Duration(n) > maxSpan/unit {
			return 0, fmt.Errorf("%q days or weeks", digits)
		}
		return time.Duration(n) * unit, nil
	}
	return time.ParseDuration(text)
}
