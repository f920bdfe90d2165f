package views

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tradetrail/tradetrail/domain"
)

// HeatmapBy is what a heat map has in its rows.
type HeatmapBy string

// The rows of heat maps.
const (
	ByKind     HeatmapBy = "kind"
	ByStrategy HeatmapBy = "strategy"
	ByAccount  HeatmapBy = "account"
)

// dimensions are what anomalies are counted by, with the letter that it has in keys.
func dimensions() map[HeatmapBy]string {
	return map[HeatmapBy]string{ByKind: "k", ByStrategy: "s", ByAccount: "a"}
}

// The bounds of a heat map. What exceeds them is refused and never left out: a map
// with a hole looks like a quiet day.
const (
	DefaultHeatmapBucket = time.Hour
	DefaultHeatmapRows   = 50
	MaxHeatmapBuckets    = 1000
	MaxHeatmapRows       = 200
	MaxHeatmapCells      = 50_000
	MaxHeatmapEvents     = 50_000  // that are looked at one by one
	maxHeatmapCounts     = 500_000 // counters that are read, and cells that are held
)

// heatSlot is what the counters of anomalies tell apart: a quarter of an hour, so that
// buckets may begin with the hours of any time zone.
const (
	heatSlot  = 15 * time.Minute
	heatHour  = time.Hour
	hoursRead = 64 // hours whose counters are read in one round trip
)

// HeatmapQuery asks how many anomalies were detected when, by occurred_at. Buckets
// begin at From; the last one ends at To.
type HeatmapQuery struct {
	From, To time.Time     // To is exclusive
	Bucket   time.Duration // 0: DefaultHeatmapBucket
	By       HeatmapBy     // empty: ByKind
	Rows     int           // at most so many, those with the most anomalies; 0: DefaultHeatmapRows
	// Of says which anomalies are counted. Its window, positions, order and limit count
	// for nothing.
	Of AnomalyQuery
}

// Heatmap are counts of anomalies. Those of all Rows and Rest make Total, those of all
// Cells and Rest too.
type Heatmap struct {
	From, To time.Time
	Bucket   time.Duration
	By       HeatmapBy
	Total    int64
	Rest     int64         // in rows that are not there
	Rows     []HeatmapRow  // the most anomalies first, then by value
	Cells    []HeatmapCell // those that are not 0, by time, value and severity
	Examined int           // events that were looked at one by one
	Failed   int           // of these, those on which the expression could not be computed; they are left out
	Failure  string        // why, for the first of them
}

// HeatmapRow is a kind, a strategy or an account, the first 128 bytes of it; empty:
// that of anomalies that name none.
type HeatmapRow struct {
	Value string
	Count int64
}

// HeatmapCell is how many anomalies there were in a bucket, of a row and a severity.
type HeatmapCell struct {
	At              time.Time // when the bucket begins
	Value, Severity string
	Count           int64
}

// checked is the query with what it leaves out.
func (q HeatmapQuery) checked() (HeatmapQuery, error) {
	q.From, q.To = q.From.UTC(), q.To.UTC()
	q.Bucket, q.By, q.Rows = cmp.Or(q.Bucket, DefaultHeatmapBucket), cmp.Or(q.By, ByKind), cmp.Or(q.Rows, DefaultHeatmapRows)
	invalid := func(field, format string, args ...any) error {
		return domain.Rejectf(domain.CodeInvalid, field, format, args...)
	}
	switch {
	case !q.To.After(q.From):
		return q, invalid("to", "must be after from")
	case !q.From.Add(q.To.Sub(q.From)).Equal(q.To): // a Duration has no room for it
		return q, invalid("to", "must be less than 292 years after from")
	case q.Bucket < 0:
		return q, invalid("bucket", "must be longer than nothing")
	case (q.To.Sub(q.From)-1)/q.Bucket >= MaxHeatmapBuckets:
		return q, domain.Rejectf(domain.CodeTooLarge, "bucket", "from there to there are more than %d of them", MaxHeatmapBuckets)
	case dimensions()[q.By] == "":
		return q, invalid("by", "is none of kind, strategy and account")
	case q.Rows < 1 || q.Rows > MaxHeatmapRows:
		return q, invalid("rows", "must be from 1 to %d", MaxHeatmapRows)
	}
	return q, nil
}

// counters reports whether counters can answer: of all anomalies, in buckets that
// begin and end with quarters of hours.
func (q HeatmapQuery) counters() bool {
	f := q.Of.Filter
	return q.Of.wantsAll() && q.Bucket%heatSlot == 0 && floor(q.From, heatSlot).Equal(q.From) &&
		len(f.Accounts)+len(f.Strategies)+len(f.Users)+len(f.Tickers)+len(f.Orders) == 0 &&
		f.EntityType == "" && f.EntityID == "" && f.Expression == ""
}

// floor is the last multiple of a length of time, since 1970, that is not after t.
func floor(t time.Time, step time.Duration) time.Time {
	seconds := int64(step / time.Second)
	past := t.Unix() % seconds
	if past < 0 {
		past += seconds
	}
	return time.Unix(t.Unix()-past, 0).UTC()
}

// Heatmap counts anomalies. All of them are counted from counters, in quarters of
// hours, whatever their number; what these can't tell (the end of a window within a
// quarter, other buckets, some anomalies only) is counted by looking at each, and
// refused if it is too much. It may miss what was detected while it looked.
func (s *Set) Heatmap(ctx context.Context, q HeatmapQuery) (Heatmap, error) {
	q, err := q.checked()
	if err != nil {
		return Heatmap{}, err
	}
	sum := heatSum{query: q, counts: make(map[heatCell]int64)}
	rest := q.From
	if q.counters() {
		rest = floor(q.To, heatSlot)
		if err := s.sumCounters(ctx, &sum, q.From, rest); err != nil {
			return Heatmap{}, err
		}
	}
	if rest.Before(q.To) {
		if err := s.sumEvents(ctx, &sum, rest, q.To); err != nil {
			return Heatmap{}, err
		}
	}
	return sum.heatmap()
}

// sumEvents looks at each anomaly of a window.
func (s *Set) sumEvents(ctx context.Context, sum *heatSum, from, to time.Time) error {
	of := sum.query.Of
	of.Query = Query{Filter: of.Filter, Limit: MaxPage}
	of.Filter.After, of.Filter.Before = from, to
	walk := anomalyWalk{set: s, query: of, examine: MaxHeatmapEvents}
	full := false
	err := walk.each(ctx, func(e domain.Located, _ domain.Anomaly) bool {
		value, severity := heatOf(sum.query.By, e.Event, domain.DetectionIn(e.Event))
		full = !sum.add(e.OccurredAt, value, severity, 1)
		return !full
	})
	sum.examined, sum.failed, sum.failure = walk.found.Examined, walk.found.Failed, walk.found.Failure
	switch {
	case err != nil:
		return err
	case full:
		return errHeatmapCells
	case walk.found.More:
		return domain.Rejectf(domain.CodeTooLarge, "to", "there are more than %d anomalies to look at: ask for less time, or for all anomalies in buckets that begin and end with quarters of hours, which are counted already", MaxHeatmapEvents)
	}
	return nil
}

var errHeatmapCells = domain.Rejectf(domain.CodeTooLarge, "to", "there are more than %d different counts to add up: ask for less time", maxHeatmapCounts)

// sumCounters adds what the counters have of a window of whole slots.
func (s *Set) sumCounters(ctx context.Context, sum *heatSum, from, to time.Time) error {
	slot, err := s.slot(Anomalies)
	if err != nil {
		return err
	}
	counted, err := read(ctx, s, slot, func(live *Generation, _ *pulse) (*heatSum, error) {
		fresh := &heatSum{query: sum.query, counts: make(map[heatCell]int64)} // another generation may be read in between
		return fresh, fresh.read(ctx, live, from, to)
	})
	if err == nil {
		sum.counts = counted.counts
	}
	return err
}

func (h *heatSum) read(ctx context.Context, live *Generation, from, to time.Time) error {
	k := live.keys()
	away := func(err error) error { return unavailable("reading how many anomalies there were", err) }
	texts, err := live.reads.HKeys(ctx, k.at("y", "")).Result()
	if err != nil {
		return away(err)
	}
	var hours []int64
	for _, text := range texts {
		hour, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return damaged("counters of an hour %.64q", text)
		}
		if hour >= hourOf(from) && hour <= hourOf(to) {
			hours = append(hours, hour)
		}
	}
	sizes := make([]*redis.IntCmd, len(hours))
	if _, err := live.reads.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, hour := range hours {
			sizes[i] = p.HLen(ctx, heatKey(k, h.query.By, hour))
		}
		return nil
	}); err != nil {
		return away(err)
	}
	var all int64
	for _, size := range sizes {
		all += size.Val()
	}
	if all > maxHeatmapCounts {
		return errHeatmapCells
	}
	for some := range slices.Chunk(hours, hoursRead) {
		answers := make([]*redis.MapStringStringCmd, len(some))
		if _, err := live.reads.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, hour := range some {
				answers[i] = p.HGetAll(ctx, heatKey(k, h.query.By, hour))
			}
			return nil
		}); err != nil {
			return away(err)
		}
		for i, hour := range some {
			for field, text := range answers[i].Val() {
				at, value, severity, err := parseHeatField(hour, field)
				if err != nil {
					return err
				}
				n, err := strconv.ParseInt(text, 10, 64)
				if err != nil {
					return damaged("a count of anomalies %.64q", text)
				}
				if !at.Before(from) && at.Before(to) && !h.add(at, value, severity, n) {
					return errHeatmapCells
				}
			}
		}
	}
	return nil
}

// heatCell is a bucket, a row and a severity.
type heatCell struct {
	bucket          int64
	value, severity string
}

// heatSum adds up what a heat map is made of.
type heatSum struct {
	query    HeatmapQuery
	counts   map[heatCell]int64
	examined int
	failed   int
	failure  string
}

// add counts; false: there is no room.
func (h *heatSum) add(at time.Time, value, severity string, n int64) bool {
	h.counts[heatCell{int64(at.Sub(h.query.From) / h.query.Bucket), value, severity}] += n
	return len(h.counts) <= maxHeatmapCounts
}

func (h *heatSum) heatmap() (Heatmap, error) {
	out := Heatmap{
		From: h.query.From, To: h.query.To, Bucket: h.query.Bucket, By: h.query.By,
		Rows: []HeatmapRow{}, Cells: []HeatmapCell{}, Examined: h.examined, Failed: h.failed, Failure: h.failure,
	}
	rows := make(map[string]int64)
	for c, n := range h.counts {
		rows[c.value] += n
		out.Total += n
	}
	for value, n := range rows {
		out.Rows = append(out.Rows, HeatmapRow{value, n})
	}
	slices.SortFunc(out.Rows, func(a, b HeatmapRow) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Value, b.Value))
	})
	if len(out.Rows) > h.query.Rows {
		for _, row := range out.Rows[h.query.Rows:] {
			out.Rest += row.Count
			delete(rows, row.Value)
		}
		out.Rows = out.Rows[:h.query.Rows:h.query.Rows]
	}
	maps.DeleteFunc(h.counts, func(c heatCell, _ int64) bool {
		_, there := rows[c.value]
		return !there
	})
	if len(h.counts) > MaxHeatmapCells {
		return Heatmap{}, domain.Rejectf(domain.CodeTooLarge, "rows", "the map has %d cells, and at most %d are told: ask for fewer rows or longer buckets", len(h.counts), MaxHeatmapCells)
	}
	for c, n := range h.counts {
		out.Cells = append(out.Cells, HeatmapCell{h.query.From.Add(time.Duration(c.bucket) * h.query.Bucket), c.value, c.severity, n})
	}
	slices.SortFunc(out.Cells, func(a, b HeatmapCell) int {
		return cmp.Or(a.At.Compare(b.At), strings.Compare(a.Value, b.Value), strings.Compare(a.Severity, b.Severity))
	})
	return out, nil
}

// heatOf is where an anomaly is counted.
func heatOf(by HeatmapBy, e *domain.Event, d domain.Detection) (value, severity string) {
	switch by {
	case ByStrategy:
		value = e.StrategyID
	case ByAccount:
		value = e.AccountID
	default:
		value = d.Kind
	}
	return heatLabel(value), heatLabel(d.Severity)
}

// maxHeatLabel bounds what hostile kinds and severities cost.
const maxHeatLabel = 128

// heatLabel is a text as it is counted: its beginning, and no NUL, which separates.
func heatLabel(text string) string {
	if len(text) > maxHeatLabel {
		text = text[:maxHeatLabel]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(text, ""), "\x00", "")
}

func hourOf(t time.Time) int64 { return floor(t, heatHour).Unix() / int64(heatHour/time.Second) }

func heatKey(k keys, by HeatmapBy, hour int64) string {
	return k.at("h", dimensions()[by]+strconv.FormatInt(hour, 10))
}

// heatField is a counter of an hour: quarter, severity, value.
func heatField(at time.Time, value, severity string) string {
	quarter := at.Sub(floor(at, heatHour)) / heatSlot
	return strconv.Itoa(int(quarter)) + severity + "\x00" + value
}

func parseHeatField(hour int64, field string) (at time.Time, value, severity string, err error) {
	severity, value, ok := strings.Cut(field, "\x00")
	if !ok || severity == "" || severity[0] < '0' || severity[0] > '3' || hour > math.MaxInt64/3600 || hour < math.MinInt64/3600 {
		return time.Time{}, "", "", damaged("a counter of anomalies %.64q", field)
	}
	at = time.Unix(hour*3600, 0).UTC().Add(time.Duration(severity[0]-'0') * heatSlot)
	return at, value, severity[1:], nil
}

// heatCounts gathers what a slice adds to counters.
type heatCounts struct {
	hours  map[int64]struct{}
	counts map[heatCounter]int64
}

type heatCounter struct {
	by    HeatmapBy
	hour  int64
	field string
}

func newHeatCounts() *heatCounts {
	return &heatCounts{make(map[int64]struct{}), make(map[heatCounter]int64)}
}

func (h *heatCounts) add(e *domain.Event) {
	found, hour := domain.DetectionIn(e), hourOf(e.OccurredAt)
	h.hours[hour] = struct{}{}
	for by := range dimensions() {
		value, severity := heatOf(by, e, found)
		h.counts[heatCounter{by, hour, heatField(e.OccurredAt, value, severity)}]++
	}
}

// write puts the counts into the batch: they are added where they are kept, so
// nothing needs to be read.
func (h *heatCounts) write(b *batch) {
	for hour := range h.hours {
		b.add("HSET", b.keys.at("y", ""), strconv.FormatInt(hour, 10), "")
	}
	for c, n := range h.counts {
		b.increment(heatKey(b.keys, c.by, c.hour), c.field, n)
	}
}
