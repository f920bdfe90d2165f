package casework_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/internal/authz"
	"github.com/tradetrail/tradetrail/internal/casework"
	"github.com/tradetrail/tradetrail/projections/views"
)

var at = time.Date(2026, 3, 2, 15, 0, 0, 0, time.UTC)

// book is a log of one anomaly and the read model of it. What others do in the same
// moment comes between an act's look and its record.
type book struct {
	events  []*domain.Event
	between []*domain.Event
	broken  error // of recording
	lost    error // of awaiting
}

func newBook() *book {
	return &book{events: []*domain.Event{{ID: "found", Type: domain.AnomalyDetected, EntityType: domain.KindAnomaly, EntityID: "F", CorrelationID: "corr"}}}
}

func (b *book) Anomaly(_ context.Context, id string) (views.AnomalyRecord, bool, error) {
	out := views.AnomalyRecord{Detected: domain.Located{Event: b.events[0]}}
	for _, e := range b.events {
		out.State.Apply(e)
	}
	return out, id == "F", nil
}

func (b *book) Await(context.Context, domain.Position) error { return b.lost }

func (b *book) OwnerEvents(context.Context, string, string, int64, int64) (views.Page[domain.Located], error) {
	page := views.Page[domain.Located]{Total: int64(len(b.events))}
	for _, e := range b.events {
		page.Items = append(page.Items, domain.Located{Event: e})
	}
	return page, nil
}

func (b *book) Record(ctx context.Context, source string, items []ingest.Item) ([]ingest.Receipt, error) {
	if who, _ := authz.From(ctx); who.Name != casework.Source || source != casework.Source {
		return nil, errors.New("only the desk may record acts")
	}
	b.events = append(b.events, b.between...)
	b.between = nil
	if b.broken != nil {
		return nil, b.broken
	}
	b.events = append(b.events, items[0].Event)
	return []ingest.Receipt{{EventID: items[0].Event.ID, Status: ingest.Recorded}}, nil
}

// notBob lets everybody judge but bob.
type notBob struct{}

func (notBob) Decide(_ context.Context, p authz.Principal, do authz.Action, on authz.Resource) error {
	if p.Name == "bob" || do != authz.Judge || on != (authz.Resource{Kind: "anomaly", ID: "F"}) {
		return authz.Denied(do, on)
	}
	return nil
}

func as(t *testing.T, name string) context.Context {
	t.Helper()
	return authz.With(t.Context(), authz.Principal{Name: name})
}

func open(b *book) *casework.Desk {
	return casework.NewDesk(b, b, notBob{}, func() time.Time { return at })
}

func act(kind domain.EventType, text string) casework.Act {
	return casework.Act{Anomaly: "F", Type: kind, Text: text}
}

func TestDesk_RecordsWhoAndWhat(t *testing.T) {
	for kind, want := range map[domain.EventType]string{
		domain.AnomalyAcknowledged: "", domain.AnomalyAssigned: `{"assignee":"x"}`, domain.AnomalyCommented: `{"comment":"x"}`, domain.AnomalyDismissed: `{"reason":"x"}`,
	} {
		b := newBook()
		text := "x"
		if want == "" {
			text = ""
		}
		done, err := open(b).Do(as(t, "ann"), act(kind, text))
		require.NoError(t, err)
		e := b.events[1]
		assert.Equal(t, done.Receipt.EventID, e.ID)
		assert.Equal(t, domain.Event{
			ID: e.ID, Type: kind, OccurredAt: at, SchemaVersion: domain.SchemaVersion, EntityType: "anomaly", EntityID: "F",
			Actor: "ann", UserID: "ann", CorrelationID: "corr", CausationID: "found", Data: e.Data,
		}, *e)
		assert.Equal(t, want, string(e.Data))
	}
}

func TestDesk_Denies(t *testing.T) {
	b := newBook()
	for name, ctx := range map[string]context.Context{"bob": as(t, "bob"), "nobody": t.Context()} {
		_, err := open(b).Do(ctx, act(domain.AnomalyDismissed, "mine"))
		assert.Equal(t, domain.ClassDenied, domain.ClassOf(err), name)
	}
	other := act(domain.AnomalyCommented, "x")
	other.Anomaly = "G"
	_, err := open(b).Do(as(t, "ann"), other)
	assert.Equal(t, domain.ClassDenied, domain.ClassOf(err))
	assert.Len(t, b.events, 1)
}

// Somebody else acts between the look and the record: the log decides, both events
// stay, and whoever had no effect is told who had.
func TestDesk_Overtaken(t *testing.T) {
	by := func(kind domain.EventType) *domain.Event {
		return &domain.Event{ID: "theirs", Type: kind, EntityType: "anomaly", EntityID: "F", Actor: "eve", Data: []byte(`{"assignee":"eve","reason":"r"}`)}
	}
	for _, c := range []struct {
		name         string
		theirs, ours domain.EventType
		code         string
	}{
		{"both dismiss", domain.AnomalyDismissed, domain.AnomalyDismissed, casework.CodeDismissed},
		{"both acknowledge", domain.AnomalyAcknowledged, domain.AnomalyAcknowledged, casework.CodeAcknowledged},
		{"dismissed before it is acknowledged", domain.AnomalyDismissed, domain.AnomalyAcknowledged, casework.CodeDismissed},
		{"dismissed before it is assigned", domain.AnomalyDismissed, domain.AnomalyAssigned, casework.CodeDismissed},
		{"dismissed before it is commented", domain.AnomalyDismissed, domain.AnomalyCommented, ""},
		{"both assign", domain.AnomalyAssigned, domain.AnomalyAssigned, ""},
		{"acknowledged before it is dismissed", domain.AnomalyAcknowledged, domain.AnomalyDismissed, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBook()
			b.between = []*domain.Event{by(c.theirs)}
			text := "ours"
			if c.ours == domain.AnomalyAcknowledged {
				text = ""
			}
			_, err := open(b).Do(as(t, "ann"), act(c.ours, text))
			assert.Len(t, b.events, 3)
			if c.code == "" {
				require.NoError(t, err)
				return
			}
			var told *domain.Error
			require.ErrorAs(t, err, &told)
			assert.Equal(t, [2]any{domain.ClassConflict, c.code}, [2]any{told.Class, told.Code})
			assert.Contains(t, told.Message, "eve")
		})
	}
}

// Whoever does not know what became of an act sends it again, and it is one.
func TestDesk_SentAgain(t *testing.T) {
	for _, kind := range domain.AnomalyActs() {
		b := newBook()
		again := act(kind, "x")
		if kind == domain.AnomalyAcknowledged {
			again.Text = ""
		}
		again.EventID = "mine"
		b.lost = &domain.Error{Class: domain.ClassTransient, Code: "views_unavailable"}
		_, err := open(b).Do(as(t, "ann"), again)
		assert.Equal(t, domain.ClassTransient, domain.ClassOf(err))
		b.lost = nil
		done, err := open(b).Do(as(t, "ann"), again)
		require.NoError(t, err)
		assert.Equal(t, ingest.Duplicate, done.Receipt.Status)
		assert.Len(t, b.events, 2)
		_, err = open(b).Do(as(t, "carl"), again) // it is somebody else's
		assert.Equal(t, domain.ClassRejected, domain.ClassOf(err))
		assert.Len(t, b.events, 2)
	}
}

func TestDesk_Refuses(t *testing.T) {
	for name, a := range map[string]casework.Act{
		"another event":           act(domain.OrderFilled, ""),
		"no text":                 act(domain.AnomalyCommented, "\u2003"),
		"a long one":              act(domain.AnomalyCommented, strings.Repeat("x", casework.MaxText+1)),
		"what is no text":         act(domain.AnomalyCommented, "\xff"),
		"nobody":                  act(domain.AnomalyAssigned, ""),
		"a long name":             act(domain.AnomalyAssigned, strings.Repeat("x", casework.MaxAssignee+1)),
		"words where none belong": act(domain.AnomalyAcknowledged, "hello"),
	} {
		b := newBook()
		_, err := open(b).Do(as(t, "ann"), a)
		assert.Equal(t, domain.ClassRejected, domain.ClassOf(err), name)
		assert.Len(t, b.events, 1, name)
	}
	b := newBook()
	_, err := open(b).Do(as(t, "ann"), act(domain.AnomalyCommented, strings.Repeat("x", casework.MaxText)))
	require.NoError(t, err)
	b.broken = &domain.Error{Class: domain.ClassTransient, Code: "store_unavailable"}
	_, err = open(b).Do(as(t, "ann"), act(domain.AnomalyCommented, "x"))
	assert.Equal(t, domain.ClassTransient, domain.ClassOf(err))
}
