package fix

import "github.com/tradetrail/tradetrail/domain"

// The tags that decide something here.
const (
	tagAccount          = 1
	tagBeginSeqNo       = 7
	tagBeginString      = 8
	tagBodyLength       = 9
	tagCheckSum         = 10
	tagClOrdID          = 11
	tagEndSeqNo         = 16
	tagExecID           = 17
	tagExecTransType    = 20
	tagLastPx           = 31
	tagLastQty          = 32
	tagMsgSeqNum        = 34
	tagMsgType          = 35
	tagNewSeqNo         = 36
	tagOrderID          = 37
	tagOrdStatus        = 39
	tagOrigClOrdID      = 41
	tagPossDup          = 43
	tagRefSeqNum        = 45
	tagSenderCompID     = 49
	tagSenderSubID      = 50
	tagSendingTime      = 52
	tagSymbol           = 55
	tagTargetCompID     = 56
	tagText             = 58
	tagTransactTime     = 60
	tagRawData          = 96
	tagPossResend       = 97
	tagEncryptMethod    = 98
	tagHeartBtInt       = 108
	tagTestReqID        = 112
	tagOrigSendingTime  = 122
	tagGapFill          = 123
	tagResetSeqNum      = 141
	tagExecType         = 150
	tagSessionReject    = 373
	tagCxlRejResponse   = 434
	tagNoPartyIDs       = 453
	tagUsername         = 553
	tagPassword         = 554
	tagNoHops           = 627
	tagHopCompID        = 628
	tagHopSendingTime   = 629
	tagNewPassword      = 925
	tagDefaultApplVerID = 1137

	tagEncryptedPassword    = 1402
	tagEncryptedNewPassword = 1404
)

// kind is how a value is written into an event's data.
type kind int

const (
	asText    kind = iota
	asDecimal      // exact, with the digits that were sent
	asNumber       // a whole number
	asTime         // RFC 3339 with up to nanoseconds
	asFlag
	asSide
	asOrderType
	asTimeInForce
	asStatus
)

// field says under which name a tag goes into the data of an event.
type field struct {
	tag  int
	name string
	kind kind
}

// fields are what an event of a known type copies, in the order of its data; the
// first value of a tag counts. Account, ClOrdID, OrderID and Symbol have fields of
// their own in the event.
var fields = []field{
	{tagMsgType, "msg_type", asText},
	{tagMsgSeqNum, "msg_seq_num", asNumber},
	{tagSendingTime, "sending_time", asTime},
	{tagSenderCompID, "sender_comp_id", asText},
	{tagSenderSubID, "sender_sub_id", asText},
	{tagTargetCompID, "target_comp_id", asText},
	{57, "target_sub_id", asText},
	{115, "on_behalf_of_comp_id", asText},
	{128, "deliver_to_comp_id", asText},
	{tagPossDup, "poss_dup", asFlag},
	{tagPossResend, "poss_resend", asFlag},
	{tagOrigSendingTime, "orig_sending_time", asTime},

	{tagOrigClOrdID, "orig_client_order_id", asText},
	{198, "secondary_order_id", asText},
	{526, "secondary_client_order_id", asText},
	{583, "client_order_link_id", asText},
	{66, "list_id", asText},
	{tagExecID, "exec_id", asText},
	{19, "exec_ref_id", asText},
	{tagExecTransType, "exec_trans_type", asText},
	{tagExecType, "exec_type", asText},
	{tagOrdStatus, "ord_status", asStatus},
	{54, "side", asSide},
	{40, "order_type", asOrderType},
	{59, "time_in_force", asTimeInForce},
	{432, "expire_date", asText},
	{126, "expire_time", asText},
	{18, "exec_inst", asText},
	{21, "handl_inst", asText},
	{38, "quantity", asDecimal},
	{152, "cash_order_quantity", asDecimal},
	{44, "limit_price", asDecimal},
	{99, "stop_price", asDecimal},
	{211, "peg_offset", asDecimal},
	{110, "min_quantity", asDecimal},
	{111, "max_floor", asDecimal},
	{1138, "display_quantity", asDecimal},
	{tagLastQty, "last_quantity", asDecimal},
	{tagLastPx, "last_price", asDecimal},
	{14, "cum_quantity", asDecimal},
	{151, "leaves_quantity", asDecimal},
	{6, "avg_price", asDecimal},
	{381, "gross_trade_amount", asDecimal},
	{13, "commission_type", asText},
	{15, "currency", asText},
	{120, "settlement_currency", asText},
	{30, "last_market", asText},
	{207, "exchange", asText},
	{100, "ex_destination", asText},
	{851, "last_liquidity", asText},
	{29, "last_capacity", asText},
	{528, "order_capacity", asText},
	{529, "order_restrictions", asText},
	{582, "cust_order_capacity", asText},
	{48, "security_id", asText},
	{22, "security_id_source", asText},
	{167, "security_type", asText},
	{64, "settlement_date", asText},
	{75, "trade_date", asText},

	{103, "order_reject_reason", asText},
	{102, "cancel_reject_reason", asText},
	{tagCxlRejResponse, "response_to", asText},
	{378, "restatement_reason", asText},
	{127, "dispute_reason", asText},
	{571, "trade_report_id", asText},
	{487, "trade_report_trans_type", asText},
	{856, "trade_report_type", asText},
	{70, "allocation_id", asText},
	{71, "allocation_trans_type", asText},
	{87, "allocation_status", asText},
	{tagText, "text", asText},

	{tagRefSeqNum, "ref_seq_num", asNumber},
	{371, "ref_tag", asText},
	{372, "ref_msg_type", asText},
	{tagSessionReject, "session_reject_reason", asText},
	{379, "business_reject_ref_id", asText},
	{380, "business_reject_reason", asText},
	{tagBeginSeqNo, "begin_seq_no", asNumber},
	{tagEndSeqNo, "end_seq_no", asNumber},
	{tagNewSeqNo, "new_seq_no", asNumber},
	{tagGapFill, "gap_fill", asFlag},
	{tagResetSeqNum, "reset_seq_num", asFlag},
	{tagHeartBtInt, "heartbeat_interval", asNumber},
	{tagUsername, "username", asText},
	{tagDefaultApplVerID, "default_appl_ver_id", asText},
	{1128, "appl_ver_id", asText},
}

var fieldOf = func() map[int]int {
	places := make(map[int]int, len(fields))
	for i, f := range fields {
		places[f.tag] = i
	}
	return places
}()

// The words that Tradetrail uses for FIX's codes; a code that is not here stays as
// it is.
var (
	sides = map[string]string{"1": "buy", "2": "sell", "5": "sell_short"}

	orderTypes = map[string]string{
		"1": "market", "2": "limit", "3": "stop", "4": "stop_limit", "5": "market_on_close", "P": "pegged",
	}

	timesInForce = map[string]string{
		"0": "day", "1": "gtc", "2": "opg", "3": "ioc", "4": "fok", "5": "gtx", "6": "gtd", "7": "at_the_close",
	}

	statuses = map[string]string{
		"0": string(domain.StatusNew), "1": string(domain.StatusPartiallyFilled), "2": string(domain.StatusFilled),
		"3": string(domain.StatusDoneForDay), "4": string(domain.StatusCanceled), "6": string(domain.StatusPendingCancel),
		"7": string(domain.StatusStopped), "8": string(domain.StatusRejected), "9": string(domain.StatusSuspended),
		"A": string(domain.StatusPendingNew), "B": string(domain.StatusCalculated), "C": string(domain.StatusExpired),
		"E": string(domain.StatusPendingReplace),
	}
)
