package fix

import (
	"strings"

	"github.com/tradetrail/tradetrail/domain"
)

// The types of what the table does not know. They are recorded with every field
// of the message and shown as unknown.
const (
	UnknownMessage   domain.EventType = "fix.message"          // another MsgType
	UnknownExecution domain.EventType = "fix.execution_report" // 35=8 with another ExecType
)

// Row is one line of the mapping: the first that fits decides.
type Row struct {
	MsgType string
	Name    string
	When    []Condition // all must hold
	Event   domain.EventType
	Needs   []int // tags without which the message is not understood
}

// Condition holds if the tag has one of the values.
type Condition struct {
	Tag    int
	Values string // separated by spaces
}

func (c Condition) holds(m *Message) bool {
	value := m.text(c.Tag)
	for one := range strings.FieldsSeq(c.Values) {
		if one == value {
			return true
		}
	}
	return false
}

func when(tag int, values string) Condition { return Condition{Tag: tag, Values: values} }

// Table is the mapping from messages to events, in the order in which it is tried.
// It follows FIX 4.4 and 5.0SP2; ExecTransType (20) and ExecType 1 and 2 are
// FIX 4.2's. Order events need an order: ClOrdID or, for orders that the client
// never sent, OrderID.
func Table() []Row { return table }

var (
	trade  = []int{tagExecID, tagLastQty, tagLastPx}
	reply  = []int{tagClOrdID}
	change = []int{tagClOrdID, tagOrigClOrdID}
)

const report = "ExecutionReport"

var table = []Row{
	{"D", "NewOrderSingle", nil, domain.OrderReceived, []int{tagClOrdID, tagSymbol, 54}},
	{"AB", "NewOrderMultileg", nil, domain.OrderReceived, reply},
	{"E", "NewOrderList, each order", nil, domain.OrderReceived, reply},
	{"G", "OrderCancelReplaceRequest", nil, domain.OrderReplaceRequested, change},
	{"AC", "MultilegOrderCancelReplace", nil, domain.OrderReplaceRequested, change},
	{"F", "OrderCancelRequest", nil, domain.OrderCancelRequested, change},
	{"q", "OrderMassCancelRequest", nil, domain.OrderMassCancelRequested, reply},

	{"8", report, []Condition{when(tagExecTransType, "1")}, domain.TradeBusted, []int{19}},
	{"8", report, []Condition{when(tagExecTransType, "2")}, domain.TradeCorrected, []int{19, tagLastQty, tagLastPx}},
	{"8", report, []Condition{when(tagExecTransType, "3")}, domain.OrderStatusObserved, nil},
	{"8", report, []Condition{when(tagExecType, "A")}, domain.OrderPendingNew, nil},
	{"8", report, []Condition{when(tagExecType, "0")}, domain.OrderAccepted, nil},
	{"8", report, []Condition{when(tagExecType, "8")}, domain.OrderRejected, nil},
	{"8", report, []Condition{when(tagExecType, "F 1 2"), when(tagOrdStatus, "2")}, domain.OrderFilled, trade},
	{"8", report, []Condition{when(tagExecType, "F 1 2")}, domain.OrderPartiallyFilled, trade},
	{"8", report, []Condition{when(tagExecType, "G")}, domain.TradeCorrected, []int{19, tagLastQty, tagLastPx}},
	{"8", report, []Condition{when(tagExecType, "H")}, domain.TradeBusted, []int{19}},
	{"8", report, []Condition{when(tagExecType, "6")}, domain.OrderCancelPending, nil},
	{"8", report, []Condition{when(tagExecType, "4")}, domain.OrderCancelled, nil},
	{"8", report, []Condition{when(tagExecType, "E")}, domain.OrderReplacePending, nil},
	{"8", report, []Condition{when(tagExecType, "5")}, domain.OrderReplaced, nil},
	{"8", report, []Condition{when(tagExecType, "3")}, domain.OrderDoneForDay, nil},
	{"8", report, []Condition{when(tagExecType, "C")}, domain.OrderExpired, nil},
	{"8", report, []Condition{when(tagExecType, "7")}, domain.OrderStopped, nil},
	{"8", report, []Condition{when(tagExecType, "9")}, domain.OrderSuspended, nil},
	{"8", report, []Condition{when(tagExecType, "B")}, domain.OrderCalculated, nil},
	{"8", report, []Condition{when(tagExecType, "D")}, domain.OrderRestated, nil},
	{"8", report, []Condition{when(tagExecType, "L")}, domain.OrderTriggered, nil},
	{"8", report, []Condition{when(tagExecType, "M")}, domain.OrderLocked, nil},
	{"8", report, []Condition{when(tagExecType, "N")}, domain.OrderReleased, nil},
	{"8", report, []Condition{when(tagExecType, "I")}, domain.OrderStatusObserved, nil},
	{"8", report, []Condition{when(tagExecType, "J")}, domain.TradeClearingHeld, nil},
	{"8", report, []Condition{when(tagExecType, "K")}, domain.TradeClearingReleased, nil},
	{"8", report, nil, UnknownExecution, []int{tagExecType}},

	{"9", "OrderCancelReject", []Condition{when(tagCxlRejResponse, "2")}, domain.OrderReplaceRejected, reply},
	{"9", "OrderCancelReject", nil, domain.OrderCancelRejected, reply},
	{"Q", "DontKnowTrade", nil, domain.TradeDisputed, []int{tagOrderID, tagExecID, 127}},
	{"AE", "TradeCaptureReport", nil, domain.TradeReported, []int{tagLastQty, tagLastPx}},
	{"J", "AllocationInstruction", nil, domain.AllocationInstructed, []int{70}},
	{"P", "AllocationInstructionAck", nil, domain.AllocationAcknowledged, []int{70}},
	{"AS", "AllocationReport", nil, domain.AllocationReported, nil},

	{"A", "Logon", nil, domain.SessionLogon, nil},
	{"5", "Logout", nil, domain.SessionLogout, nil},
	{"2", "ResendRequest", nil, domain.SessionResendRequested, []int{tagBeginSeqNo, tagEndSeqNo}},
	{"4", "SequenceReset", nil, domain.SessionSequenceReset, []int{tagNewSeqNo}},
	{"3", "Reject", nil, domain.SessionRejected, []int{tagRefSeqNum}},
	{"j", "BusinessMessageReject", nil, domain.SessionBusinessRejected, []int{372, 380}},
}

// unrecorded are the messages that only keep a session alive.
func unrecorded(msgType string) bool { return msgType == "0" || msgType == "1" }

// single are the messages about one order, without groups that repeat a tag of
// theirs: said twice there, nobody knows which one counts.
func single(msgType string) bool {
	switch msgType {
	case "D", "F", "G", "8", "9":
		return true
	default:
		return false
	}
}

// decisive must not be said twice in such a message, nor in the header of any.
var decisive = map[int]bool{
	tagClOrdID: true, 14: true, tagExecID: true, 19: true, tagExecTransType: true, tagLastPx: true, tagLastQty: true,
	tagOrderID: true, 38: true, tagOrdStatus: true, tagOrigClOrdID: true, 44: true, 54: true, tagSymbol: true,
	tagTransactTime: true, tagExecType: true, 151: true, 6: true, tagAccount: true, tagCxlRejResponse: true,
}

func inHeader(tag int) bool {
	switch tag {
	case tagBeginString, tagBodyLength, tagMsgType, tagMsgSeqNum, tagSenderCompID, tagTargetCompID, tagSendingTime, tagPossDup, tagPossResend, tagOrigSendingTime:
		return true
	default:
		return false
	}
}

// match finds the row of a message.
func match(m *Message) Row {
	msgType := m.text(tagMsgType)
rows:
	for _, row := range table {
		if row.MsgType != msgType {
			continue
		}
		for _, c := range row.When {
			if !c.holds(m) {
				continue rows
			}
		}
		return row
	}
	return Row{MsgType: msgType, Name: "any other", Event: UnknownMessage}
}
