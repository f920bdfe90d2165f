package simulator

import (
	"cmp"
	"container/heap"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/tradetrail/tradetrail/domain"
)

// Config shapes the day. The zero value is a day of some 2,000 events.
type Config struct {
	Seed      uint64
	Start     time.Time     // opening of the market; zero: Monday, 2026-03-02, 14:30 UTC
	Length    time.Duration // from the opening to the close; zero: six and a half hours
	Decisions int           // recommendations, each of which may become an order; zero: 220
}

// Simulator tells one day. It is not safe for concurrent use.
type Simulator struct {
	partition string // of the event ids: all of Config, so no two days share an id
	tag       string // the same for ids that people read
	date      string
	closing   time.Time

	random *rand.Rand
	now    time.Time
	agenda agenda
	told   []domain.Event // by the task that ran last
	events int            // told so far

	market    market
	deck      deck
	positions positions
	halted    map[string]bool // strategies behind a tripped circuit breaker

	signals, decisions, fills int // for their ids
}

// New prepares a day.
func New(cfg Config) *Simulator {
	if cfg.Start.IsZero() {
		cfg.Start = time.Date(2026, 3, 2, 14, 30, 0, 0, time.UTC)
	}
	cfg.Start = cfg.Start.UTC()
	cfg.Length = cmp.Or(cfg.Length, 6*time.Hour+30*time.Minute)
	cfg.Decisions = cmp.Or(cfg.Decisions, 220)
	partition := fmt.Sprintf("%d|%s|%s|%d", cfg.Seed, cfg.Start.Format(time.RFC3339Nano), cfg.Length, cfg.Decisions)
	s := &Simulator{
		partition: partition,
		tag:       domain.DeriveID("simulator", partition, "")[:6],
		date:      cfg.Start.Format("20060102"),
		closing:   cfg.Start.Add(cfg.Length),
		//nolint:gosec // a day must be repeatable; nothing here is a secret
		random: rand.New(rand.NewPCG(cfg.Seed, 0x7472616465)),
		market: newMarket(),
		halted: map[string]bool{},
	}
	s.scheduleMarket(cfg.Start)
	s.scheduleDesk(cfg.Start, cfg.Length)
	s.scheduleSignals(cfg.Start, cfg.Length, cfg.Decisions)
	return s
}

// Next returns the next event of the day, in the order of their times; false
// after the last one. Source and RecordedAt are the recorder's to set.
func (s *Simulator) Next() (domain.Event, bool) {
	for len(s.told) == 0 {
		if s.agenda.Len() == 0 {
			return domain.Event{}, false
		}
		next := s.agenda.pop()
		s.now = next.at
		next.do()
	}
	e := s.told[0]
	s.told = s.told[1:]
	return e, true
}

// at puts a task on the agenda. Tasks of the same moment run in the order in
// which they were put there.
func (s *Simulator) at(at time.Time, do func()) {
	s.agenda.added++
	heap.Push(&s.agenda, task{at: at, added: s.agenda.added, do: do})
}

func (s *Simulator) after(d time.Duration, do func()) { s.at(s.now.Add(d), do) }

// tell emits an event that happens now, with data of name, value pairs, and
// returns its id.
func (s *Simulator) tell(e domain.Event, pairs ...any) string {
	s.events++
	e.ID = domain.DeriveID("simulator", s.partition, strconv.Itoa(s.events))
	e.OccurredAt = s.now
	e.SchemaVersion = domain.SchemaVersion
	e.Environment, e.Version = "production", "2.3.1"
	e.Data = object(pairs...)
	s.told = append(s.told, e)
	return e.ID
}

// id makes an id that people read, and no other day has: ord-3fa9c1-0042.
func (s *Simulator) id(kind string, n int) string { return fmt.Sprintf("%s-%s-%04d", kind, s.tag, n) }

type task struct {
	at    time.Time
	added int
	do    func()
}

// agenda is what is going to happen, earliest first.
type agenda struct {
	tasks []task
	added int
}

func (a *agenda) pop() task {
	next, ok := heap.Pop(a).(task)
	if !ok {
		panic("simulator: the agenda holds tasks only")
	}
	return next
}

// Len implements heap.Interface.
func (a *agenda) Len() int { return len(a.tasks) }

// Less implements heap.Interface.
func (a *agenda) Less(i, j int) bool {
	return cmp.Or(a.tasks[i].at.Compare(a.tasks[j].at), cmp.Compare(a.tasks[i].added, a.tasks[j].added)) < 0
}

// Swap implements heap.Interface.
func (a *agenda) Swap(i, j int) { a.tasks[i], a.tasks[j] = a.tasks[j], a.tasks[i] }

// Push implements heap.Interface.
func (a *agenda) Push(x any) {
	if t, ok := x.(task); ok {
		a.tasks = append(a.tasks, t)
	}
}

// Pop implements heap.Interface.
func (a *agenda) Pop() any {
	last := a.tasks[len(a.tasks)-1]
	a.tasks[len(a.tasks)-1] = task{} // let go of what it captured
	a.tasks = a.tasks[:len(a.tasks)-1]
	return last
}
