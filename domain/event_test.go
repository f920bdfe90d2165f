package domain_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
)

// full is an event with a value in every field, so that a field which is left out
// somewhere shows.
func full() *domain.Event {
	moment := time.Date(2026, 3, 2, 14, 30, 5, 123456789, time.UTC)
	return &domain.Event{
		ID: "evt_1", Type: domain.OrderFilled, OccurredAt: moment, RecordedAt: moment.Add(time.Millisecond),
		EntityType: "order", EntityID: "o1",
		OrderID: "o1", ClientOrderID: "c1", BrokerOrderID: "b1", ParentOrderID: "p1",
		AccountID: "a1", UserID: "u1", StrategyID: "s1", Ticker: "MSFT",
		RecommendationID: "r1", ComputationID: "k1", EvaluationID: "e1", ApprovalID: "v1", SessionID: "ss1",
		Environment: "production", Version: "1.4.0", Actor: "broker_service", Source: "http",
		Path:          []domain.Hop{{Hop: "gateway", In: moment, Out: moment.Add(time.Microsecond)}},
		CorrelationID: "corr", CausationID: "cause",
		Clock:         &domain.Clock{SourceID: "gps", Sync: "PTP_LOCKED", OffsetNs: -40, MaxErrorNs: 100},
		SchemaVersion: domain.SchemaVersion,
		Data:          jsontext.Value(`{"quantity":"100","price":"412.50"}`),
		Raw:           []byte{0, 1, 0xff},
	}
}

// The canonical JSON is the stored payload: it may gain fields, it may not lose,
// rename or reorder them.
func TestEvent_EncodeIsFrozen(t *testing.T) {
	encoded, err := full().Encode()
	require.NoError(t, err)
	golden(t, "event.golden.json", append(encoded, '\n'))

	decoded, err := domain.Decode(encoded)
	require.NoError(t, err)
	assert.Equal(t, full(), decoded)
}

func TestEvent_EncodeLeavesOutWhatIsNotThere(t *testing.T) {
	encoded, err := (&domain.Event{Type: "x", OccurredAt: time.Unix(0, 0).UTC(), SchemaVersion: 1}).Encode()
	require.NoError(t, err)
	assert.Equal(t, `{"event_type":"x","occurred_at":"1970-01-01T00:00:00Z","schema_version":1}`, string(encoded))
}

func TestDecode_ReadsWhateverWasRecorded(t *testing.T) {
	t.Run("fields of later versions are skipped", func(t *testing.T) {
		e, err := domain.Decode([]byte(`{"event_type":"x","occurred_at":"2026-03-02T14:30:05Z","mood":{"good":true},"schema_version":7}`))
		require.NoError(t, err)
		assert.Equal(t, 7, e.SchemaVersion)
	})
	t.Run("what Normalise would refuse is not judged", func(t *testing.T) {
		e, err := domain.Decode([]byte(`{"event_type":"order.filled","order_id":" \u0000","data":{"quantity":"NaN"}}`))
		require.NoError(t, err)
		assert.Equal(t, " \x00", e.OrderID)
		assert.Equal(t, `{"quantity":"NaN"}`, string(e.Data))
	})
	for name, input := range map[string]string{
		"nothing": "", "null": "null", "no object": "[]", "cut off": `{"event_type":"x"`, "no type": `{"occurred_at":"2026-03-02T14:30:05Z"}`,
		"wrong type": `{"event_type":1}`, "no time": `{"event_type":"x","occurred_at":"today"}`, "two events": `{"event_type":"x"}{"event_type":"y"}`,
		"invalid UTF-8": "{\"event_type\":\"\xff\"}", "duplicate name": `{"event_type":"x","event_type":"x"}`,
	} {
		t.Run(name, func(t *testing.T) {
			e, err := domain.Decode([]byte(input))
			assert.Nil(t, e)
			require.Error(t, err)
			assert.Equal(t, domain.ClassRejected, domain.ClassOf(err))
		})
	}
}

func TestEvent_DigestIsOfWhatTheSourceSaid(t *testing.T) {
	want, err := full().Digest()
	require.NoError(t, err)

	for name, change := range map[string]func(*domain.Event){
		"recorded_at": func(e *domain.Event) { e.RecordedAt = e.RecordedAt.Add(time.Hour) },
		"source":      func(e *domain.Event) { e.Source = "kafka" },
		"path":        func(e *domain.Event) { e.Path = append(e.Path, domain.Hop{Hop: "b"}) },
	} {
		e := full()
		change(e)
		got, err := e.Digest()
		require.NoError(t, err)
		assert.Equal(t, want, got, "%s is the door's and the way's", name)
		assert.NotEqual(t, full(), e, "Digest must not change the event it reads")
	}
	for name, change := range map[string]func(*domain.Event){
		"event_id":    func(e *domain.Event) { e.ID += "x" },
		"event_type":  func(e *domain.Event) { e.Type = domain.OrderPartiallyFilled },
		"occurred_at": func(e *domain.Event) { e.OccurredAt = e.OccurredAt.Add(1) },
		"order_id":    func(e *domain.Event) { e.OrderID += "x" },
		"actor":       func(e *domain.Event) { e.Actor = "" },
		"clock":       func(e *domain.Event) { e.Clock = nil },
		"data":        func(e *domain.Event) { e.Data = jsontext.Value(`{"quantity":"100.0","price":"412.50"}`) },
		"raw":         func(e *domain.Event) { e.Raw = e.Raw[:2] },
	} {
		e := full()
		change(e)
		got, err := e.Digest()
		require.NoError(t, err)
		assert.NotEqual(t, want, got, name)
	}

	encoded, err := func() ([]byte, error) {
		e := full()
		e.RecordedAt, e.Source, e.Path = time.Time{}, "", nil
		return e.Encode()
	}()
	require.NoError(t, err)
	sum := sha256.Sum256(encoded)
	assert.Equal(t, hex.EncodeToString(sum[:]), hex.EncodeToString(want[:]))

	_, err = (&domain.Event{Type: "x", Actor: "\xff"}).Digest()
	require.Error(t, err, "an event that has no JSON has no digest")
}

func TestEvent_Refs(t *testing.T) {
	assert.Empty(t, (&domain.Event{OrderID: "o", AccountID: "a"}).Refs())
	assert.Equal(t, []domain.Ref{
		{Kind: domain.KindRecommendation, ID: "r1"},
		{Kind: domain.KindComputation, ID: "k1"},
		{Kind: domain.KindEvaluation, ID: "e1"},
		{Kind: domain.KindApproval, ID: "v1"},
	}, full().Refs())
	assert.Equal(t, []domain.Ref{{Kind: domain.KindEvaluation, ID: "e"}}, (&domain.Event{EvaluationID: "e"}).Refs())
}

// Stream names are storage: an event whose stream changes is recorded twice.
func TestEvent_StreamOfEveryFamily(t *testing.T) {
	everything := func(t domain.EventType) domain.Event {
		e := *full()
		e.Type, e.EntityType, e.EntityID = t, "thing", "t1"
		return e
	}
	without := func(e domain.Event, fields ...string) domain.Event {
		for _, f := range fields {
			switch f {
			case "order":
				e.OrderID = ""
			case "entity":
				e.EntityType, e.EntityID = "", ""
			case "refs":
				e.RecommendationID, e.ComputationID, e.EvaluationID, e.ApprovalID = "", "", "", ""
			case "account":
				e.AccountID = ""
			case "strategy":
				e.StrategyID = ""
			case "user":
				e.UserID = ""
			case "session":
				e.SessionID = ""
			case "environment":
				e.Environment = ""
			case "ticker":
				e.Ticker = ""
			default:
				panic(f)
			}
		}
		return e
	}
	for _, known := range domain.EventTypes() {
		e := everything(known)
		assert.Equal(t, "order-o1", e.Stream(), "%s: an order's history is one stream", known)
	}
	tests := []struct {
		event domain.Event
		want  string
	}{
		{without(everything(domain.SignalComputed), "order"), "computation-k1"},
		{domain.Event{Type: domain.SignalComputed, RecommendationID: "r", AccountID: "a"}, "recommendation-r"},
		{without(everything(domain.SignalComputed), "order", "refs"), "account-a1"},
		{without(everything(domain.RecommendationGenerated), "order"), "recommendation-r1"},
		{without(everything(domain.RecommendationSuppressed), "order", "refs", "account"), "strategy-s1"},
		{without(everything(domain.RiskEvaluated), "order"), "evaluation-e1"},
		{domain.Event{Type: domain.RiskRejected, RecommendationID: "r", AccountID: "a"}, "recommendation-r"},
		{without(everything(domain.ApprovalRequested), "order"), "approval-v1"},
		{domain.Event{Type: domain.ApprovalExpired, RecommendationID: "r", AccountID: "a"}, "recommendation-r"},
		{without(everything(domain.OrderRejected), "order"), "account-a1"},
		{without(everything(domain.TradeReported), "order", "account"), "strategy-s1"},
		{without(everything(domain.PositionUpdated), "order"), "account-a1"},
		{without(everything(domain.UserAction), "order"), "user-u1"},
		{without(everything(domain.UserLoggedIn), "order", "user"), "account-a1"},
		{without(everything(domain.ConfigChanged), "order"), "config-t1"},
		{without(everything(domain.ConfigChanged), "order", "entity"), "config-production"},
		{without(everything(domain.ConfigChanged), "order", "entity", "environment"), "config-global"},
		{without(everything(domain.SessionLogon), "order"), "session-ss1"},
		{without(everything(domain.SessionLogout), "order", "session"), "account-a1"},
		{without(everything(domain.TradingModeChanged), "order"), "config-t1"},
		{without(everything(domain.TradingModeChanged), "order", "entity"), "account-a1"},
		{without(everything(domain.TradingModeChanged), "order", "entity", "account"), "strategy-s1"},
		{without(everything(domain.TradingModeChanged), "order", "entity", "account", "strategy"), "config-global"},
		{domain.Event{Type: domain.TradingModeChanged, EntityType: "account", EntityID: "a", AccountID: "a"}, "account-a"},
		{domain.Event{Type: domain.TradingModeChanged, EntityType: "strategy", EntityID: "s", StrategyID: "s"}, "strategy-s"},
		{without(everything(domain.CircuitBreakerTriggered), "order"), "account-a1"},
		{without(everything(domain.AnomalyDetected), "order", "account", "strategy"), "user-u1"},
		{without(everything(domain.InputQuarantined), "order"), "quarantine-t1"},
		{without(everything("no.such"), "order"), "account-a1"},
		{without(everything("no.such"), "order", "account", "strategy", "user"), "recommendation-r1"},
		{domain.Event{Type: "x", EvaluationID: "e", ApprovalID: "v", ComputationID: "k"}, "evaluation-e"},
		{domain.Event{Type: "x", ApprovalID: "v", ComputationID: "k"}, "approval-v"},
		{domain.Event{Type: "x", ComputationID: "k", SessionID: "ss"}, "computation-k"},
		{without(everything("x"), "order", "account", "strategy", "user", "refs"), "session-ss1"},
		{without(everything("x"), "order", "account", "strategy", "user", "refs", "session"), "entity-t1"},
		{without(everything("x"), "order", "account", "strategy", "user", "refs", "session", "entity"), "instrument-MSFT"},
		{domain.Event{Type: "x", EntityType: "instrument", EntityID: "MSFT", Ticker: "MSFT"}, "instrument-MSFT"},
		{domain.Event{Type: "x", EntityType: "account", EntityID: "a"}, "entity-a"}, // made without Normalise
		{without(everything("x"), "order", "account", "strategy", "user", "refs", "session", "entity", "ticker"), "event-unlinked"},
		{domain.Event{}, "event-unlinked"},
	}
	for i, tt := range tests {
		assert.Equal(t, tt.want, tt.event.Stream(), "%d: %s", i, tt.event.Type)
		assert.False(t, strings.HasPrefix(tt.event.Stream(), "$"), "such streams are the store's own")
	}
}

// Ids in the store are storage: other values would record every redelivered event
// a second time.
func TestStoreID_IsFrozen(t *testing.T) {
	for id, want := range map[string]string{
		"evt_7f21":                               "6e89daba-e5e8-54b5-bb11-d3c128d9be7f",
		"":                                       "4a7945eb-0d78-557d-ac71-d48dd1b1cb41",
		"6b0f6a0e-5f0a-4a53-9f2c-0d5f3a7c1001":   "6b0f6a0e-5f0a-4a53-9f2c-0d5f3a7c1001",
		"6B0F6A0E-5F0A-4A53-9F2C-0D5F3A7C1001":   "6b0f6a0e-5f0a-4a53-9f2c-0d5f3a7c1001",
		"{6b0f6a0e-5f0a-4a53-9f2c-0d5f3a7c1001}": "32d51f32-d601-5599-bdaa-0e7089741e46",
		"urn:uuid:6b0f6a0e-5f0a-4a53-9f2c-0d5f3a7c1001": "05f309c9-0c00-56fc-b8da-0634ae54ee2d",
		"6b0f6a0e5f0a4a539f2c0d5f3a7c1001":              "7debbae9-6967-53e2-8e7f-cdc76caa730f",
		"zb0f6a0e-5f0a-4a53-9f2c-0d5f3a7c1001":          "c72a1596-2225-5f7c-849b-7dd8a909424c",
		"00000000-0000-0000-0000-000000000000":          "7f1e2481-1d77-5be8-b471-5c690a518ce3",
	} {
		assert.Equal(t, want, (&domain.Event{ID: id}).StoreID().String(), "%q", id)
	}
}

func TestDeriveID_IsFrozen(t *testing.T) {
	assert.Equal(t, "d573a937-c8d0-53f4-a4dd-9918a23514c6", domain.DeriveID("kafka:orders", "3", "1042"))
	id := domain.DeriveID("fix:BROKER->DESK", "2026-03-02", "exec-88")
	assert.Equal(t, id, (&domain.Event{ID: id}).StoreID().String(), "a derived id is the store's id as it is")
}

func TestDeriveID_DifferentPlacesNeverMeet(t *testing.T) {
	seen := map[string][3]string{}
	parts := []string{"", "a", "b", "ab", "a\x00b", "\x00", "1:a", "1", ":", "0:"}
	for _, a := range parts {
		for _, b := range parts {
			for _, c := range parts {
				id := domain.DeriveID(a, b, c)
				if other, ok := seen[id]; ok {
					t.Fatalf("%q and %q have one id", other, [3]string{a, b, c})
				}
				seen[id] = [3]string{a, b, c}
			}
		}
	}
}

func TestError(t *testing.T) {
	cause := errors.New("cause")
	err := fmt.Errorf("reading line 3: %w", &domain.Error{Class: domain.ClassTransient, Code: "x", Field: "f", Message: "m", Err: cause})
	assert.Equal(t, "reading line 3: f: m: cause", err.Error())
	assert.Equal(t, domain.ClassTransient, domain.ClassOf(err))
	require.ErrorIs(t, err, cause)
	assert.Equal(t, domain.ClassUnknown, domain.ClassOf(cause))
	assert.Equal(t, domain.ClassUnknown, domain.ClassOf(nil))
	assert.Equal(t, "m", (&domain.Error{Message: "m"}).Error())

	var names []string
	for c := domain.ClassUnknown; c <= domain.ClassDenied+1; c++ {
		names = append(names, c.String())
	}
	assert.Equal(t, []string{"unknown", "rejected", "not_found", "conflict", "transient", "integrity", "denied", "unknown"}, names)
}
