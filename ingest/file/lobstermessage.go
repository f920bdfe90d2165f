package file

import (
	"strconv"
	"strings"

	"github.com/tradetrail/tradetrail/domain"
)

// messageKind is the second column.
type messageKind int

const (
	kindSubmission    messageKind = 1
	kindPartialCancel messageKind = 2
	kindDeletion      messageKind = 3
	kindExecution     messageKind = 4
	kindHidden        messageKind = 5 // execution of a hidden order
	kindHalt          messageKind = 7
)

// message is one row of a LOBSTER file.
type message struct {
	second, nanosecond int
	finer              bool // the row's time is finer than a nanosecond
	kind               messageKind
	order              uint64 // 0: none
	size               uint64
	price              int64 // ten-thousandths of a dollar; the new state for kindHalt
	side               string
}

// parseMessage reads a row; its errors name the column.
func parseMessage(text string) (m message, bad *domain.Error) {
	columns := strings.Split(text, ",")
	if len(columns) != 6 {
		return m, domain.Rejectf(domain.CodeMalformed, "", "row has %d columns, LOBSTER's have 6", len(columns))
	}
	if bad := m.setTime(columns[0]); bad != nil {
		return m, bad
	}
	kind, err := strconv.Atoi(columns[1])
	if err != nil {
		return m, invalidColumn("type", columns[1], "a number")
	}
	m.kind = messageKind(kind)
	if m.order, err = strconv.ParseUint(columns[2], 10, 64); err != nil {
		return m, invalidColumn("order_id", columns[2], "a number")
	}
	if m.size, err = strconv.ParseUint(columns[3], 10, 64); err != nil {
		return m, invalidColumn("size", columns[3], "a number of shares")
	}
	if m.price, err = strconv.ParseInt(columns[4], 10, 64); err != nil {
		return m, invalidColumn("price", columns[4], "dollars times 10,000")
	}
	switch columns[5] {
	case "1":
		m.side = "buy"
	case "-1":
		m.side = "sell"
	default:
		return m, invalidColumn("direction", columns[5], "1 (buy) or -1 (sell)")
	}
	return m, m.check()
}

// check judges the columns by what the kind makes of them.
func (m *message) check() *domain.Error {
	switch m.kind {
	case kindHalt:
		if m.price < -1 || m.price > 1 {
			return invalidColumn("price", strconv.FormatInt(m.price, 10), "-1 (halted), 0 (quoting) or 1 (trading)")
		}
		return nil
	case kindHidden:
	case kindSubmission, kindPartialCancel, kindDeletion, kindExecution:
		if m.order == 0 {
			return invalidColumn("order_id", "0", "the number of an order")
		}
	default:
		return invalidColumn("type", strconv.Itoa(int(m.kind)), "1, 2, 3, 4, 5 or 7")
	}
	if m.size == 0 {
		return invalidColumn("size", "0", "a number of shares")
	}
	if m.price <= 0 {
		return invalidColumn("price", strconv.FormatInt(m.price, 10), "above zero")
	}
	return nil
}

func invalidColumn(column, value, want string) *domain.Error {
	return domain.Rejectf(domain.CodeInvalid, column, "%.64q is not %s", value, want)
}

// setTime reads seconds after midnight digit by digit: a float would invent
// nanoseconds. Those that LOBSTER's own floats have invented (one row of the
// public sample has twelve decimals) are cut off.
func (m *message) setTime(text string) *domain.Error {
	whole, fraction, dotted := strings.Cut(text, ".")
	if !digits(whole, 5) || dotted && !digits(fraction, 18) {
		return invalidColumn("time", text, "seconds after midnight, such as 34200.004241476")
	}
	for _, d := range []byte(whole) {
		m.second = m.second*10 + int(d-'0')
	}
	if m.second >= 24*60*60 {
		return invalidColumn("time", text, "within a day")
	}
	for i := range 9 {
		m.nanosecond *= 10
		if i < len(fraction) {
			m.nanosecond += int(fraction[i] - '0')
		}
	}
	m.finer = len(fraction) > 9 && strings.Trim(fraction[9:], "0") != ""
	return nil
}

// digits reports whether text is 1 to limit digits.
func digits(text string, limit int) bool {
	return text != "" && len(text) <= limit && strings.Trim(text, "0123456789") == ""
}
