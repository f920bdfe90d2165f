package fix

import (
	"strings"
	"time"

	"github.com/tradetrail/tradetrail/domain"
)

// The years that an event may be of.
const firstYear, lastYear = 1970, 2261

// parseTime reads a UTCTimestamp: YYYYMMDD-HH:MM:SS with up to twelve digits after
// a point. What is finer than a nanosecond is cut off; the raw message keeps it. A
// leap second, :60, is the first moment of the next minute.
func parseTime(tag int, value []byte) (time.Time, *domain.Error) {
	text := string(value)
	bad := func() (time.Time, *domain.Error) {
		return time.Time{}, domain.Rejectf(domain.CodeInvalid, name(tag), "%.40q is not a UTC time such as 20260302-14:30:00.123", text)
	}
	whole, fraction, fine := strings.Cut(text, ".")
	if len(whole) != len("20060102-15:04:05") || fine && (!digits([]byte(fraction)) || len(fraction) > 12) {
		return bad()
	}
	leap := strings.HasSuffix(whole, ":60")
	if leap {
		whole = whole[:len(whole)-2] + "59"
	}
	at, err := time.Parse("20060102-15:04:05", whole)
	if err != nil || at.Year() < firstYear || at.Year() > lastYear {
		return bad()
	}
	if leap {
		return at.Add(time.Second), nil
	}
	ns, scale := 0, int(time.Second)
	for _, c := range fraction[:min(len(fraction), 9)] {
		scale /= 10
		ns += int(c-'0') * scale
	}
	return at.Add(time.Duration(ns)), nil
}

// formatTime writes a UTCTimestamp with milliseconds, which every version reads.
func formatTime(at time.Time) string { return at.UTC().Format("20060102-15:04:05.000") }
