package views

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Generation is one build of one view. Its number is not used again, even if Redis
// loses everything: whoever still reads an old one finds nothing, and knows.
type Generation struct {
	view   view
	number int
	parts  []keys
	client redis.UniversalClient
	reads  *convoy
	writes *ferry
	log    *slog.Logger
}

func newGeneration(client redis.UniversalClient, reads *convoy, writes *ferry, log *slog.Logger, v view, number int) *Generation {
	g := &Generation{view: v, number: number, client: client, reads: reads, writes: writes, log: log}
	count := partsOf(v)
	for part := range count {
		g.parts = append(g.parts, newKeys(v.name(), number, part, count))
	}
	return g
}

// keys are those of a view in one part.
func (g *Generation) keys() keys { return g.parts[0] }

// cursorAnswers are what Redis answers about the cursors of a generation.
type cursorAnswers []*redis.StringCmd

// askCursors puts the reads of all cursors into a pipeline.
func (g *Generation) askCursors(ctx context.Context, p redis.Pipeliner) cursorAnswers {
	answers := make(cursorAnswers, len(g.parts))
	for i, k := range g.parts {
		answers[i] = p.Get(ctx, k.cursor())
	}
	return answers
}

// read returns the cursor of each part; ok is false when one is missing, or can't
// be read, which is as good: the view is made anew.
func (a cursorAnswers) read() (cursors []Cursor, ok bool) {
	for _, answer := range a {
		c, err := parseCursor(answer.Val())
		if err != nil {
			return nil, false
		}
		cursors = append(cursors, c)
	}
	return cursors, len(cursors) > 0
}

// cursors reads the cursor of each part; ok is false when one is missing: the
// generation is gone, or was never begun.
func (g *Generation) cursors(ctx context.Context) (cursors []Cursor, ok bool, err error) {
	var answers cursorAnswers
	if _, err := g.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		answers = g.askCursors(ctx, p)
		return nil
	}); err != nil && !errors.Is(err, redis.Nil) {
		return nil, false, unavailable("reading the cursor of "+g.view.name(), err)
	}
	cursors, ok = answers.read()
	return cursors, ok, nil
}

// cursor is the cursor of the part that is furthest behind.
func (g *Generation) cursor(ctx context.Context) (lowest Cursor, ok bool, err error) {
	cursors, ok, err := g.cursors(ctx)
	if !ok || err != nil {
		return Cursor{}, false, err
	}
	return lowestOf(cursors), true, nil
}

func lowestOf(cursors []Cursor) Cursor {
	lowest := cursors[0]
	for _, c := range cursors[1:] {
		if c.Position.Compare(lowest.Position) < 0 {
			lowest = c
		}
	}
	return lowest
}

// begin makes the generation exist, at the beginning of the log.
func (g *Generation) begin(ctx context.Context) error {
	for _, k := range g.parts {
		if err := g.client.SetNX(ctx, k.cursor(), Cursor{}.String(), 0).Err(); err != nil {
			return unavailable("beginning a generation of "+g.view.name(), err)
		}
	}
	return nil
}

// hash covers everything the generation holds and where it stands, but neither
// its number nor who writes it. Nothing may be applied meanwhile.
func (g *Generation) hash(ctx context.Context) (string, error) {
	hashes := make([]string, 0, len(g.parts))
	for _, k := range g.parts {
		hash, err := hashKeys(ctx, g.client, k.prefix)
		if err != nil {
			return "", err
		}
		hashes = append(hashes, hash)
	}
	return joinHashes(hashes), nil
}

// drop removes what is left of the generation. Its cursors must be gone: whoever
// reads at this moment looks for them afterwards.
func (g *Generation) drop(ctx context.Context) error {
	for _, k := range g.parts {
		if err := drop(ctx, g.client, k.prefix); err != nil {
			return err
		}
	}
	return nil
}

// build says which generation of a view this is: "12:2:parts=1,keep=0s" is the
// twelfth number, of version 2 with these settings.
type build struct {
	number   int
	version  int
	settings string
}

func buildOf(v view, number int) build { return build{number, v.version(), settingsOf(v)} }

func (b build) String() string {
	return strconv.Itoa(b.number) + ":" + strconv.Itoa(b.version) + ":" + b.settings
}

// fits reports whether the view as it is now can go on with the build.
func (b build) fits(v view) bool { return b.number != 0 && b == buildOf(v, b.number) }

func parseBuild(text string) build {
	words := strings.SplitN(text, ":", 3)
	if len(words) != 3 {
		return build{}
	}
	number, err := strconv.Atoi(words[0])
	version, err2 := strconv.Atoi(words[1])
	if err != nil || err2 != nil {
		return build{}
	}
	return build{number, version, words[2]}
}
