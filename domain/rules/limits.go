package rules

import (
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // the same zones on every machine: findings must not differ

	"github.com/shopspring/decimal"

	"github.com/tradetrail/tradetrail/domain"
)

// limits are a rule's thresholds, read.
type limits map[string]limit

type limit struct {
	text     string
	number   domain.Decimal // Fraction, Amount
	duration time.Duration  // Duration; TimeOfDay since midnight
	count    int            // Count
	zone     *time.Location // Zone
}

// maxCount keeps what a rule counts within what the engine remembers.
const maxCount = 1_000_000

// read reads what is configured.
func (t Threshold) read() (limit, error) {
	out, err := t.parse()
	if err != nil || t.Max == "" {
		return out, err
	}
	most, err := Threshold{Name: t.Name, Unit: t.Unit, Value: t.Max}.parse()
	if err != nil {
		return limit{}, err
	}
	if out.count > most.count || out.duration > most.duration {
		return limit{}, domain.Rejectf(domain.CodeInvalid, "", "%s is %.64q; more than %s is not remembered", t.Name, t.Value, t.Max)
	}
	return out, nil
}

func (t Threshold) parse() (limit, error) {
	out := limit{text: t.Value}
	bad := func(form string) (limit, error) {
		return limit{}, domain.Rejectf(domain.CodeInvalid, "", "%s is %.64q, which is no %s", t.Name, t.Value, form)
	}
	var err error
	switch t.Unit {
	case Fraction, Amount:
		text, scale := t.Value, int32(0)
		if t.Unit == Fraction {
			if cut, ok := strings.CutSuffix(text, "bps"); ok {
				text, scale = strings.TrimSpace(cut), -4
			} else if cut, ok := strings.CutSuffix(text, "%"); ok {
				text, scale = strings.TrimSpace(cut), -2
			}
		}
		if out.number, err = domain.ParseDecimal(text); err != nil || out.number.IsNegative() {
			return bad("decimal number from 0 on, such as 0.005 or 50bps")
		}
		out.number = out.number.Shift(scale)
	case Duration:
		if out.duration, err = time.ParseDuration(t.Value); err != nil || out.duration < 0 {
			return bad("duration such as 250ms or 1h30m")
		}
	case Count:
		if out.count, err = strconv.Atoi(t.Value); err != nil || out.count < 1 || out.count > maxCount {
			return bad("whole number from 1 to " + strconv.Itoa(maxCount))
		}
	case TimeOfDay:
		if t.Value == "" {
			return out, nil
		}
		at, err := time.Parse("15:04", t.Value)
		if err != nil {
			return bad("time of day such as 16:00")
		}
		out.duration = time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute
	case Zone:
		if out.zone, err = time.LoadLocation(t.Value); err != nil || t.Value == "Local" {
			return bad("time zone such as America/New_York")
		}
	}
	return out, nil
}

func (l limits) number(name string) domain.Decimal  { return l[name].number }
func (l limits) duration(name string) time.Duration { return l[name].duration }
func (l limits) count(name string) int              { return l[name].count }

// tenThousand turns fractions into basis points.
var tenThousand = decimal.NewFromInt(10_000)

func inBps(fraction domain.Decimal) domain.Decimal { return fraction.Mul(tenThousand) }
