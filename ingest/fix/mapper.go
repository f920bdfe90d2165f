package fix

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
)

// Options say what messages don't.
type Options struct {
	// CompID is ours: an order that it sends was routed, any other received.
	CompID string
	// OrderPrefix stands before every order id: for counterparties whose ClOrdIDs
	// mean other orders than ours, or are used again.
	OrderPrefix string
	// Origins remembers orders beyond this reader; may be nil.
	Origins Origins
	// Gaps finds numbers that are missing between the messages of each side: for
	// logs. A session finds its own.
	Gaps bool
}

// Mapper turns messages into items to record. It must see them in their order,
// and belongs to one goroutine.
type Mapper struct {
	options Options
	chains  *chains
	gaps    *gaps // nil without Options.Gaps
}

// NewMapper makes a mapper.
func NewMapper(o Options) *Mapper {
	m := &Mapper{options: o, chains: newChains(o.OrderPrefix, o.Origins)}
	if o.Gaps {
		m.gaps = newGaps()
	}
	return m
}

// Items are what one message means: nothing for heartbeats, several for a list of
// orders, one with an error for what is not understood. received is when the
// message came here, zero if nobody knows. The error is that of Origins; the
// message can be given again then.
func (m *Mapper) Items(ctx context.Context, p Piece, received time.Time) ([]ingest.Item, error) {
	message, bad := p.parse()
	if bad != nil {
		return rejected(p, bad), nil
	}
	return m.items(ctx, message, p, received)
}

// items goes on where Parse has ended.
func (m *Mapper) items(ctx context.Context, message *Message, p Piece, received time.Time) ([]ingest.Item, error) {
	u := understood{Message: message, row: match(message), who: partiesOf(message), received: received}
	if bad := u.header(); bad != nil {
		return rejected(p, bad), nil
	}
	items, bad, err := m.events(ctx, u)
	switch {
	case err != nil:
		return nil, err // before anything about its number is remembered
	case bad != nil:
		items = rejected(p, bad)
	}
	if m.gaps != nil {
		items = append(m.gaps.see(&u), items...)
	}
	for i := range items {
		items[i].Line = p.Line
	}
	return items, nil
}

func rejected(p Piece, err *domain.Error) []ingest.Item {
	return []ingest.Item{{Line: p.Line, Raw: unsecret(p.Raw), Cut: p.Cut, Err: err}}
}

// unsecret takes passwords out of a message that could not be read.
func unsecret(raw []byte) []byte {
	kind := "A" // what has no type could be one
	for _, separator := range []byte{soh, bar} {
		if at := bytes.Index(raw, []byte{separator, '3', '5', '='}); at >= 0 {
			value := raw[at+len("|35="):]
			kind = cmp.Or(string(value[:fieldEnd(value)]), kind)
			break
		}
	}
	var clean []byte
	for at, c := range raw {
		if at > 0 && raw[at-1] != soh && raw[at-1] != bar || c < '1' || c > '9' {
			continue
		}
		digits, _, ok := bytes.Cut(raw[at:min(len(raw), at+maxTagDigits+1)], []byte{'='})
		tag, err := strconv.Atoi(string(digits))
		if !ok || err != nil || !secret(kind, tag) {
			continue
		}
		from := at + len(digits) + 1
		if clean == nil {
			clean = bytes.Clone(raw)
		}
		star(clean[from : from+secretEnd(tag, raw[:at], raw[from:])])
	}
	if clean == nil {
		return raw
	}
	return clean
}

// fieldEnd is where a value ends, by the next separator.
func fieldEnd(value []byte) int {
	if end := bytes.IndexAny(value, "\x01|\r\n"); end >= 0 {
		return end
	}
	return len(value)
}

// secretEnd is where a secret ends: data may hold separators, so it is as long as
// the field before says, if that is longer.
func secretEnd(tag int, before, value []byte) int {
	end := fieldEnd(value)
	if tag == tagPassword || tag == tagNewPassword {
		return end
	}
	before = bytes.TrimRight(before, "\x01|")
	if n, err := wholeNumber(before[bytes.LastIndexByte(before, '=')+1:], len(value)); err == nil {
		end = max(end, n)
	}
	return end
}

func star(value []byte) { copy(value, bytes.Repeat([]byte{'*'}, len(value))) }

// parties are the two sides of a message.
type parties struct{ begin, sender, target string }

// way names one direction: ExecIDs and sequence numbers are unique within it.
func (p parties) way() string { return p.begin + ":" + p.sender + "->" + p.target }

// session names both directions: the same for either side.
func (p parties) session() string {
	return p.begin + ":" + min(p.sender, p.target) + "/" + max(p.sender, p.target)
}

func partiesOf(m *Message) parties {
	return parties{m.text(tagBeginString), m.text(tagSenderCompID), m.text(tagTargetCompID)}
}

// understood is a message on its way to its events.
type understood struct {
	*Message
	row      Row
	who      parties
	number   int
	sent, at time.Time // 52, or 122 of a duplicate; 60, or sent
	received time.Time
}

// header checks what every message must say.
func (u *understood) header() *domain.Error {
	for _, tag := range []int{tagMsgSeqNum, tagSenderCompID, tagTargetCompID, tagSendingTime} {
		if u.first(tag) == nil {
			return missing(tag)
		}
	}
	var err error
	if u.number, err = wholeNumber(u.first(tagMsgSeqNum), maxNumber); err != nil {
		return domain.Rejectf(domain.CodeInvalid, name(tagMsgSeqNum), "the number of the message %v", err)
	}
	if bad := checkID(tagSenderCompID, u.who.session()); bad != nil {
		return bad
	}
	sent := tagSendingTime
	if u.says(tagPossDup) && u.first(tagOrigSendingTime) != nil {
		sent = tagOrigSendingTime
	}
	var bad *domain.Error
	u.sent, bad = parseTime(sent, u.first(sent))
	return bad
}

// maxNumber bounds sequence numbers, counts and seconds.
const maxNumber = 1 << 40

// body checks what the table asks for.
func (u *understood) body() *domain.Error {
	seen := make(map[int]bool, 32)
	one := single(u.row.MsgType)
	for _, f := range u.Fields {
		if one && decisive[f.Tag] || inHeader(f.Tag) {
			if seen[f.Tag] {
				return domain.Rejectf(domain.CodeInvalid, name(f.Tag), "at byte %d: said twice, and nobody knows which one counts", f.at)
			}
			seen[f.Tag] = true
		}
	}
	for _, tag := range u.row.Needs {
		if u.first(tag) == nil {
			return missing(tag)
		}
	}
	u.at = u.sent
	if at := u.first(tagTransactTime); at != nil {
		var bad *domain.Error
		if u.at, bad = parseTime(tagTransactTime, at); bad != nil {
			return bad
		}
	}
	return nil
}

func missing(tag int) *domain.Error {
	return domain.Rejectf(domain.CodeMissing, name(tag), "missing")
}

// maxShared bounds what the orders of one list repeat of what they share.
const maxShared = 8 << 20

// parts are the messages that a list of orders stands for: what all share, and the
// fields of one order, which begin with its ClOrdID. The first has all the bytes, as
// it stands for the list; the others those of their order, behind BeginString.
func (u *understood) parts() ([]*Message, *domain.Error) {
	raw := u.masked()
	first := slices.IndexFunc(u.Fields, func(f Field) bool { return f.Tag == tagClOrdID })
	if u.row.MsgType != "E" || first < 0 {
		return []*Message{{Raw: raw, Fields: u.Fields}}, nil
	}
	orders := 0
	for _, f := range u.Fields {
		if f.Tag == tagClOrdID {
			orders++
		}
	}
	if shared := u.Fields[first].at; orders*shared > maxShared {
		return nil, domain.Rejectf(domain.CodeTooLarge, name(tagClOrdID), "a list of %d orders that share %d bytes", orders, shared)
	}
	var parts []*Message
	for i := first; i < len(u.Fields)-1; {
		end := i + 1
		for end < len(u.Fields)-1 && u.Fields[end].Tag != tagClOrdID {
			end++
		}
		part := &Message{Raw: raw, Fields: slices.Concat(u.Fields[:first], u.Fields[i:end])}
		if i > first {
			part.Raw = slices.Concat(raw[:u.Fields[1].at], raw[u.Fields[i].at:u.Fields[end].at])
		}
		parts = append(parts, part)
		i = end
	}
	return parts, nil
}

// events makes the events of a message; bad says why it is not understood.
func (m *Mapper) events(ctx context.Context, u understood) (items []ingest.Item, bad *domain.Error, err error) {
	if unrecorded(u.row.MsgType) {
		return nil, nil, nil
	}
	if bad := u.body(); bad != nil {
		return nil, bad, nil
	}
	parts, bad := u.parts()
	if bad != nil {
		return nil, bad, nil
	}
	for i, part := range parts {
		more, bad, err := m.event(ctx, u, part, i)
		if bad != nil || err != nil {
			return nil, bad, err
		}
		items = append(items, more...)
	}
	return items, nil, nil
}

// event makes the event of a message, or of the nth order of a list, behind the
// link that it needs.
func (m *Mapper) event(ctx context.Context, u understood, part *Message, n int) ([]ingest.Item, *domain.Error, error) {
	e := &domain.Event{
		Type: u.row.Event, OccurredAt: u.at, SchemaVersion: domain.SchemaVersion,
		SessionID: u.who.session(), Actor: u.who.sender, Raw: part.Raw, Path: u.path(),
	}
	if e.Type == domain.OrderReceived && m.options.CompID != "" && m.options.CompID == u.who.sender {
		e.Type = domain.OrderRouted
	}
	for _, id := range []struct {
		tag    int
		target *string
	}{
		{tagClOrdID, &e.ClientOrderID}, {tagOrderID, &e.BrokerOrderID}, {tagAccount, &e.AccountID}, {tagSymbol, &e.Ticker},
	} {
		var bad *domain.Error
		if *id.target, bad = identifier(part, id.tag); bad != nil {
			return nil, bad, nil
		}
	}
	orig, bad := identifier(part, tagOrigClOrdID)
	if bad != nil {
		return nil, bad, nil
	}
	e.ID = eventID(u, part, n)
	if e.Data, bad = u.data(part, e.Type); bad != nil {
		return nil, bad, nil
	}
	var items []ingest.Item
	if family := e.Type.Family(); family == "order" && e.Type != domain.OrderMassCancelRequested || family == "trade" || family == "fix" {
		id, link, err := m.chains.order(ctx, reference{
			session: e.SessionID, client: e.ClientOrderID, orig: orig, broker: e.BrokerOrderID,
			begins: e.Type == domain.OrderReceived || e.Type == domain.OrderRouted, at: u.at,
		})
		if err != nil {
			return nil, nil, err
		}
		if id == "" && family == "order" {
			return nil, domain.Rejectf(domain.CodeMissing, name(tagClOrdID), "missing, and OrderID (37) too: nobody knows which order this is about"), nil
		}
		if len(id) > domain.MaxIDBytes {
			return nil, domain.Rejectf(domain.CodeTooLarge, name(tagClOrdID), "longer than %d bytes, with the prefix of orders", domain.MaxIDBytes), nil
		}
		if e.OrderID = id; link != nil {
			items = append(items, *link)
		}
	}
	home := e.Home()
	e.EntityType, e.EntityID = home.Kind, home.ID
	return append(items, ingest.Item{Event: e}), nil, nil
}

// identifier reads a value that becomes an id, which the door holds to its rules.
func identifier(m *Message, tag int) (string, *domain.Error) {
	value := strings.TrimSpace(m.text(tag))
	return value, checkID(tag, value)
}

func checkID(tag int, value string) *domain.Error {
	if len(value) > domain.MaxIDBytes {
		return domain.Rejectf(domain.CodeTooLarge, name(tag), "longer than %d bytes", domain.MaxIDBytes)
	}
	if !utf8.ValidString(value) || strings.ContainsFunc(value, control) {
		return domain.Rejectf(domain.CodeInvalid, name(tag), "%.80q has control characters, or is no UTF-8", value)
	}
	return nil
}

// path is the way of the message before it came here.
func (u *understood) path() []domain.Hop {
	path := []domain.Hop{{Hop: u.who.sender, Out: u.sent}}
	for i, f := range u.Fields {
		if f.Tag != tagHopCompID || len(path) == maxHops {
			continue
		}
		hop := domain.Hop{Hop: strings.ToValidUTF8(string(f.Value), "\uFFFD")}
		if i+1 < len(u.Fields) && u.Fields[i+1].Tag == tagHopSendingTime {
			if at, err := parseTime(tagHopSendingTime, u.Fields[i+1].Value); err == nil {
				hop.Out = at
			}
		}
		path = append(path, hop)
	}
	if !u.received.IsZero() {
		path = append(path, domain.Hop{Hop: u.who.target, In: u.received.UTC()})
	}
	return path
}

const maxHops = 16

// masked are the message's bytes without its secrets: an audit log is read by many.
func (u *understood) masked() []byte {
	raw := u.Raw
	for _, f := range u.Fields {
		if !secret(u.row.MsgType, f.Tag) {
			continue
		}
		if &raw[0] == &u.Raw[0] {
			raw = bytes.Clone(raw)
		}
		from := f.at + len(strconv.Itoa(f.Tag)) + 1
		star(raw[from : from+len(f.Value)])
	}
	return raw
}

// secret tells the fields with passwords; RawData has one in a logon only.
func secret(kind string, tag int) bool {
	switch tag {
	case tagPassword, tagNewPassword, tagEncryptedPassword, tagEncryptedNewPassword:
		return true
	case tagRawData:
		return kind == "A"
	default:
		return false
	}
}

// eventID derives the event's id from what the message says and who says it, not from
// how it came: the same for a message that is sent again (PossDup, PossResend), in
// a log and in a session. See docs/adr/0029.
func eventID(u understood, part *Message, n int) string {
	said := make([]Field, 0, len(part.Fields))
	for _, f := range part.Fields {
		switch f.Tag {
		case tagBeginString, tagBodyLength, tagCheckSum, tagMsgSeqNum, tagPossDup, tagSendingTime, tagPossResend, tagOrigSendingTime,
			89, 90, 91, 93, 369, 1401, 1403:
		default:
			if !secret(u.row.MsgType, f.Tag) {
				said = append(said, f)
			}
		}
	}
	// An engine may order fields otherwise when it sends them again.
	slices.SortStableFunc(said, func(a, b Field) int { return cmp.Compare(a.Tag, b.Tag) })
	hash := sha256.New()
	var tag [20]byte
	for _, f := range said {
		hash.Write(append(strconv.AppendInt(tag[:0], int64(f.Tag), 10), '='))
		hash.Write(f.Value)
		hash.Write([]byte{soh})
	}
	key := u.row.MsgType + " " + hex.EncodeToString(hash.Sum(nil)) + " " + strconv.Itoa(n)
	switch exec := u.text(tagExecID); {
	case u.row.MsgType == "8" && exec != "" && exec != "0": // 0 is what FIX 4.2 says for a status
		key += " exec " + exec
	case u.first(tagTransactTime) != nil:
	default:
		key += " " + strconv.Itoa(u.number) + " " + u.sent.Format(time.RFC3339Nano)
	}
	return domain.DeriveID("fix", u.who.way(), key)
}
