package rest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/filter"
	"github.com/tradetrail/tradetrail/projections/views"
)

// liveSubjects are the parameters that say what a live feed is about.
func liveSubjects() []string {
	return []string{"account", "user", "strategy", "order", "instrument", "entity"}
}

func liveParameters() []string { return append(liveSubjects(), "after", "not_older_than") }

const (
	// reconnectAfter is what clients are told to wait before they come back, in
	// milliseconds.
	reconnectAfter = 1000
	// liveAhead is how many events are read while the ones before are being written.
	liveAhead = 64
	// liveBatch is how many bytes are written at once while a feed catches up.
	liveBatch = 32 << 10
)

// live is GET /audit/live: the events of one account, user, strategy, order,
// instrument or other entity as server-sent events, those after a position and those
// to come, each once, in the order of the log. Each carries its position as its id,
// which a client sends as Last-Event-ID when it comes back: nothing is missing then,
// and nothing comes twice.
func (a *Audit) live(w http.ResponseWriter, r *http.Request, q query) error {
	if _, err := negotiate(r, mediaEvents); err != nil {
		return err
	}
	s, err := subjectOf(q)
	if err != nil {
		return err
	}
	after, err := afterOf(r, q)
	if err != nil {
		return err
	}
	if err := needsHTTP11(r); err != nil {
		return err
	}
	leave, err := a.feeds.take(r.Context())
	if err != nil {
		return err
	}
	defer leave()
	if after == nil {
		// Who comes back before the first event must find a place to go on from.
		if after, err = a.standing(r.Context(), s); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	events, err := s.follow(ctx, a.views, after)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", mediaEvents)
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	f := feed{out: w, control: http.NewResponseController(w), now: a.views.Now, seals: a.seals}
	f.open(after)
	next := listen(ctx, events)
	err = f.run(ctx, next, a.limits.KeepAlive)
	cancel()
	for range next { // the reader ends
	}
	if err != nil && r.Context().Err() == nil {
		a.log.InfoContext(r.Context(), "a live feed was cut off", slog.Any("error", err))
		panic(http.ErrAbortHandler)
	}
	return nil
}

// standing is where the read models stand. While they catch up it waits for them, as
// long as for anything that must be fresh.
func (a *Audit) standing(ctx context.Context, s subject) (*domain.Position, error) {
	var found views.Found
	look := func(ctx context.Context) (err error) {
		found, err = a.views.Search(ctx, views.Query{Filter: s.filter, Backwards: true, Limit: 1})
		return err
	}
	err := a.inTurn(ctx, look)
	if domain.ClassOf(err) == domain.ClassTransient {
		if err := a.await(ctx, domain.Position{}); err != nil {
			return nil, err
		}
		err = a.inTurn(ctx, look)
	}
	if err != nil {
		return nil, err
	}
	return &found.UpTo, nil
}

// subject is what a live feed is about.
type subject struct {
	filter filter.Filter // that finds its events
	follow func(ctx context.Context, v Views, after *domain.Position) (iter.Seq2[domain.Located, error], error)
}

func subjectOf(q query) (subject, error) {
	var given []string
	for _, name := range liveSubjects() {
		if q.text(name) != "" {
			given = append(given, name)
		}
	}
	if len(given) != 1 {
		return subject{}, domain.Rejectf(domain.CodeInvalid, strings.Join(given, ","), "a live feed is about exactly one of %s", strings.Join(liveSubjects(), ", "))
	}
	name, id := given[0], q.text(given[0])
	if values := q.list(name); len(values) > 1 {
		return subject{}, domain.Rejectf(domain.CodeInvalid, name, "is given %d times", len(values))
	}
	if name == "entity" {
		var ok bool
		if name, id, ok = strings.Cut(id, ":"); !ok || name == "" || id == "" {
			return subject{}, domain.Rejectf(domain.CodeInvalid, "entity", "must be TYPE:ID, such as venue:NASDAQ")
		}
	}
	ids := []string{id}
	owner := func(kind string, f filter.Filter) subject {
		return subject{f, func(ctx context.Context, v Views, after *domain.Position) (iter.Seq2[domain.Located, error], error) {
			return v.FollowOwner(ctx, kind, id, after)
		}}
	}
	switch name {
	case "account":
		return owner(views.Accounts, filter.Filter{Accounts: ids}), nil
	case "user":
		return owner(views.Users, filter.Filter{Users: ids}), nil
	case "strategy":
		return owner(views.Strategies, filter.Filter{Strategies: ids}), nil
	case "instrument":
		return owner(views.Instruments, filter.Filter{Tickers: ids}), nil
	case "order":
		return subject{filter.Filter{Orders: ids}, func(ctx context.Context, v Views, after *domain.Position) (iter.Seq2[domain.Located, error], error) {
			return v.FollowChain(ctx, id, after)
		}}, nil
	default:
		kind, key := views.Entity(name, id)
		id = key
		return owner(kind, filter.Filter{EntityType: name, EntityID: ids[0]}), nil
	}
}

// afterOf is where a client wants to go on. What it has seen last counts more than
// the address that it began with, which browsers use again.
func afterOf(r *http.Request, q query) (*domain.Position, error) {
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		p, err := parseCursor("Last-Event-ID", last)
		return &p, err
	}
	p, ok, err := q.position("after")
	if err != nil || !ok {
		return nil, err
	}
	return &p, nil
}

// news is what a live reader yields.
type news struct {
	event domain.Located
	err   error
}

// listen reads ahead of the client, by a bounded number of events. What it returns is
// closed when ctx has ended, or after an error.
func listen(ctx context.Context, events iter.Seq2[domain.Located, error]) <-chan news {
	out := make(chan news, liveAhead)
	go func() {
		defer close(out)
		defer func() {
			if p := recover(); p != nil { // nobody else would keep it from ending the process
				select {
				case out <- news{err: fmt.Errorf("reading for a live feed: panic: %v", p)}:
				case <-ctx.Done():
				}
			}
		}()
		for e, err := range events {
			select {
			case out <- news{e, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// feed writes server-sent events.
type feed struct {
	out     io.Writer
	control *http.ResponseController
	now     func() time.Time
	batch   []byte
	seals   Seals
}

// open tells the client where the feed begins.
func (f *feed) open(after *domain.Position) {
	f.batch = fmt.Appendf(f.batch, "retry: %d\nid: %s\nevent: open\ndata: {}\n\n", reconnectAfter, after)
}

// run writes what comes until ctx ends; an error is the client's fault, or ours to
// tell it of by cutting it off.
func (f *feed) run(ctx context.Context, next <-chan news, keepAlive time.Duration) error {
	alive := time.NewTicker(keepAlive)
	defer alive.Stop()
	for {
		if err := f.send(); err != nil {
			return err
		}
		select {
		case n, ok := <-next:
			for more := ok; more; {
				if err := f.add(n); err != nil {
					return err
				}
				if len(f.batch) >= liveBatch {
					break
				}
				select { // what has come meanwhile goes along
				case n, ok = <-next:
					more = ok
				default:
					more = false
				}
			}
			if !ok {
				return f.bye()
			}
		case <-alive.C:
			f.batch = append(f.batch, ": alive\n\n"...)
		case <-ctx.Done():
			return f.bye()
		}
	}
}

// add puts an event into the batch. With an error the feed is cut off: the client
// comes back with its last position.
func (f *feed) add(n news) error {
	if n.err != nil {
		return n.err
	}
	state, _ := f.seals.State()
	e := entryOf(n.event, state)
	text, err := e.appendJSON(nil)
	if err != nil {
		return fmt.Errorf("encoding the event at %s: %w", e.Position, err)
	}
	f.batch = fmt.Appendf(f.batch, "id: %s\nevent: event\ndata: %s\n\n", e.Position, text)
	return nil
}

func (f *feed) send() error {
	if _, err := f.out.Write(f.batch); err != nil {
		return err
	}
	f.batch = f.batch[:0]
	return f.control.Flush()
}

// bye is the last message: the server stops, and the client should come back.
func (f *feed) bye() error {
	f.batch = fmt.Appendf(f.batch, "retry: %d\nevent: bye\ndata: {}\n\n", reconnectAfter)
	if err := f.control.SetWriteDeadline(f.now().Add(byePatience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return f.send()
}

// byePatience is how long a client may take to read the last message; the stop waits
// for it.
const byePatience = time.Second
