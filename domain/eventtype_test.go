package domain_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
)

// A name in storage is for ever: this list only grows, at any place.
func TestEventTypes_AreFrozen(t *testing.T) {
	var names strings.Builder
	for _, name := range domain.EventTypes() {
		fmt.Fprintf(&names, "%s %s\n", name, name.Stage())
	}
	golden(t, "event-types.golden.txt", []byte(names.String()))
}

func TestEventTypes_AreDottedKnownAndUnique(t *testing.T) {
	seen := map[domain.EventType]bool{}
	for _, name := range domain.EventTypes() {
		assert.Regexp(t, `^[a-z_]+\.[a-z_]+$`, string(name))
		assert.True(t, name.Known())
		assert.False(t, seen[name], name)
		seen[name] = true
	}
	for _, name := range []domain.EventType{"", "order", "order.", "order.Filled", "order.filled ", "order_filled"} {
		assert.False(t, name.Known(), "%q", name)
	}
}

// Every type that Tradetrail knows is a step of a chain, or is listed here as
// something that happens beside chains.
func TestEventTypes_HaveAStage(t *testing.T) {
	beside := []domain.EventType{
		domain.TradingModeChanged, domain.CircuitBreakerTriggered, domain.ConfigChanged, domain.UserLoggedIn, domain.UserAction,
		domain.AnomalyDetected, domain.AnomalyAcknowledged, domain.AnomalyAssigned, domain.AnomalyCommented, domain.AnomalyDismissed,
		domain.SessionLogon, domain.SessionLogout, domain.SessionRejected, domain.SessionBusinessRejected,
		domain.SessionResendRequested, domain.SessionSequenceReset, domain.SessionDisconnected, domain.SessionGapDetected,
		domain.SessionGapFilled, domain.InputQuarantined, domain.ReportGenerated, domain.IntegrityDoubted, domain.IntegrityCertified,
		domain.AllocationInstructed, domain.AllocationAcknowledged, domain.AllocationReported,
	}
	for _, name := range domain.EventTypes() {
		assert.Equal(t, slices.Contains(beside, name), name.Stage() == domain.StageOther, name)
	}
	assert.Equal(t, domain.StageOther, domain.EventType("").Stage())
	assert.Equal(t, domain.StageOrder, domain.EventType("order.teleported").Stage(), "an unknown type of a known family has its place")
}

// Aliases are the contract with systems that speak already: one that goes would
// turn their events into unknown ones.
func TestAliases_AreFrozen(t *testing.T) {
	var list strings.Builder
	for _, alias := range domain.Aliases() {
		e := normalise(t, `{"event_type":"`+alias+`","timestamp":1}`)
		assert.True(t, e.Type.Known(), alias)
		fmt.Fprintf(&list, "%s -> %s\n", alias, e.Type)
	}
	golden(t, "aliases.golden.txt", []byte(list.String()))
}

func TestAliases_NeverHideACanonicalName(t *testing.T) {
	for _, name := range domain.EventTypes() {
		e := normalise(t, `{"event_type":"`+string(name)+`","timestamp":1}`)
		assert.Equal(t, name, e.Type)
	}
}

// Each row of the flat and minimal shapes' tables.
func TestAliases_OfTheInputShapes(t *testing.T) {
	for alias, want := range map[string]domain.EventType{
		"signal_computed":           domain.SignalComputed,
		"order_submitted":           domain.OrderSubmitted,
		"order_filled":              domain.OrderFilled,
		"order_partial_fill":        domain.OrderPartiallyFilled,
		"order_cancelled":           domain.OrderCancelled,
		"order_rejected":            domain.OrderRejected,
		"circuit_breaker_triggered": domain.CircuitBreakerTriggered,
		"config_changed":            domain.ConfigChanged,
		"user_login":                domain.UserLoggedIn,
		"user_action":               domain.UserAction,
		"execution":                 domain.OrderFilled,
		"order":                     domain.OrderSubmitted,
		"cancellation":              domain.OrderCancelled,
		"signal":                    domain.SignalComputed,
		"risk_control":              domain.RiskEvaluated,
		"anomaly":                   domain.AnomalyDetected,
	} {
		e := normalise(t, `{"event_type":"`+alias+`","timestamp":1}`)
		assert.Equal(t, want, e.Type, alias)
		require.Contains(t, domain.Aliases(), alias)
	}
}

func TestResolveTypes_AreWhatTheDoorRecords(t *testing.T) {
	for name, want := range map[string][]domain.EventType{
		"order.filled":     {domain.OrderFilled},
		"execution":        {domain.OrderFilled},
		"order_canceled":   {domain.OrderCancelled},
		"position_changed": {domain.PositionOpened, domain.PositionUpdated, domain.PositionClosed},
		"somebody's own":   {"somebody's own"},
	} {
		assert.Equal(t, want, domain.ResolveTypes(name), name)
	}
}
